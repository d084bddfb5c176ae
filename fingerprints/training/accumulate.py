"""Passes a batch through the encoder in parts, for batches that do not fit into memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def in_parts(encode: Callable[[Tensor], Tensor], images: Tensor, *, parts: int) -> Tensor:
    """Embeddings of a batch, with the activations of only one part in memory at a time.

    Accumulating the gradients of smaller batches would change the loss, since pairs are formed across the
    whole batch. Here the activations of each part are dropped after its forward pass and computed again in
    the backward pass. So loss, gradients and step are those of the whole batch, and a step takes about a
    third longer. Batch norm uses the statistics of the part, as it uses those of a process' share.

    Args:
        encode: `(n, 1, H, W)` -> `(n, d)`; a bound method of an `nn.Module`.
        images: `(n, 1, H, W)`.
        parts: Number of parts, at least 1; limited to the number of images.

    Returns:
        `(n, d)`.
    """
    if parts == 1 or not torch.is_grad_enabled():
        return encode(images)
    module: nn.Module = encode.__self__  # type: ignore[attr-defined]

    def contexts() -> tuple[contextlib.AbstractContextManager, contextlib.AbstractContextManager]:
        return contextlib.nullcontext(), _batch_norm_kept(module)

    return torch.cat(
        [checkpoint(encode, part, use_reentrant=False, context_fn=contexts) for part in images.chunk(parts)]
    )


@contextlib.contextmanager
def _batch_norm_kept(module: nn.Module) -> Iterator[None]:
    """Keep running statistics unchanged: the second pass must not be counted again."""
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        # Count in a copy: the buffer itself is shared with others (DDP).
        count = norm.num_batches_tracked
        norm.momentum, norm.num_batches_tracked = 0.0, None if count is None else count.clone()
    try:
        yield
    finally:
        for norm, (momentum, batches) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, batches
