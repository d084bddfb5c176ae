"""Loggers of curves: none, CSV, TensorBoard or Weights & Biases."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from fingerprints.core.errors import FingerprintsError, install
from fingerprints.training.settings import LoggerSettings
from fingerprints.training.wandb_run import open_run, reason

log = logging.getLogger(__name__)


class CurveLogger(WandbLogger):
    """A Lightning logger around an open W&B run, where every curve has its own axis of epochs.

    Args:
        run: The run.
    """

    def __init__(self, run: Any) -> None:
        super().__init__(experiment=run)
        self._curves: set[str] = set()
        run.define_metric("epoch", hidden=True)

    def log_row(self, prefix: str, row: Mapping[str, float]) -> None:
        """Add an epoch. W&B's own step can only increase, so that two trainings cannot share it as axis."""
        figures = {f"{prefix}{name}": value for name, value in row.items() if name != "epoch"}
        for key in figures.keys() - self._curves:
            self.experiment.define_metric(key, step_metric="epoch")
        self._curves |= figures.keys()
        self.experiment.log({"epoch": row["epoch"], **figures})


class Tracker:
    """A Lightning logger that never stops the run: its first error is a warning; then it gets nothing more.

    Args:
        kind: Name of the logger, for the warning.

    Attributes:
        logger: The logger; `None` without one, and after an error.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.logger: Logger | None = None
        self._failed = False

    @contextlib.contextmanager
    def tolerant(self) -> Iterator[None]:
        """Turn an error of the logger inside the block into a warning; errors of the user stay errors."""
        try:
            yield
        except FingerprintsError:
            raise
        except Exception as error:  # loggers raise errors of many types: of the disk, the network, their own
            self.logger = None
            if not self._failed:
                log.warning("logger=%s failed (%s); the run continues without it", self.kind, reason(error))
            log.debug("logger=%s", self.kind, exc_info=True)
            self._failed = True


@contextlib.contextmanager
def open_logger(
    settings: LoggerSettings,
    *,
    folder: Path,
    run_name: str,
    run_id: str,
    config: Mapping[str, Any],
    tags: Sequence[str] = (),
    resumed: bool = False,
) -> Iterator[Tracker]:
    """The configured logger; it is closed in any case, also after an error.

    Only the main process logs; the others get a tracker without a logger. A logger that fails is a warning.

    Args:
        settings: Kind and options of the logger.
        folder: The run folder: CSV and TensorBoard write to `curves/`, W&B to `wandb/` in it.
        run_name: Name of the W&B run.
        run_id: Id of the W&B run; the same after a resume.
        config: The run's configuration; its `name` is the group if the settings have none.
        tags: W&B tags in addition to those of the settings.
        resumed: Whether this continues an earlier run.

    Raises:
        FingerprintsError: If the logger's package is missing, or `WANDB_MODE` is unknown.
    """
    tracker = Tracker(settings.name)
    opened = _opened(
        settings,
        folder=folder,
        name=run_name,
        id=run_id,
        config=dict(config),
        group=settings.group or config["name"],
        tags=[tag[:64] for tag in dict.fromkeys([*settings.tags, *tags]) if tag],
        resumed=resumed,
    )
    stack = contextlib.ExitStack()
    with tracker.tolerant():
        tracker.logger = stack.enter_context(opened)
    try:
        yield tracker
    except BaseException as error:
        with tracker.tolerant():
            stack.__exit__(type(error), error, error.__traceback__)
        raise
    with tracker.tolerant():
        stack.close()


@contextlib.contextmanager
def _opened(
    settings: LoggerSettings, *, folder: Path, resumed: bool, **options: Any
) -> Iterator[Logger | None]:
    """The configured logger; `None` in all but the main process. It raises what the logger raises."""
    if settings.name == "none" or getattr(rank_zero_only, "rank", 0) != 0:
        yield None
    elif settings.name == "csv":
        with _open_csv(folder) as csv:
            yield csv
    elif settings.name == "tensorboard":
        with _open_tensorboard(folder) as board:
            yield board
    else:
        with open_run(settings, folder=folder, resume="allow", **options) as run:
            if run is not None and resumed and run.offline:
                log.info("W&B: the new offline folder holds the whole run; earlier ones can be deleted")
            yield None if run is None else CurveLogger(run)


@contextlib.contextmanager
def _open_csv(folder: Path) -> Iterator[Logger]:
    csv = CSVLogger(save_dir=folder, name="curves", version="")
    with warnings.catch_warnings():
        # After a resume; see `replays`.
        warnings.filterwarnings("ignore", message="Experiment logs directory .* exists")
        _ = csv.experiment
    try:
        yield csv
    finally:
        csv.save()


@contextlib.contextmanager
def _open_tensorboard(folder: Path) -> Iterator[Logger]:
    try:
        board = TensorBoardLogger(save_dir=folder, name="curves", version="")
    except ModuleNotFoundError as error:
        raise FingerprintsError(
            "TensorBoard is not installed.", where="logger=tensorboard", fix=install("tensorboard")
        ) from error
    _ = board.experiment  # makes its files
    try:
        yield board
    finally:
        board.experiment.close()


def replays(tracker: Tracker) -> bool:
    """Whether a resumed run must log its earlier epochs again, because the logger starts empty.

    This holds for CSV, which overwrites its file, and for W&B unless the server knows the run.
    """
    if isinstance(tracker.logger, WandbLogger):
        return not tracker.logger.experiment.resumed
    return isinstance(tracker.logger, CSVLogger)


def log_curve(tracker: Tracker, prefix: str, rows: Sequence[Mapping[str, float]]) -> None:
    """Log epochs of one training.

    Args:
        tracker: From `open_logger`.
        prefix: Prefix of each name: empty for the final training, else `fold_2/`, `m1/fold_2/`.
        rows: Figures by name, among them `epoch`, from 1.
    """
    logger = tracker.logger
    if logger is None:
        return
    with tracker.tolerant():
        for row in rows:
            if isinstance(logger, CurveLogger):
                logger.log_row(prefix, row)
            else:
                figures = {f"{prefix}{name}": value for name, value in row.items() if name != "epoch"}
                logger.log_metrics(figures, step=int(row["epoch"]))
        logger.save()
