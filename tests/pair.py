"""Two processes in one gloo group, to which tests hand functions: started once a session.

What is tested in them is what several processes compute together. How a run starts its processes, and what
becomes of it when one fails, is tested with processes that the product starts (training/test_processes.py).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import runpy
import sys
import traceback
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
SERVING = "pair that serves"  # the name under which each of the processes runs this file
WORLD = 2
SECONDS = 120  # that a function may take
# Imported once, in the server that both processes are forked from. None of the project's own modules: the
# server does not know pytest's search path.
HEAVY = ["torch", "pytorch_lightning", "torchmetrics", "pandas", "sklearn.linear_model", "matplotlib.figure"]


class Pair:
    """`pair(function, *arguments)`: what the function, of an importable module, returns in each process."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._started = folder, 0
        self._processes: list[Any] = []
        self._ends: list[Connection] = []

    def prepare(self) -> None:
        """Start the server, whose imports take seconds; nobody waits for them here."""
        CONTEXT.set_forkserver_preload(HEAVY)
        forkserver.ensure_running()

    def _start(self) -> None:
        meeting = self._folder / f"meeting_{self._started}"
        self._started += 1
        for rank in range(WORLD):
            here, there = CONTEXT.Pipe()
            # By path: outside pytest, `tests` may be somebody else's package.
            given = {"END": there, "RANK": rank, "MEETING": str(meeting)}
            process = CONTEXT.Process(target=runpy.run_path, args=(__file__, given, SERVING), daemon=True)
            process.start()
            there.close()
            self._processes.append(process)
            self._ends.append(here)

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        if not self._processes:
            self._start()
        environment = {k: v for k, v in os.environ.items() if k.startswith(("WANDB_", "NETRC"))}
        for end in self._ends:
            end.send((function, arguments, str(Path.cwd()), environment))
        found = []
        for rank, end in enumerate(self._ends):
            try:
                failed, answer = end.recv() if end.poll(SECONDS) else (True, f"silent for {SECONDS} s")
            except (EOFError, OSError) as error:
                failed, answer = True, f"ended: {error!r}"
            if failed:
                self.stop()  # the other one may wait for it for ever
                raise AssertionError(f"rank {rank} of {WORLD}: {answer}")
            found.append(answer)
        return found

    def stop(self) -> None:
        """End the processes; the next call starts others."""
        for process in self._processes:
            process.kill()
            process.join()
        for end in self._ends:
            end.close()
        self._processes, self._ends = [], []


def _serve(end: Connection, rank: int, meeting: str) -> None:
    """One process: joins the group and does what it is handed until nobody is at the other end."""
    import torch

    tests = ModuleType("tests")
    tests.__path__ = [str(Path(__file__).parent)]
    sys.modules["tests"] = tests

    os.environ |= {  # as torchrun would say it
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "GROUP_RANK": "0",
        "WORLD_SIZE": str(WORLD),
        "LOCAL_WORLD_SIZE": str(WORLD),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "0",
        "TORCHELASTIC_RUN_ID": "pair",
    }
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=WORLD)
    with contextlib.suppress(EOFError, OSError):
        while True:
            function, arguments, place, environment = end.recv()
            os.environ.update(environment)
            try:
                with contextlib.chdir(place):
                    answer = (False, function(*arguments))
            except BaseException:
                answer = (True, traceback.format_exc())
            for name in environment:
                del os.environ[name]
            end.send(answer)
    if "wandb" in sys.modules:
        sys.modules["wandb"].teardown()


def share(work: str, folder: Path) -> None:
    """A process' share of a run or of the training of a generator, as its worker does it."""
    from fingerprints.core.signals import handled
    from fingerprints.experiment.worker import WORK

    with handled():
        WORK[work](folder)


def where() -> tuple[int, int, int]:
    """Rank, world size, and the sum over the group of ranks plus one."""
    import torch

    total = torch.tensor(torch.distributed.get_rank() + 1)
    torch.distributed.all_reduce(total)
    return torch.distributed.get_rank(), torch.distributed.get_world_size(), int(total)


def failing_on(rank: int) -> None:
    """One process fails, the other waits for it."""
    import torch

    if torch.distributed.get_rank() == rank:
        raise ValueError("enough")
    torch.distributed.barrier()


if __name__ == SERVING:
    _serve(END, RANK, MEETING)  # type: ignore[name-defined]  # noqa: F821
