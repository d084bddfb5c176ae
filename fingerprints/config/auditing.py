"""Settings of `audit`: whose images are compared with whose, by which detectors, and what is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import chosen, option
from fingerprints.decisions.settings import DecisionSettings

AUTO = "auto"  # the value of `reference` that takes the patients listed in `unused`


@dataclass(frozen=True, kw_only=True)
class BatterySettings:
    """The detectors of an audit."""

    name: str = option("default")
    detectors: tuple[DecisionSettings, ...] = chosen(
        "decision",
        default=(),
        help="decisions of task usage that need no labels: names, or mappings such as {name: similarity, "
        "metric: ssim}; only their scores count, not their cuts",
    )
    weights: tuple[float, ...] = option(
        (), above=0, help="one weight of each detector in their joint p-value; none: all are equal"
    )

    def __post_init__(self) -> None:
        """Check that each detector has a weight, or none has.

        Raises:
            FingerprintsError: If not.
        """
        if self.weights and len(self.weights) != len(self.detectors):
            raise FingerprintsError(
                f"There are {len(self.weights)} weights for {len(self.detectors)} detectors.",
                where="battery.weights",
                fix="give one weight of each detector, or none",
            )


@dataclass(frozen=True, kw_only=True)
class AuditSettings:
    """Root of `python -m fingerprints.audit`."""

    real: Path = option(help="folder of the real images that may have trained the generator")
    generated: Path = option(help="folder of the images that the generator made")
    reference: str | None = option(
        None,
        help="folder of real images that did not train the generator, of other patients; auto: the patients "
        "listed in unused; null: ranks only, without p-values",
    )
    groups: str | None = option(
        None, help="CSV of file and patient of the real images; folders: each folder is a patient"
    )
    reference_groups: str | None = option(
        None, help="as groups, for the reference; null: folders if groups=folders, else patient ids"
    )
    unused: Path | None = option(None, help="text file of the patients for reference=auto, one on each line")
    out: Path = option(help="output folder, new or empty")
    size: int = option(64, least=16, most=512, help="side in pixels at which images are compared")
    window: str = option("lung", help="window of DICOM files: lung, or CENTER,WIDTH in Hounsfield units")
    near_duplicate: float = option(
        0.95,
        above=0,
        most=1,
        help="without patients: images this alike (thumbnail correlation) are one group",
    )
    near_copy: float = option(
        0.99,
        above=0,
        most=1,
        help="thumbnail correlation from which a reference image is named as near copy of a real one",
    )
    error: float = option(0.05, above=0, most=0.5, help="accepted share of false findings, for q")
    planted: int | None = option(
        None,
        least=0,
        most=4096,
        help="copies, and blends, of reference images to plant for the power; 0: none; null: 32, or twice as "
        "many as a reference of this size can find at all",
    )
    names: Literal["hash", "keep"] = option("hash", help="keep: patients and files have their names")
    salt: Path | None = option(
        None, help="file of the key that hashes names, made if missing; null: a random key, not saved"
    )
    key: Path | None = option(None, help="file that records which hash is which patient and file")
    embed_images: bool = option(False, help="put images of the most exposed patients into the page")
    shown: int = option(10, least=1, most=200, help="patients of whom the page shows images")
    against: Path | None = option(
        None, help="folder of an earlier audit of the same patients, to compare with"
    )
    fail_on: Literal["nothing", "exposed", "standing_out"] = option(
        "nothing",
        help="exposed: exit code 3 if somebody is; standing_out: also if images stand out, though the "
        "reference has too few patients to be sure",
    )
    force: bool = option(False, help="go on although sizes or file formats differ")
    on_bad_image: Literal["error", "skip"] = option("error", help="skip: continue without unusable files")
    seed: int = option(0, least=0, most=2**32 - 1, help="seed of detectors and planted copies")
    battery: BatterySettings = option(BatterySettings())
