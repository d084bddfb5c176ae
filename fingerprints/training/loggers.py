"""Loggers of curves: none, CSV, TensorBoard or Weights & Biases."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from fingerprints.core.errors import FingerprintsError, install
from fingerprints.training.settings import LoggerSettings

log = logging.getLogger(__name__)

INIT_SECONDS = 30
"""Longest wait for a W&B server to open a run; before that, up to about 10 s to check the key."""

FINISH_SECONDS = 120
"""Longest wait for the last data to be sent; unsent data stay on disk."""

MODES = {
    **dict.fromkeys(("online", "run", "shared"), "online"),
    **dict.fromkeys(("offline", "dryrun"), "offline"),
    "disabled": "disabled",
}
"""Allowed values of `WANDB_MODE` and their meaning here."""


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
) -> Iterator[Logger | None]:
    """The configured Lightning logger, or `None`; it is closed in any case, also after an error.

    Only the main process logs; the others get `None`.

    Args:
        settings: Kind and options of the logger.
        folder: The run folder: CSV and TensorBoard write to `curves/`, W&B to `wandb/` in it.
        run_name: Name of the W&B run.
        run_id: Id of the W&B run; the same after a resume.
        config: The run's configuration; its `name` is the group if the settings have none.
        tags: W&B tags in addition to those of the settings.
        resumed: Whether this continues an earlier run.

    Raises:
        FingerprintsError: If the logger's package is missing, or W&B refuses a setting.
    """
    if settings.name == "none" or getattr(rank_zero_only, "rank", 0) != 0:
        yield None
    elif settings.name == "csv":
        with _open_csv(folder) as csv:
            yield csv
    elif settings.name == "tensorboard":
        with _open_tensorboard(folder) as board:
            yield board
    else:
        with _open_run(
            settings,
            folder=folder,
            name=run_name,
            id=run_id,
            config=dict(config),
            group=settings.group or config["name"],
            tags=[tag[:64] for tag in dict.fromkeys([*settings.tags, *tags]) if tag],
            resume="allow",
        ) as run:
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
    try:
        yield board
    finally:
        board.experiment.close()


def replays(logger: Logger | None) -> bool:
    """Whether a resumed run must log its earlier epochs again, because the logger starts empty.

    This holds for CSV, which overwrites its file, and for W&B unless the server knows the run.
    """
    if isinstance(logger, WandbLogger):
        return not logger.experiment.resumed
    return isinstance(logger, CSVLogger)


def log_curve(logger: Logger | None, prefix: str, rows: Sequence[Mapping[str, float]]) -> None:
    """Log epochs of one training.

    Args:
        logger: From `open_logger`.
        prefix: Prefix of each name: empty for the final training, else `fold_2/`, `m1/fold_2/`.
        rows: Figures by name, among them `epoch`, from 1.
    """
    for row in rows:
        if isinstance(logger, CurveLogger):
            logger.log_row(prefix, row)
        elif logger is not None:
            figures = {f"{prefix}{name}": value for name, value in row.items() if name != "epoch"}
            logger.log_metrics(figures, step=int(row["epoch"]))
    if logger is not None:
        logger.save()


@contextlib.contextmanager
def _open_run(settings: LoggerSettings, *, folder: Path, **options: Any) -> Iterator[Any]:
    """An open W&B run, or `None` if `WANDB_MODE` switches W&B off."""
    mode = _mode(settings)
    if mode == "disabled":
        log.info("W&B: switched off by WANDB_MODE")
        yield None
        return
    import wandb

    with _kept_inside(folder / "wandb"):
        wandb.setup(settings=wandb.Settings(silent=True))
        options |= {"project": settings.project, "entity": settings.entity}
        run = None
        if mode == "online":
            run = _online(folder, options)
        if run is None:
            run = _init(folder, {**options, "mode": "offline"})
        if run.offline:
            log.info("W&B: offline; to send it later: wandb sync %s", Path(run.dir).parent)
        else:
            log.info("W&B: %s", run.url)
        try:
            yield run
        except BaseException:
            run.finish(exit_code=1)
            raise
        run.finish()


def _mode(settings: LoggerSettings) -> str:
    said = os.environ.get("WANDB_MODE") or ("offline" if settings.offline else "online")
    if said not in MODES:
        raise FingerprintsError(
            f"There is no W&B mode '{said}'.", where="WANDB_MODE", fix=f"one of {', '.join(MODES)}"
        )
    return MODES[said]


def _online(folder: Path, options: dict[str, Any]) -> Any:
    """A run on the server; `None`, with a warning, if there is no key or no answer."""
    import wandb

    try:
        # Check for a key first: `init` would ask for it on the terminal and leave an incomplete folder.
        if wandb.login(prompt=False, verify=True):
            return _init(folder, {**options, "mode": "online"})
        reason = "no API key (WANDB_API_KEY or `wandb login`)"
    except wandb.Error as error:
        reason = str(error).splitlines()[0]
    log.warning("W&B: cannot go online (%s); continuing offline", reason)
    return None


def _init(folder: Path, options: dict[str, Any]) -> Any:
    """Open a run that does not record code, paths and users of the machine, or terminal output."""
    import wandb

    try:
        return wandb.init(
            dir=folder,
            reinit="create_new",  # other runs in this process are not changed
            settings=wandb.Settings(
                silent=True,
                console="off",
                init_timeout=INIT_SECONDS,
                finish_timeout=FINISH_SECONDS,
                save_code=False,
                disable_code=True,
                disable_git=True,
                host="",
                x_disable_meta=True,
            ),
            **options,
        )
    except (wandb.errors.UsageError, ValueError) as error:
        raise FingerprintsError(
            f"W&B refuses a setting: {str(error).splitlines()[-1].strip()}",
            where="logger",
            fix="change logger.project, logger.entity, logger.group or logger.tags",
        ) from error


@contextlib.contextmanager
def _kept_inside(folder: Path) -> Iterator[None]:
    """Let W&B stage tables in `folder`, not in the home folder, unless the user has set a place."""
    if "WANDB_DATA_DIR" in os.environ:
        yield
        return
    os.environ["WANDB_DATA_DIR"] = str(folder)
    try:
        yield
    finally:
        del os.environ["WANDB_DATA_DIR"]
