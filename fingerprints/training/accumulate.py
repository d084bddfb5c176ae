"""A batch through the encoder in parts, for batches that do not fit the memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def in_parts(encode: Callable[[Tensor], Tensor], images: Tensor, *, parts: int) -> Tensor:
    """Embeddings of a batch, holding the activations of one part at a time.

    Accumulating the gradients of smaller batches would change what is learnt: pairs are formed across
    the whole batch. Here each part's activations are dropped after its forward pass and computed again in
    the backward pass, so that loss, gradients and step are those of the whole batch, for about a third
    more time. Batch norm takes its statistics from the part, as it does from a process' share.

    Args:
        encode: `(n, 1, H, W)` -> `(n, d)`; a bound method of an `nn.Module`.
        images: `(n, 1, H, W)`.
        parts: At least 1; no more are made than there are images.

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
    """The second pass must not enter the running statistics a second time."""
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        # The count goes on in a copy: the buffer itself is also known to others (DDP).
        count = norm.num_batches_tracked
        norm.momentum, norm.num_batches_tracked = 0.0, None if count is None else count.clone()
    try:
        yield
    finally:
        for norm, (momentum, batches) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, batches
