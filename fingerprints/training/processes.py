"""Several processes for one run: started here on this machine, or by torchrun or SLURM.

Here they are started with PyTorch's elastic agent (as in torchrun). Each is a new interpreter that gets
only the run folder. Lightning would run the user's command again in every process; each would compose its
own configuration with its own time stamp, and in a sweep its own job.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from lightning_fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from torch import distributed
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.signals import Interrupted
from fingerprints.training.hardware import make_trainer
from fingerprints.training.settings import TrainerSettings

WORKER = "fingerprints.experiment.worker"
_STOPPED = (128 + signal.SIGTERM, 128 + signal.SIGINT)  # exit codes of a process that stopped when asked to


def started_world_size() -> int:
    """Number of processes that torchrun or SLURM started together, with this one; 1 without them.

    Raises:
        FingerprintsError: If SLURM got a number of processes, but no number per node.
    """
    try:
        for environment in (TorchElasticEnvironment, SLURMEnvironment):
            if environment.detect():
                return environment().world_size()
    except RuntimeError as error:
        raise FingerprintsError(
            f"The SLURM settings are not valid: {error}",
            where="sbatch or srun",
            fix="--ntasks-per-node=N --nodes=M",
        ) from error
    return 1


def check_world(settings: TrainerSettings, *, world_size: int) -> None:
    """Check that the number of processes is the configured one.

    Args:
        settings: Resolved hardware settings.
        world_size: The value of `started_world_size`.

    Raises:
        FingerprintsError: If it is not, or if there are several nodes without torchrun or srun.
    """
    if world_size == 1 and settings.num_nodes > 1:
        raise FingerprintsError(
            f"{settings.num_nodes} nodes need torchrun or srun to start a process on each.",
            where=f"trainer.num_nodes={settings.num_nodes}",
            fix=f"on every node: torchrun --nnodes={settings.num_nodes} "
            f"--nproc-per-node={settings.devices} --rdzv-backend=c10d --rdzv-endpoint=HOST:PORT "
            "-m fingerprints.train ...",
        )
    if world_size > 1 and world_size != settings.processes:
        raise FingerprintsError(
            f"{world_size} processes were started; the configuration is for {settings.processes} "
            f"({settings.devices} on {settings.num_nodes} nodes).",
            where=f"trainer.devices={settings.devices}, trainer.num_nodes={settings.num_nodes}",
            fix="start trainer.devices x trainer.num_nodes processes, or change those",
        )


def share_folder(folder: Path, settings: TrainerSettings) -> tuple[Path, bool]:
    """The main process' run folder, and whether this is the main process.

    Needed because each process that torchrun or SLURM started reads the clock itself.
    """
    trainer = make_trainer(settings)
    trainer.strategy.setup_environment()
    shared = trainer.strategy.broadcast(str(folder))
    return Path(shared), trainer.is_global_zero


def run_workers(work: str, folder: Path, settings: TrainerSettings) -> None:
    """Start processes that work together on this machine and wait for them; if one fails, all are ended.

    Args:
        work: The kind of work, as named in `fingerprints.experiment.worker`: `run` or `generator`.
        folder: The folder with all other information.
        settings: Resolved hardware settings.

    Raises:
        FingerprintsError: With the message of the process that failed first.
        Interrupted: If a signal ended them; their state is saved.
    """
    for name in ("launcher.api", "elastic.agent.server.api", "elastic.multiprocessing.api"):
        logging.getLogger(f"torch.distributed.{name}").setLevel(logging.CRITICAL)
    scratch = tempfile.TemporaryDirectory(prefix="fingerprints-")
    launch = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=settings.devices,
        run_id=folder.name,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=scratch.name),
        signals_to_handle="SIGTERM,SIGINT",
    )
    # Otherwise each process would use all cores.
    threads = os.environ.get("OMP_NUM_THREADS")
    if threads is None and settings.accelerator == "cpu":
        os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // settings.devices))
    try:
        elastic_launch(launch, sys.executable)("-m", WORKER, work, str(folder))
    except SignalException as error:
        raise Interrupted(error.sigval.value) from None
    except ChildFailedError as error:
        rank, code, text = _first_failure(error)
        if code in _STOPPED:
            raise Interrupted(code - 128) from None
        raise FingerprintsError(
            f"Rank {rank} of {settings.devices} processes failed; the others were ended. Its error:\n{text}"
        ) from None
    finally:
        scratch.cleanup()
        if threads is None:
            os.environ.pop("OMP_NUM_THREADS", None)


def leave_group() -> None:
    """Leave the process group on CPUs, if this process is in one; to be called before a process ends.

    Gloo's threads continue after the training. If the interpreter ends while they run, it is sometimes
    aborted (`terminate called without an active exception`).
    """
    if distributed.is_available() and distributed.is_initialized() and distributed.get_backend() == "gloo":
        distributed.destroy_process_group()


def report_failure(text: str) -> None:
    """In a worker: pass an error on, in the form that PyTorch's agent reads."""
    # Time stamps are in whole seconds; after the first failure the others fail in less than a second.
    message = json.dumps({"text": text, "when": time.time_ns()})
    facts = {"message": message, "timestamp": int(time.time())}
    Path(os.environ["TORCHELASTIC_ERROR_FILE"]).write_text(json.dumps(facts))


def _first_failure(error: ChildFailedError) -> tuple[int, int, str]:
    """Rank, exit code and message of the process that failed first.

    One that was killed without a message is the cause of the other failures; but after a failure, PyTorch's
    agent ends the other processes by a signal, so that one that was asked to end comes last.
    """
    found = []
    for rank, failure in error.failures.items():
        try:
            said = json.loads(failure.message)
            found.append((said["when"], rank, failure.exitcode, said["text"]))
        except ValueError:
            ended = failure.exitcode in (*_STOPPED, -signal.SIGTERM, -signal.SIGINT)
            found.append((float("inf") if ended else 0, rank, failure.exitcode, failure.message))
    return min(found)[1:]
