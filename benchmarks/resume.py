"""Kill a run with SIGKILL at five moments, resume it, and compare its figures with an uninterrupted run's.

    python -m benchmarks.resume out=DIR experiment=siamese_subtask2 data.root=DIR [KEY=VALUE ...]

Each moment is one kill, by the process itself, where the named function is called; nothing in the package
knows of it. Prints a line per moment and exits with 1 if any figure differs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

KILL = "os.kill(os.getpid(), signal.SIGKILL)"
PREAMBLE = "import os, signal, sys\nfrom pathlib import Path\n"
MOMENTS = {
    "store build": f"""
import fingerprints.data.store as store
decode, calls = store.decode, []
def dying(*args):
    calls.append(1)
    if len(calls) == 300:
        {KILL}
    return decode(*args)
store.decode = dying
""",
    "first epoch": f"""
from fingerprints.training.siamese import SiameseModule
step = SiameseModule.training_step
def dying(self, batch, index):
    if (batch.epoch, batch.step) == (0, 2):
        {KILL}
    return step(self, batch, index)
SiameseModule.training_step = dying
""",
    "mid-epoch": f"""
from fingerprints.training.siamese import SiameseModule
step = SiameseModule.training_step
def dying(self, batch, index):
    if batch.epoch == 1 and batch.step == self.trainer.num_training_batches // 2:
        {KILL}
    return step(self, batch, index)
SiameseModule.training_step = dying
""",
    "checkpoint half written": f"""
fsync, calls = os.fsync, []
def dying(descriptor):
    name = os.readlink(f"/proc/self/fd/{{descriptor}}")
    calls.append(Path(name).name.startswith("last.ckpt"))
    if sum(calls) == 2:
        os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
        {KILL}
    return fsync(descriptor)
os.fsync = dying
""",
    "evaluation": f"""
import fingerprints.reporting.figures as scoring
def dying(**arguments):
    {KILL}
scoring.estimate_metrics = dying
""",
}


def train(words: list[str], *, before: str = "") -> int:
    """Run training in a process of its own, with `before` executed first; returns its exit code."""
    code = f"{PREAMBLE}{before}\nfrom fingerprints.train import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code, *words], stdout=subprocess.DEVNULL, check=False)
    return done.returncode


def figures(folder: Path) -> dict:
    """Everything in `metrics.json` but what time and place decide."""
    document = json.loads((folder / "metrics.json").read_text())
    return {key: value for key, value in document.items() if key != "run"}


def main() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    out = Path(next(w.removeprefix("out=") for w in sys.argv[1:] if w.startswith("out=")))
    words = [w for w in sys.argv[1:] if not w.startswith("out=")]
    shutil.rmtree(out, ignore_errors=True)
    whole = out / "uninterrupted"
    if train([*words, f"run_dir={whole}", f"paths.store={out / 'store'}"]):
        raise SystemExit("the uninterrupted run failed")
    expected, failed = figures(whole), False
    for moment, before in MOMENTS.items():
        name = moment.replace(" ", "_")
        folder, store = out / name, out / ("store_" + name if moment == "store build" else "store")
        code = train([*words, f"run_dir={folder}", f"paths.store={store}"], before=before)
        left = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
        resumed = train([f"resume={folder}"])
        same = (folder / "metrics.json").exists() and figures(folder) == expected
        failed = failed or code != -9 or resumed != 0 or not same
        print(
            f"{moment:<25} killed: {code == -9}  resumed: {resumed == 0}  same figures: {same}  "
            f"(left behind: {', '.join(left)})",
            flush=True,
        )
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main()
