"""The W&B dashboard as code: panels for the values that `training.loggers` and `reporting.tracking` log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fingerprints.core.errors import FingerprintsError, install
from fingerprints.training.wandb_run import project_name, reason

BASELINES = ("majority", "random", "histogram", "histogram_real", "histogram_generated", "file")
COLUMNS = (
    "summary:verdict/level",
    "summary:test/accuracy",
    "summary:test/accuracy_low",
    "summary:test/accuracy_high",
    "summary:validation/accuracy",
    "summary:run/encoder_budget",
    "config:seed.value",
)
"""Pinned columns in the list of runs."""

CONFUSION, AREA = "wandb/confusion_matrix/v1", "wandb/area-under-curve/v0"  # W&B's own charts


def dashboard(*, project: str, entity: str = "", name: str, generators: Sequence[str] = ()) -> Any:
    """The dashboard, not yet saved: a `wandb_workspaces` workspace.

    Args:
        project: W&B project.
        entity: W&B user or team.
        name: Name of the view.
        generators: Names of the generators, if runs have several: each has its own confusion matrix.

    Raises:
        FingerprintsError: If `wandb-workspaces` is not installed, or W&B refuses the project's name.
    """
    if project_name(project) != project:
        raise FingerprintsError(
            "W&B refuses this project name: it is too long, or has one of the characters /\\#?%:.",
            where=f"project={project}",
            fix=f"project={project_name(project)}, which runs use; a user or team is entity=NAME",
        )
    try:
        import wandb_workspaces.workspaces as ws
    except ModuleNotFoundError as error:
        raise FingerprintsError(
            "The dashboard needs the package wandb-workspaces.",
            where="python -m fingerprints.dashboard",
            fix=install("dashboard"),
        ) from error
    sections = {
        "Verdict and test figures": (_results(), 2),
        "Training": (_training(), 3),
        "Predictions": (_predictions(generators), 2),
        "Comparison with baselines": (_baselines(), 2),
        "Runs compared": (_comparison(), 1),
    }
    return ws.Workspace(
        entity=entity,
        project=project,
        name=name,
        sections=[
            ws.Section(
                name=title,
                panels=panels,
                is_open=True,
                layout_settings=ws.SectionLayoutSettings(columns=columns, rows=-(-len(panels) // columns)),
            )
            for title, (panels, columns) in sections.items()
        ],
        runset_settings=ws.RunsetSettings(pinned_columns=list(COLUMNS)),
    )


def save_spec(workspace: Any, path: Path) -> None:
    """Write the data for the server as JSON; needs no network."""
    spec = workspace._to_model().spec
    path.write_text(spec.model_dump_json(by_alias=True, exclude_none=True, indent=1) + "\n")


def save_online(workspace: Any) -> str:
    """Save the view on the W&B server; returns its address.

    Raises:
        FingerprintsError: If there is no key, no server, or the server refuses.
    """
    import wandb

    try:
        if not wandb.login(prompt=False, verify=True):
            raise wandb.Error("no API key (WANDB_API_KEY or `wandb login`), or WANDB_MODE is offline")
        workspace.entity = workspace.entity or wandb.Api().default_entity
        workspace.save()
        return str(workspace.url)
    except Exception as error:  # of W&B, of its libraries, and of answers that it does not expect
        raise FingerprintsError(
            f"The dashboard cannot be saved on the W&B server: {reason(error)}",
            where=f"project={workspace.project} entity={workspace.entity}",
            fix="log in (`wandb login`) and check the names, or write a file instead: out=FILE.json",
        ) from error


def _results() -> list[Any]:
    import wandb_workspaces.reports.v2 as wr

    def with_interval(metric: str, title: str) -> Any:
        keys: list[Any] = [f"{metric}_low", metric, f"{metric}_high"]
        return wr.BarPlot(title=f"{title}, 95 % interval: low, figure, high", metrics=keys)

    return [
        wr.WeavePanelSummaryTable(table_name="verdict"),
        wr.WeavePanelSummaryTable(table_name="figures"),
        with_interval("test/accuracy", "Test accuracy"),
        with_interval("test/kappa", "Test Cohen's kappa"),
        with_interval("test/auc", "Test AUC"),
        with_interval("validation/accuracy", "Validation accuracy"),
    ]


def _training() -> list[Any]:
    import wandb_workspaces.reports.v2 as wr

    def curves(metric: str, title: str, **options: Any) -> Any:
        # For the last training and, with their prefixes, for every fold and generator.
        return wr.LinePlot(
            title=title, x="epoch", title_x="epoch", metric_regex=f"^(.+/)?{metric}$", **options
        )

    return [
        curves("train_loss", "Training loss"),
        curves("val_loss", "Validation loss"),
        curves("val_pair_accuracy", "Pair accuracy on unseen pairs"),
        curves("lr", "Learning rate"),
        curves("images_per_second", "Images per second", range_y=(0, None)),
        curves("seconds", "Seconds an epoch", range_y=(0, None)),
    ]


def _predictions(generators: Sequence[str]) -> list[Any]:
    import wandb_workspaces.reports.v2 as wr

    matrices = [
        wr.CustomChart(
            query={"summaryTable": {"tableKey": f"{prefix}confusion_matrix_table"}},
            chart_name=CONFUSION,
            chart_fields={"Actual": "Actual", "Predicted": "Predicted", "nPredictions": "nPredictions"},
            chart_strings={"title": f"Confusion matrix {prefix}".rstrip(" /")},
        )
        for prefix in ([f"{name}/" for name in generators] or [""])
    ]
    roc = wr.CustomChart(
        query={"summaryTable": {"tableKey": "roc_table"}},
        chart_name=AREA,
        chart_fields={"x": "fpr", "y": "tpr", "class": "class"},
        chart_strings={
            "title": "ROC",
            "x-axis-title": "False positive rate",
            "y-axis-title": "True positive rate",
        },
    )
    log_roc = wr.LinePlot(
        title="ROC on log axes (usage)", x="roc/fpr", y=["roc/tpr"], log_x=True, log_y=True,
        title_x="false positive rate", title_y="true positive rate",
    )  # fmt: skip
    return [*matrices, roc, log_roc, wr.WeavePanelSummaryTable(table_name="scores")]


def _baselines() -> list[Any]:
    import wandb_workspaces.reports.v2 as wr

    keys = [f"baseline/{name}/accuracy" for name in BASELINES]
    return [
        wr.BarPlot(title="Test accuracy and baselines", metrics=["test/accuracy", *keys]),
        wr.ScatterPlot(title="Encoder budget and test accuracy", x="run/encoder_budget", y="test/accuracy"),
    ]


def _comparison() -> list[Any]:
    import wandb_workspaces.reports.v2 as wr

    columns: list[Any] = [
        *(wr.Config(key) for key in ("encoder.name", "pairing.name", "training.margin", "seed")),
        wr.Config("training.optimiser.lr"),
        *(wr.SummaryMetric(key) for key in ("validation/accuracy", "test/accuracy")),
    ]
    return [
        wr.ParallelCoordinatesPlot(
            title="Settings and accuracy", columns=[wr.ParallelCoordinatesPlotColumn(c) for c in columns]
        ),
        wr.RunComparer(diff_only="split"),
    ]
