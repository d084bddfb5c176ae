"""The three tasks of the ImageCLEFmedical GANs challenge, as data."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field, replace
from typing import Literal

from fingerprints.core.errors import FingerprintsError, nearest

Domain = Literal["real", "generated"]
FitOn = Literal["real", "generated", "both"]
Official = Literal["accuracy", "ari", "f1", "f1_used", "kappa"]
Target = Literal["labels", "origin", "generators"]  # what a classifier learns, see data.targets

USED, NOT_USED = "used", "not_used"
NONE = "none"  # label of an image that belongs to none of the known subsets


@dataclass(frozen=True)
class Task:
    """Which images get a label, which labels exist, and how the challenge scores them.

    Attributes:
        name: `usage`, `subset` or `model`.
        unit: The domain whose images get a label.
        classes: The labels in order, or `None` if the data define them (`subset`: the subsets; `model`: the
            generators).
        positive: The label treated as positive by one-class metrics (ROC, `f1_used`), if there is one.
        official: The key in `metrics.json` that the challenge ranks by; some editions rank by another one
            (`ranked_by`).
        run_labels: Labels that are written differently in run files and truth files.
        generated_label: The label of every generated image, because it comes from real images with that
            label; `None` if each generated image has its own label.
        has_real: Whether the task has real images.
        by_generator: Whether each generator is fitted and scored separately; otherwise the labels are the
            generators.
        open_set: Whether an image may belong to none of the known labels; its label is then `none`.
        headline: Metrics of a short summary, the official one first.
        compared: Further metrics in the tables of a comparison, for runs that have them.
        objective: The validation metric that a search maximises by default.
        clusters: Whether answers are cluster names, which must be matched to classes before scoring.
    """

    name: str
    unit: Domain
    official: str
    classes: tuple[str, ...] | None = None
    positive: str | None = None
    run_labels: dict[str, str] = field(default_factory=dict)
    generated_label: str | None = None
    has_real: bool = True
    by_generator: bool = True
    open_set: bool = False
    headline: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()
    objective: str = ""
    clusters: bool = False

    @property
    def labels_both(self) -> bool:
        """Whether real and generated images share the same labels."""
        return self.has_real and self.generated_label is None

    def ranked_by(self, metric: str | None) -> Task:
        """The same task with another official metric; `None` for its own.

        Raises:
            FingerprintsError: If the task has no such metric.
        """
        if metric is None:
            return self
        if (metric == "ari" and not self.clusters) or (metric == "f1_used" and self.positive is None):
            raise FingerprintsError(
                f"Task '{self.name}' cannot be ranked by '{metric}'.",
                where="data.official",
                fix=f"leave it out, to rank by '{self.official}'",
            )
        others = (name for name in self.headline if name != metric)
        return replace(self, official=metric, headline=(metric, *others))

    def to_run(self, label: str) -> str:
        """The label as run files write it (`used` -> `1`)."""
        return self.run_labels.get(label, label)

    def from_run(self, text: str) -> str:
        """The label for a text in a run file or truth file (`1` -> `used`)."""
        text = unicodedata.normalize("NFC", text).strip()  # macOS decomposes accents in folder names
        for label, written in self.run_labels.items():
            if text in (written, label):
                return label
        return text


_OF_CLUSTERS = ("accuracy", "ari", "nmi", "accuracy_unmatched")  # for decisions that cluster
TASKS: dict[str, Task] = {
    "usage": Task(
        name="usage",
        unit="real",
        official="kappa",
        classes=(NOT_USED, USED),
        positive=USED,
        run_labels={USED: "1", NOT_USED: "0"},
        headline=("kappa", "auc", "accuracy"),
        compared=("precision_used", "recall_used", "f1_used", "tpr_at_fpr_0.01"),
        generated_label=USED,
        objective="auc",  # needs no threshold; the threshold itself is learned on the validation images
    ),
    "subset": Task(
        name="subset",
        unit="generated",
        official="accuracy",
        headline=("accuracy", "f1"),
        compared=_OF_CLUSTERS,
        objective="accuracy",
        open_set=True,
    ),
    "model": Task(
        name="model",
        unit="generated",
        official="ari",
        headline=("ari", "accuracy"),
        compared=_OF_CLUSTERS,
        objective="ari",
        clusters=True,
        has_real=False,
        by_generator=False,
    ),
}


def get_task(name: str, *, official: str | None = None) -> Task:
    """The task with this name.

    Args:
        name: `usage`, `subset` or `model`.
        official: The metric that the edition ranks by, if it is not that of the task.

    Raises:
        FingerprintsError: If there is no such task, or it has no such metric; the error names the valid ones.
    """
    if name not in TASKS:
        hint = nearest(name, TASKS)
        raise FingerprintsError(
            f"There is no task '{name}'; the tasks are {', '.join(TASKS)}.",
            where="task",
            fix=f"task={hint[0]}" if hint else "choose one of them",
        )
    return TASKS[name].ranked_by(official)
