"""`python -m fingerprints.ingest images=DIR out=DIR`: import your own images, without patient names."""

from __future__ import annotations

from fingerprints.config.launch import Place, launch
from fingerprints.ingestion.settings import IntakeSettings

USAGE = """\
Make grey square pictures of one size, with groups, from a folder of images or DICOM files.

usage: python -m fingerprints.ingest images=DIR out=DIR [KEY=VALUE ...]

  images=DIR            PNG, JPEG, BMP, TIFF and DICOM files, with or without subfolders
  out=DIR               folder to make: images/, groups.csv, near_duplicates.csv, ingest.json
  size=256              side of the pictures in pixels; other shapes are first padded to a black square
  window=lung           window of DICOM files: lung (-600,1500), or CENTER,WIDTH in Hounsfield units
  groups=CSV            patient of each file (two columns, file and group); overrides the DICOM patient id
  groups=folders        the folder of a file is its patient, if it has no DICOM patient id
                        (default: patient ids of DICOM files, near-duplicate clusters of other images)
  near_duplicate=0.95   two pictures with at least this thumbnail correlation are near-duplicates
  on_bad_image=skip     continue without files that cannot be used; they are counted
  salt=FILE             hash patients with the key in this file (made if missing), so that later calls give
                        patients the same names; default: a random key, which is not saved
  key=FILE              write the source file of each picture; without it, pictures cannot be traced back
"""


def main() -> None:
    """Entry point."""
    launch(_job, "ingest", usage=USAGE)


def _job(settings: IntakeSettings, place: Place) -> None:
    # Imported late, so that help and configuration errors do not wait for it.
    from fingerprints.core.progress import console_progress
    from fingerprints.core.signals import handled
    from fingerprints.ingestion.intake import ingest

    with handled():
        intake = ingest(settings, progress=console_progress())
    print(intake.describe())


if __name__ == "__main__":
    main()
