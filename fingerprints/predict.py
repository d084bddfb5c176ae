"""`python -m fingerprints.predict run=OUT images=DIR out=run.csv`: label images and write a run file."""

from __future__ import annotations

from fingerprints.config.launch import Place, launch
from fingerprints.config.roots import PredictSettings

USAGE = """\
Label images with a finished run and write a run file.

usage: python -m fingerprints.predict run=OUT images=DIR [generated=DIR] out=run.csv [KEY=VALUE ...]

  run=OUT             run folder that `python -m fingerprints.train` made
  images=DIR          folder of images to label
  generated=DIR       task usage: folder of images from the generator in question
  generator=NAME      use the detector of this generator, if the run has several generators
  out=run.csv         run file to write: <image id>,<label>
  header=NAME,NAME    names of its columns as its first line; none (default: as data.run_file of the run)
  ids=file            id, file (with the image ending), path (default: as data.run_file of the run)
  scores=FILE         also write a table of id, label and score columns
  on_bad_image=skip   continue without unreadable images
  accelerator=cpu     auto, cpu, gpu
  store=DIR           folder of decoded images (default outputs/store)
"""


def main() -> None:
    """Entry point."""
    launch(_job, "predict", usage=USAGE)


def _job(config: PredictSettings, place: Place) -> None:
    # Imported late, so that help and configuration errors do not wait for torch.
    from fingerprints.core.options import build
    from fingerprints.data.runfiles import spelled, write_run_file
    from fingerprints.data.settings import RunFileSettings
    from fingerprints.detector.predict import predict_folder
    from fingerprints.detector.saved import load_run
    from fingerprints.reporting.tables import predictions_table

    run = load_run(config.run)
    given = {name: value for name in ("header", "ids") if (value := getattr(config, name)) is not None}
    form = build(RunFileSettings, run.config["data"].get("run_file", {}) | given)
    predictions = predict_folder(
        run,
        images=config.images,
        generated=config.generated,
        generator=config.generator,
        on_bad_image=config.on_bad_image,
        cache=config.store,
        accelerator=config.accelerator,
    )
    out = config.out
    rows = predictions.rows
    ids = spelled(rows["id"].tolist(), rows["path"].tolist(), form=form.ids)
    write_run_file(out, ids, predictions.labels.tolist(), run.task, header=form.columns)
    if config.scores is not None:
        classes = run.classes(config.generator or run.generators[0])
        predictions_table(run.task, classes, [predictions]).to_csv(config.scores, index=False)
    print(f"{len(rows):,} images labelled: {out}")


if __name__ == "__main__":
    main()
