"""`python -m fingerprints.simulate task=TASK images=DIR out=DIR`: make benchmarks with known truth."""

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

  task=subset              five real subsets; one generator is trained on each (2025 layout)
  task=usage               used and not used real images; the test part has its own generator (2025);
                           with generators=[a,b]: two or more designs, trained on the same images (2024)
  task=model               generators of several designs: three labelled, four in the test part (2024)
  task=shadow              several generators, each trained on a random half of a pool, and a record of the
                           images of each
  images=DIR               folder of real images (PNG, JPEG, BMP, TIFF; DICOM: see ingest);
                           default: phantoms of virtual patients
  groups=CSV               patient of each image (file,group); default: groups.csv in DIR or above it,
                           else near-duplicate clusters
  out=DIR                  folder of the benchmark; to continue a stopped simulation, repeat the command
  size=64                  side of the images, in pixels: a power of two from 16 to 512
  scale=demo               numbers of images and training steps: {scales}
  scale.subset.real=N      one size: scale.subset.{{subsets,real,generated,test}},
                           scale.usage.{{members,nonmembers,generated,test_members,...}}
                           (test_*=0: no test part),
                           scale.model.{{real,labelled,generated,test}},
                           scale.shadow.{{candidates,generators,generated}}
  scale.max_steps=N        training steps of each generator (demo 1,200, paper 30,000)
  seed=N                   seed of all random choices (default 0)

generators:
{designs}
  generator=NAME           one of them (default gan); its settings: generator.KEY=VALUE
  generators=[a,b]         several (`usage`, `model`), by name or '{{name: gan, lr: 1e-3}}'; for `model`,
                           the default is {model}; the last one has no labels

controls of `subset` (does a system detect the data, or only the generator?):
  subsets=same             every generator is trained on the same real images, with its own seed
                           (default disjoint: no patient is in two subsets)
  seeds=shared             every generator is trained with the same seed: initial weights, order of images,
                           noise, augmentation (default own); with subsets=same, a correct system scores
                           at chance level

leakage:
  nonmembers=same_groups   usage: not used images are from the same patients as used images
                           (default other_groups: no patient has both)
  planted.fraction=0.1     replace a share of the generated images by modified copies of training images
  planted.kinds=[shift]    how the copies are modified: {kinds}
  generator.augment.enabled=false
                           train a GAN without augmentation: it memorises more
  dial=NAME                one benchmark per setting, in DIR/NAME; dial.csv and dial.png compare them:
{dials}

jobs and hardware:
  -m 'only=range(0,8)'     one job per generator, in parallel with hydra/launcher=joblib or
                           submitit_slurm; the last job to finish writes the benchmark
  reuse=DIR                copy generators from benchmarks in DIR, if they were trained in the same way
  accelerator=cpu          auto, cpu, gpu
  devices=N                processes that share each batch (-1: all GPUs)
  precision=auto           32-true, bf16-mixed, 16-mixed, auto
  quality.fidelity=true    also compute FID and KID (extra `quality`); quality.weights=PATH: Inception weights

out contains the layout's folders, test_truth.csv, groups.csv, sources.csv (the source of each real image),
planted.csv, benchmark.json (configuration, curves, quality, memorisation, digests) and, for each generator,
weights and a contact sheet. Next:
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
        # Hydra has loaded this module if a sweep started; importing it here would delay help and errors.
        if (record := sys.modules.get("fingerprints.config.sweep_record")) is not None:
            complete = record.all_succeeded()
    if not complete:
        raise SystemExit(2)


def _job(config: SimulateSettings, place: Place) -> None:
    # Imported late, so that help and configuration errors do not wait for torch.
    from fingerprints.simulation.command import simulate

    simulate(config, place)


if __name__ == "__main__":
    main()
