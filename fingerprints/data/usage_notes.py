"""Notes on the images of `usage`: few generated images, copies of candidates, near-duplicate candidates."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fingerprints.data.groups import near_pairs, thumbnails
from fingerprints.data.store import ImageStore

FEW_GENERATED = 50
SAME = 0.999  # correlation of thumbnails from which two candidates are called near duplicates
SHOWN = 3


def usage_notes(table: pd.DataFrame, store: ImageStore) -> list[str]:
    """Few generated images, candidates that are also generated images, and near-duplicate candidates.

    Args:
        table: As `Index.table`, of the task `usage`.
        store: The decoded images.
    """
    found: list[str] = []
    for (generator, test), part in table.groupby(["generator", table["split"] == "test"]):
        name = " ".join(filter(None, (str(generator), "test part" if test else "training part")))
        made, real = part[part["domain"] == "generated"], part[part["domain"] == "real"]
        if len(made) < FEW_GENERATED:
            found.append(f"{name}: only {len(made)} generated images; detection falls off below some hundred")
        copies = real[np.isin(store.digests[real.index], store.digests[made.index])]
        if len(copies):
            found.append(
                f"{name}: {len(copies):,} real image(s) are also among the generated ones, pixel for pixel: "
                f"{_some(copies)}"
            )
        if test:
            twins = _near_duplicates(real, store)
            if len(twins):
                found.append(
                    f"{name}: {len(twins):,} real images have a near duplicate among the others; they share "
                    f"the evidence of the generated images, so read their scores together: {_some(twins)}"
                )
    return found


def _near_duplicates(real: pd.DataFrame, store: ImageStore) -> pd.DataFrame:
    """The rows that are nearly the same image as another row."""
    vectors = thumbnails(store.images[real.index.to_numpy()])
    twins: set[int] = set()
    for left, right, _ in near_pairs(vectors, threshold=SAME):
        twins |= {*left.tolist(), *right.tolist()}
    return real.iloc[sorted(twins)]


def _some(rows: pd.DataFrame) -> str:
    names = rows["path"].tolist()
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
