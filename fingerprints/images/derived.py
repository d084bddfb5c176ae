"""An image store whose pixels are filtered and cut to a region: computed once, in blocks, on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from os import cpu_count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.options import plain
from fingerprints.core.progress import Progress
from fingerprints.data.store import ImageStore, interruptible
from fingerprints.images.filters import COLOURS, FILTER_VERSION, make_filter
from fingerprints.images.masks import MaskSource, mask_source
from fingerprints.images.regions import REGION_VERSION, restrict
from fingerprints.images.settings import (
    FilterSettings,
    MaskedRegionSettings,
    RegionSettings,
    SidedFilterSettings,
)

BLOCK = 256  # images in memory at a time


def derived_store(
    store: ImageStore,
    *,
    filter: FilterSettings,
    region: RegionSettings,
    names: Sequence[str | None] | None = None,
    domains: Sequence[str | None] | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> tuple[ImageStore, list[str]]:
    """The store with its images filtered and cut to a region.

    Masks are computed from the unfiltered pixels; then the filter is applied, then the region. Results are
    saved in the folder of the store, named by a digest of the settings. Masks and pixels are saved
    separately, so that several filters share the same masks.

    Args:
        store: Unfiltered images.
        filter: Applied to whole images.
        region: The part of the images that is kept.
        names: Path of each row's image relative to the data root, `None` for a row that is not used;
            needed if masks come from a folder.
        domains: Domain of each row's image; needed if the filter is for one domain.
        device: Device of a U-Net.
        progress: Called repeatedly.

    Returns:
        The derived store, or the given one if nothing changes; and notes for the report.

    Raises:
        FingerprintsError: If masks are missing or cannot be made.
    """
    filtered, name = make_filter(filter), region.name
    if filter.name == "none" and not region.masked:
        return store, []
    source, crop = None, True
    if isinstance(region, MaskedRegionSettings):
        source, crop = mask_source(region, names=names, device=device), region.crop
    spared = _spared(filter, domains)
    masks = None if source is None else cached_masks(store, source, progress=progress)
    n, side = len(store.images), store.images.shape[-1]

    def block(start: int, stop: int) -> NDArray[np.uint8]:
        images = np.asarray(store.images[start:stop])
        seen = filtered(images)
        images = seen if spared is None else np.where(spared[start:stop, None, None], images, seen)
        if masks is None:
            return images
        return restrict(images, unpacked(masks[start:stop], side=side), region=name, crop=crop)

    shape = (n, side, side) if filter.name != "colorize" else (n, COLOURS, side, side)
    # In a separate folder, so that arrays cached for these pixels are not confused with those of others.
    folder = store.folder / f"derived-{_key(_facts(filter, region, source, crop=crop, spared=spared))}"
    folder.mkdir(exist_ok=True)
    derived = replace(store, folder=folder)
    images = derived.filled(
        "images", shape=shape, dtype=np.uint8, fill=_writer(block, n, what="filtering images", show=progress)
    )
    notes = [] if masks is None else _empty_note(masks, store, name)
    return replace(derived, images=images), notes


def _facts(
    filter: FilterSettings,
    region: RegionSettings,
    source: MaskSource | None,
    *,
    crop: bool,
    spared: NDArray[np.bool_] | None,
) -> dict[str, Any]:
    """Everything that the pixels of a derived store depend on, beside those of the store itself."""
    facts = {"filter": plain(filter), "filter_version": FILTER_VERSION, "region": region.name}
    if source is not None:
        facts |= {"region_version": REGION_VERSION, "crop": crop, "masks": _key(source.facts)}
    if spared is not None:
        facts["spared"] = hashlib.sha256(spared.tobytes()).hexdigest()
    return facts


def _spared(filter: FilterSettings, domains: Sequence[str | None] | None) -> NDArray[np.bool_] | None:
    """Rows that the filter leaves as they are; `None` if it is applied to all."""
    if not isinstance(filter, SidedFilterSettings) or filter.domain == "both":
        return None
    assert domains is not None, "a filter for one domain needs the domain of each image"
    return np.array([domain != filter.domain for domain in domains])


def cached_masks(
    store: ImageStore, source: MaskSource, *, progress: Progress | None = None
) -> NDArray[np.uint8]:
    """Packed masks `(n, S, ceil(S / 8))` of a store's unfiltered images, computed once; see `unpacked`."""
    n, side = len(store.images), store.images.shape[-1]

    def block(start: int, stop: int) -> NDArray[np.uint8]:
        return np.packbits(source.block(np.asarray(store.images[start:stop]), start), axis=-1)

    return store.filled(
        f"masks-{_key(source.facts)}",
        shape=(n, side, -(-side // 8)),
        dtype=np.uint8,
        fill=_writer(block, n, what="lung masks", show=progress),
    )


def unpacked(packed: NDArray[np.uint8], *, side: int) -> NDArray[np.bool_]:
    """`(n, S, ceil(S / 8))` packed masks as `(n, S, S)`."""
    return np.unpackbits(packed, axis=-1, count=side).astype(bool)


def _writer(
    block: Callable[[int, int], NDArray[np.uint8]], n: int, *, what: str, show: Progress | None
) -> Callable[[NDArray], None]:
    """A function that fills an array of `n` rows block by block, with several blocks in parallel."""

    def fill(out: NDArray) -> None:
        edges = list(pairwise([*range(0, n, BLOCK), n]))
        with interruptible(ThreadPoolExecutor(cpu_count())) as pool:
            done = [pool.submit(_put, out, block, start, stop) for start, stop in edges]
            for task, (_, stop) in zip(done, edges, strict=True):
                task.result()
                if show is not None:
                    show(what, stop, n)

    return fill


def _put(out: NDArray, block: Callable[[int, int], NDArray[np.uint8]], start: int, stop: int) -> None:
    out[start:stop] = block(start, stop)


def _empty_note(masks: NDArray[np.uint8], store: ImageStore, region: str) -> list[str]:
    readable = np.ones(len(masks), dtype=bool)
    readable[list(store.errors)] = False
    empty = sum(
        int((~masks[at : at + BLOCK].any(axis=(1, 2)) & readable[at : at + BLOCK]).sum())
        for at in range(0, len(masks), BLOCK)
    )
    if empty == 0:
        return []
    return [
        f"region '{region}': {empty:,} of {int(readable.sum()):,} images have an empty lung mask "
        "and are not cut"
    ]


def _key(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]
