"""Simulate a benchmark again, and again with SIGKILL at five moments; compare every byte of the images.

    python -m benchmarks.simulation out=DIR task=usage generator.max_steps=600 [KEY=VALUE ...]

Each moment is one kill, by the process itself; nothing in the package knows of it. Prints a line per moment
and exits with 1 if any folder's digest, or any generator's weights, differ.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

KILL = "os.kill(os.getpid(), signal.SIGKILL)"
PREAMBLE = "import os, signal\n"
STEP = """
from fingerprints.generators.gan import GANModule
step = GANModule.training_step
def dying(self, batch, index):
    if (self.name, batch.step) == ({name!r}, {step}):
        {kill}
    return step(self, batch, index)
GANModule.training_step = dying
"""


def moments(task: str, steps: int) -> dict[str, str]:
    """Code that kills, executed before the simulation starts."""
    first, second = ("training", "test") if task == "usage" else ("t1", "t2")
    return {
        "before any checkpoint": STEP.format(name=first, step=min(100, steps // 2), kill=KILL),
        "between two checkpoints": STEP.format(name=first, step=steps * 9 // 10, kill=KILL),
        "second generator": STEP.format(name=second, step=steps // 2, kill=KILL),
        "images half written": f"""
import fingerprints.simulation.layouts as layouts
write, calls = layouts.write_image, []
def dying(path, image):
    calls.append(path)
    if len(calls) == 300:
        {KILL}
    write(path, image)
layouts.write_image = dying
""",
        "before the benchmark gets its name": f"""
import fingerprints.simulation.benchmark as benchmark
def dying(*arguments, **options):
    {KILL}
benchmark._publish = dying
""",
    }


def simulate(words: list[str], *, before: str = "") -> int:
    """Run a simulation in a process of its own, with `before` executed first; returns its exit code."""
    code = f"{PREAMBLE}{before}\nfrom fingerprints.simulate import main\nmain()"
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, check=False).returncode


def content(folder: Path) -> dict:
    """Digests of all images and tables, and of the generators' weights; empty if there is no benchmark."""
    path = folder / "benchmark.json"
    if not path.exists():
        return {}
    document = json.loads(path.read_text())
    return {
        "files": document["files"],
        "weights": {name: facts["weights"] for name, facts in document["generators"].items()},
    }


def main() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    given = dict(word.split("=", 1) for word in sys.argv[1:])
    out = Path(given.pop("out"))
    words = [f"{key}={value}" for key, value in given.items()]
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    if simulate([*words, f"out={out / 'first'}"]) or simulate([*words, f"out={out / 'again'}"]):
        raise SystemExit("an uninterrupted simulation failed")
    expected = content(out / "first")
    same = content(out / "again") == expected
    failed = not same
    print(f"{'same command again':<36} same images and weights: {same}", flush=True)
    for moment, before in moments(given["task"], int(given["generator.max_steps"])).items():
        folder = out / moment.replace(" ", "_")
        killed = simulate([*words, f"out={folder}"], before=before) == -9
        named = folder.exists()
        resumed = simulate([*words, f"out={folder}"]) == 0
        same = content(folder) == expected
        failed = failed or named or not (killed and resumed and same)
        print(
            f"{moment:<36} killed: {killed}  half-made folder has the name: {named}  resumed: {resumed}  "
            f"same images and weights: {same}",
            flush=True,
        )
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main()
