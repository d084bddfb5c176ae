"""`python -m fingerprints.ingest images=DIR out=DIR`: your own images, without what names a patient."""

from __future__ import annotations

import re
import sys

from fingerprints.config.launch import Place, launch
from fingerprints.ingestion.settings import IntakeSettings

USAGE = """\
Make grey square pictures of one size, with groups, from a folder of images or DICOM files.

usage: python -m fingerprints.ingest images=DIR out=DIR [KEY=VALUE ...]

  images=DIR            PNG, JPEG, BMP, TIFF and DICOM files, in folders or not
  out=DIR               folder to make: images/, groups.csv, near_duplicates.csv, ingest.json
  size=256              pixels a side; what is not square gets a black border first
  window=lung           of DICOM files: lung (-600,1500), or CENTER,WIDTH in Hounsfield units
  groups=CSV            patient of each file (two columns, file and group), before the DICOM patient id
  groups=folders        the folder that a file lies in is its patient, where it has no DICOM patient id
                        (default: patient ids of DICOM files, near-duplicate clusters of other images)
  near_duplicate=0.95   thumbnail correlation from which two pictures are nearly the same
  on_bad_image=skip     go on without files that cannot be used; they are counted
  salt=FILE             hash patients with the key in this file (made if missing), so that another call
                        gives them the same names; default: a random key that nobody keeps
  key=FILE              write which picture came from which file: the only way back to the patients
"""


def main() -> None:
    """Entry point."""
    # Hydra would take CENTER,WIDTH for two jobs of a sweep.
    sys.argv[1:] = [re.sub(r"^window=([^'\"]*,[^'\"]*)$", r"window='\1'", word) for word in sys.argv[1:]]
    launch(_job, "ingest", usage=USAGE)


def _job(settings: IntakeSettings, place: Place) -> None:
    # Imported late: help and configuration errors must not wait for it.
    from fingerprints.core.progress import console_progress
    from fingerprints.core.signals import handled
    from fingerprints.ingestion.intake import ingest

    with handled():
        intake = ingest(settings, progress=console_progress())
    print(intake.describe())


if __name__ == "__main__":
    main()
