"""`python -m fingerprints.simulate task=TASK images=DIR out=DIR`: benchmarks with known truth."""

from __future__ import annotations

import sys

from fingerprints.config.help import describe_options
from fingerprints.config.launch import Place, launch
from fingerprints.config.simulation import MODEL_GENERATORS, SimulateSettings
from fingerprints.core.options import choices
from fingerprints.generators.settings import PlantedKind

USAGE = """\
Train generators on known real images and write a labelled benchmark in the layout of its task.

usage: python -m fingerprints.simulate task=TASK out=DIR [images=DIR] [groups=CSV] [KEY=VALUE ...]

  task=subset              five real subsets, a generator trained on each (2025 layout)
  task=usage               used and not used real images; the test part has a generator of its own (2025);
                           with generators=[a,b] two or more designs, trained on the same images (2024)
  task=model               generators of several designs: three labelled, four in the test part (2024)
  task=shadow              generators that are each trained on a random half of a pool, and which on what
  images=DIR               folder of real images (PNG, JPEG, BMP, TIFF; DICOM: see ingest);
                           without it phantoms of virtual patients stand in
  groups=CSV               patient of each image (file,group); default groups.csv in DIR or above it,
                           else near-duplicate clusters stand in
  out=DIR                  the benchmark; a stopped simulation goes on with the same command
  size=64                  side of the images, in pixels: a power of two from 16 to 512
  scale=demo               sizes and length: {scales}
  scale.subset.real=N      one size: scale.subset.{{subsets,real,generated,test}},
                           scale.usage.{{members,nonmembers,generated,test_members,...}}
                           (test_*=0: no test part),
                           scale.model.{{real,labelled,generated,test}},
                           scale.shadow.{{candidates,generators,generated}}
  scale.max_steps=N        steps each generator is trained (demo 1,200, paper 30,000)
  seed=N                   seed of everything (default 0)

generators:
{designs}
  generator=NAME           one of them (default gan); its settings: generator.KEY=VALUE
  generators=[a,b]         several (`usage`, `model`), by name or '{{name: gan, lr: 1e-3}}'; for `model`
                           the default is {model}, the last one without labels

controls of `subset` (is it the data that is told apart, or the generator?):
  subsets=same             every generator is trained on the same real images, with a seed of its own
                           (default disjoint: no patient is in two subsets)
  seeds=shared             every generator is trained with the same seed: weights at the start, order of
                           images, noise, augmentation (default own); with subsets=same chance is right

leakage:
  nonmembers=same_groups   usage: not used images are of the same patients as used ones
                           (default other_groups: no patient has both)
  planted.fraction=0.1     replace a share of the generated images by changed copies of training images
  planted.kinds=[shift]    how they are changed: {kinds}
  generator.augment.enabled=false
                           train a GAN without augmentation: it remembers more
  dial=NAME                a benchmark for each setting, in DIR/NAME; dial.csv and dial.png compare them:
{dials}

jobs and hardware:
  -m 'only=range(0,8)'     each generator in a job of its own, side by side with hydra/launcher=joblib or
                           submitit_slurm; the last one to finish writes the benchmark
  reuse=DIR                take generators over from benchmarks in DIR that were trained in the same way
  accelerator=cpu          auto, cpu, gpu
  devices=N                processes that share each batch (-1: all GPUs)
  precision=auto           32-true, bf16-mixed, 16-mixed, auto
  quality.fidelity=true    FID and KID, too (extra `quality`); quality.weights=PATH: Inception weights

out holds the layout's folders, test_truth.csv, groups.csv, sources.csv (which real image is which),
planted.csv, benchmark.json (configuration, curves, quality, memorisation, digests) and, for each generator,
weights and a contact sheet. Then:
  python -m fingerprints.train experiment=siamese_subtask2 data.root=DIR data.size=64
"""


def usage() -> str:
    """The text of `--help`."""
    return USAGE.format(
        scales=" | ".join(line.split()[0] for line in describe_options("scale")),
        designs="\n".join(describe_options("generator")),
        dials="\n".join(f"  {line}" for line in describe_options("dial")),
        model=f"[{','.join(MODEL_GENERATORS)}]",
        kinds=", ".join(choices(PlantedKind)),
    )


def main() -> None:
    """Entry point."""
    complete = True
    try:
        launch(_job, "simulate", usage=usage())
    finally:
        # Loaded by Hydra, if it came so far; help and misspelt keys must not wait for it.
        if (record := sys.modules.get("fingerprints.config.sweep_record")) is not None:
            complete = record.all_succeeded()
    if not complete:
        raise SystemExit(2)


def _job(config: SimulateSettings, place: Place) -> None:
    # Imported late: help and configuration errors must not wait for torch.
    from fingerprints.simulation.command import simulate

    simulate(config, place)


if __name__ == "__main__":
    main()
