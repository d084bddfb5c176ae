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
  out=run.csv         run file to write: <image id>,<label>, no header
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
    from fingerprints.data.runfiles import write_run_file
    from fingerprints.detector.predict import predict_folder
    from fingerprints.detector.saved import load_run
    from fingerprints.reporting.tables import predictions_table

    run = load_run(config.run)
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
    write_run_file(out, predictions.rows["id"].tolist(), predictions.labels.tolist(), run.task)
    if config.scores is not None:
        classes = run.classes(config.generator or run.generators[0])
        predictions_table(run.task, classes, [predictions]).to_csv(config.scores, index=False)
    print(f"{len(predictions.rows):,} images labelled: {out}")


if __name__ == "__main__":
    main()
