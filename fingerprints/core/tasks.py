"""The three tasks of the ImageCLEFmedical GANs challenge, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fingerprints.core.errors import FingerprintsError, nearest

Domain = Literal["real", "generated"]
FitOn = Literal["real", "generated", "both"]

USED, NOT_USED = "used", "not_used"
NONE = "none"  # of an image that belongs to none of the known subsets


@dataclass(frozen=True)
class Task:
    """What gets a label, which labels there are, and how the challenge scores them.

    Attributes:
        name: `usage`, `subset` or `model`.
        unit: The domain whose images get a label.
        classes: The labels in their order, or `None` where the data name them (`subset`: the
            subsets; `model`: the generators).
        positive: The label that one-class figures (ROC, `f1_used`) are about, if there is one.
        official: The key in `metrics.json` that the challenge ranks by.
        run_labels: How a label is written in a run file or truth file, where that differs.
        generated_label: The label that every generated image counts as, because it comes from real images of
            that label; `None` where each generated image has a label of its own.
        has_real: Whether there are real images at all.
        open_set: Whether an image may belong to none of the known labels and be called `none`.
        headline: Metrics of a short summary, the official one first.
        compared: Further metrics that tables of a comparison show where a run has them.
        objective: The validation metric that a search maximises unless told otherwise.
        clusters: Whether answers are names of clusters, which say nothing until matched to classes.
    """

    name: str
    unit: Domain
    official: str
    classes: tuple[str, ...] | None = None
    positive: str | None = None
    run_labels: dict[str, str] = field(default_factory=dict)
    generated_label: str | None = None
    has_real: bool = True
    open_set: bool = False
    headline: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()
    objective: str = ""
    clusters: bool = False

    @property
    def per_generator(self) -> bool:
        """Whether each generator is fitted and scored by itself; not where generators are the labels."""
        return self.has_real

    @property
    def real_has_labels(self) -> bool:
        """Whether real and generated images share the labels, so that each label needs both."""
        return self.has_real and self.generated_label is None

    def to_run(self, label: str) -> str:
        """The label as run files spell it (`used` -> `1`)."""
        return self.run_labels.get(label, label)

    def from_run(self, text: str) -> str:
        """The label that a run file's or truth file's text stands for (`1` -> `used`)."""
        text = text.strip()
        for label, written in self.run_labels.items():
            if text in (written, label):
                return label
        return text


_OF_CLUSTERS = ("accuracy", "ari", "nmi", "accuracy_unmatched")  # where a clustering decides
TASKS: dict[str, Task] = {
    "usage": Task(
        name="usage",
        unit="real",
        official="kappa",
        classes=(NOT_USED, USED),
        positive=USED,
        run_labels={USED: "1", NOT_USED: "0"},
        headline=("kappa", "auc", "accuracy"),
        compared=("f1_used",),
        generated_label=USED,
        objective="auc",  # without a threshold, because the threshold itself is learned on validation
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
    ),
}


def get_task(name: str) -> Task:
    """The task of that name.

    Raises:
        FingerprintsError: If there is none; names the valid ones.
    """
    if name not in TASKS:
        hint = nearest(name, TASKS)
        raise FingerprintsError(
            f"There is no task '{name}'; the tasks are {', '.join(TASKS)}.",
            where="task",
            fix=f"task={hint[0]}" if hint else "choose one of them",
        )
    return TASKS[name]
