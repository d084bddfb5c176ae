"""An open W&B run: online if possible, else offline."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fingerprints.core.errors import FingerprintsError
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

STAGING = "WANDB_DATA_DIR"  # where W&B prepares tables before it logs them
_FOLDERS = (STAGING, "WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_ARTIFACT_DIR")
_SERVER = "WANDB_BASE_URL"
_LONGEST_PROJECT = 128
# Checked elsewhere; and a key must not be in a log.
_CHECKED = ("WANDB_API_KEY", "WANDB_MODE")


@contextlib.contextmanager
def open_run(settings: LoggerSettings, *, folder: Path, **options: Any) -> Iterator[Any]:
    """An open W&B run, or `None` if `WANDB_MODE` switches W&B off.

    Raises:
        FingerprintsError: If `WANDB_MODE` is unknown.
        Exception: What W&B raises if it cannot even write offline files; its errors have many types.
    """
    mode = _mode(settings)
    if mode == "disabled":
        log.info("W&B: switched off by WANDB_MODE")
        yield None
        return
    import wandb

    project = project_name(settings.project)
    if project != settings.project:
        log.warning("W&B: it refuses the project name '%s'; the project is '%s'", settings.project, project)
    options |= {"project": project, "entity": settings.entity}
    server = os.environ.get(_SERVER)
    with _environment(folder / "wandb"):
        if os.environ.get(_SERVER) != server:  # left out: never send to another server than the user's
            mode = "offline"
        wandb.setup(settings=wandb.Settings(silent=True))
        run = _online(folder, options) if mode == "online" else None
        if run is None:
            run = _init(folder, {**options, "mode": "offline"})
        if run.offline:
            log.info("W&B: offline; to send it later: wandb sync %s", Path(run.dir).parent)
        else:
            log.info("W&B: %s", run.url)
        try:
            yield run
        except BaseException:
            _finish(run, exit_code=1)
            raise
        _finish(run, exit_code=0)


def project_name(name: str) -> str:
    r"""A name that W&B accepts for a project: `-` for each of `/\#?%:`, at most 128 characters.

    >>> project_name("team/proj")
    'team-proj'
    """
    return re.sub(r"[/\\#?%:]", "-", name)[:_LONGEST_PROJECT]


def reason(error: BaseException) -> str:
    """The reason in an error of a logger or of the system, in one line."""
    if isinstance(error.__cause__, OSError):  # Lightning puts its own words first
        error = error.__cause__
    if isinstance(error, OSError) and error.strerror is not None:
        return f"{error.strerror}: {error.filename}" if error.filename is not None else error.strerror
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    if "validation error" in lines[0]:  # of pydantic: then the setting, then what is wrong with it
        return re.sub(r"\s*\[type=.*", "", ": ".join(lines[1:3]))
    return lines[0]


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
        said = "no API key (WANDB_API_KEY or `wandb login`)"
    except Exception as error:  # of W&B, of its libraries, or of the disk
        said = reason(error)
    log.warning("W&B: cannot go online (%s); continuing offline", said)
    return None


def _init(folder: Path, options: dict[str, Any]) -> Any:
    """Open a run that does not record code, paths and users of the machine, or terminal output."""
    import wandb

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


def _finish(run: Any, *, exit_code: int) -> None:
    """End a run. If W&B's service has died, end the connection, too, or W&B would try again at exit."""
    import wandb

    try:
        run.finish(exit_code=exit_code)
    except Exception:
        with contextlib.suppress(Exception):
            wandb.teardown()
        raise


@contextlib.contextmanager
def _environment(staging: Path) -> Iterator[None]:
    """Leave out variables that W&B refuses; stage tables in `staging` unless the user has set a place."""
    saved = {name: value for name, value in os.environ.items() if name.startswith("WANDB_")}
    changed = [name for name, value in saved.items() if name not in _CHECKED and _refused(name, value)]
    for name in changed:
        del os.environ[name]
    if STAGING not in os.environ:
        # In the run folder, not in the home folder.
        os.environ[STAGING] = str(staging)
        changed.append(STAGING)
    try:
        yield
    finally:
        for name in changed:
            os.environ.pop(name, None)
            if name in saved:
                os.environ[name] = saved[name]


def _refused(name: str, value: str) -> bool:
    """Whether W&B cannot use a variable of the environment; this is then in the log."""
    import wandb

    try:
        if name in _FOLDERS:
            Path(value).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=value):
                pass
        else:
            wandb.Settings().update_from_env_vars({name: value})
    except Exception as error:  # pydantic's and W&B's own
        log.warning("W&B: %s=%s cannot be used (%s); it is left out", name, value, reason(error))
        return True
    return False
