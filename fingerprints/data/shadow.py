"""Shadow generators: each was trained on a random part of a pool of candidates, and it is known on which.

The folder is what `simulate task=shadow` writes: `real/` with the candidates, `generated/NAME/` for each
generator, and `membership.csv` with a row for each candidate and a column of 0 and 1 for each generator.
"""

from __future__ import annotations

import pandas as pd

from fingerprints.core.errors import FingerprintsError, command, listing
from fingerprints.data.layout import ImageFile, scan
from fingerprints.data.settings import SHADOW, DataSettings, Source
from fingerprints.data.store import ImageStore
from fingerprints.data.tables import read_rows

MEMBERSHIP = "membership.csv"
SOURCES = (
    Source("real/**", domain="real", part=SHADOW),
    Source("generated/{generator}/*", domain="generated", part=SHADOW),
)
FORM = "file,GENERATOR,GENERATOR..."


def shadow_files(settings: DataSettings) -> list[ImageFile]:
    """The images of `data.shadow`, with whole paths as names; empty if it is not given.

    Raises:
        FingerprintsError: If there is no such folder, it cannot be read, or it lacks images.
    """
    if settings.shadow is None:
        return []
    return scan(settings.shadow, SOURCES, below=f"{settings.shadow.resolve().as_posix()}/")


def read_membership(shadow: pd.DataFrame, settings: DataSettings) -> pd.DataFrame | None:
    """Which shadow generator was trained on which candidate.

    Args:
        shadow: The rows of the shadow images, as in `Index.table`.
        settings: Where the table is.

    Returns:
        One row per candidate, with the index of `shadow`, and one column of booleans per generator; `None`
        without `data.shadow`.

    Raises:
        FingerprintsError: If the table and the images do not fit each other, or a candidate was used by all
            generators or by none, so that there is nothing to compare.
    """
    if settings.shadow is None:
        return None
    path = settings.shadow / MEMBERSHIP
    header, *rows = read_rows(path, kind="table of shadow members", form=FORM)
    names = list(header.cells[1:])
    made = sorted(shadow.loc[shadow["domain"] == "generated", "generator"].unique())
    if sorted(names) != made:
        raise FingerprintsError(
            f"The table names the generators {', '.join(names)}; there are images of {', '.join(made)}.",
            where=path,
            fix="give the folder as `simulate task=shadow` wrote it",
        )
    given = {f"{settings.shadow.resolve().as_posix()}/{row.cells[0]}": row.cells[1:] for row in rows}
    candidates = shadow.loc[shadow["domain"] == "real", "path"]
    wrong = [name for name in candidates if not set(given.get(name, ("",))) <= {"0", "1"}]
    if wrong:
        raise FingerprintsError(
            f"{len(wrong)} candidate(s) have no row of 0 and 1 in the table:\n{listing(wrong)}",
            where=path,
            fix="give the folder as `simulate task=shadow` wrote it",
        )
    table = pd.DataFrame([given[name] for name in candidates], index=candidates.index, columns=names) == "1"
    alone = table.all(axis=1) | ~table.any(axis=1)
    if alone.any():
        raise FingerprintsError(
            f"{int(alone.sum())} candidate(s) were used by all shadow generators or by none:\n"
            f"{listing(list(candidates[alone]))}",
            where=path,
            fix="train more shadow generators: each candidate needs one with it and one without it",
        )
    return table


def check_shadow_pool(
    table: pd.DataFrame, shadow: pd.DataFrame, store: ImageStore, settings: DataSettings
) -> None:
    """Refuse shadow generators of another pool: each real image must be a candidate, by its pixels.

    Args:
        table: The rows of training and test part, as in `Index.table`.
        shadow: The rows of the shadow images.
        store: The decoded images, with digests of their pixels.
        settings: Where the shadow images are.

    Raises:
        FingerprintsError: If a real image is not among the candidates; the error lists them.
    """
    if settings.shadow is None:
        return
    pool = set(store.digests[shadow.index[shadow["domain"] == "real"]].tolist())
    real = table[table["domain"] == "real"]
    missing = [
        path
        for path, digest in zip(real["path"], store.digests[real.index].tolist(), strict=True)
        if digest not in pool
    ]
    if missing:
        raise FingerprintsError(
            f"The shadow generators are of another pool: {len(missing)} of {len(real)} real image(s) are not "
            f"among their candidates:\n{listing(missing)}",
            where=settings.shadow,
            fix="train shadow generators on these images: "
            + command("simulate", "task=shadow", "images=DIR", "out=SHADOW"),
        )
