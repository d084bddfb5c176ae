"""`python -m fingerprints.predict run=OUT images=DIR out=run.csv`: label images and write a run file."""

from __future__ import annotations

import sys

from fingerprints.config.launch import Place, launch
from fingerprints.config.roots import PredictSettings

USAGE = """\
Label images with a finished run and write a run file; prints the verdict of the run, and warns where its
labels should not be trusted.

usage: python -m fingerprints.predict run=OUT images=DIR [generated=DIR] out=run.csv [KEY=VALUE ...]

  run=OUT             run folder that `python -m fingerprints.train` made
  images=DIR          folder of images to label
  generated=DIR       task usage: folder of images from the generator in question
  generator=NAME      use the detector of this generator, if the run has several generators
  out=run.csv         run file to write: <image id>,<label>
  header=NAME,NAME    names of its columns as its first line; none (default: as data.run_file of the run)
  ids=file            id, file (with the image ending), path (default: as data.run_file of the run)
  scores=FILE         also write a table of id, label and score columns
  groups=CSV          task usage: patient of each image (file,group), for a table of patients; it has p and q
                      if the run's decision has reference images
  patients=FILE       the table of patients (default: beside out, with the ending _patients.csv)
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
    from fingerprints.detector.predict import chosen_generator, predict_folder
    from fingerprints.detector.saved import load_run
    from fingerprints.reporting import predicted
    from fingerprints.reporting.tables import predictions_table

    run = load_run(config.run)
    given = {name: value for name in ("header", "ids") if (value := getattr(config, name)) is not None}
    form = build(RunFileSettings, run.config["data"].get("run_file", {}) | given)
    generator = chosen_generator(run, config.generator)
    predictions = predict_folder(
        run,
        images=config.images,
        generated=config.generated,
        generator=generator,
        groups=config.groups,
        on_bad_image=config.on_bad_image,
        cache=config.store,
        accelerator=config.accelerator,
    )
    out = config.out
    rows = predictions.rows
    ids = spelled(rows["id"].tolist(), rows["path"].tolist(), form=form.ids)
    write_run_file(out, ids, predictions.labels.tolist(), run.task, header=form.columns)
    if config.scores is not None:
        predictions_table(run.task, run.classes(generator), [predictions]).to_csv(config.scores, index=False)
    print(f"{len(rows):,} images labelled: {out}")
    print("\n".join(predicted.summary_lines(run.record, predictions)))
    if (patients := predicted.patients_of(predictions)) is not None:
        table = config.patients or out.with_name(f"{out.stem}_patients.csv")
        predicted.patients_table(patients).to_csv(table, index=False)
        print(
            "\n".join(
                [*predicted.patient_lines(run.record, predictions, patients), f"  all of them: {table}"]
            )
        )
    for doubt in predicted.doubts(run.record, predictions, generator=generator):
        print(f"warning: {doubt}", file=sys.stderr)


if __name__ == "__main__":
    main()
