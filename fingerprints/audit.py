"""`python -m fingerprints.audit real=DIR generated=DIR out=DIR`: which patients are exposed?"""

from __future__ import annotations

from fingerprints.config.auditing import AuditSettings
from fingerprints.config.launch import Place, launch

USAGE = """\
Say which patients can be recognised in generated images, how sure that is, and what could not be seen.

usage: python -m fingerprints.audit real=DIR generated=DIR [reference=DIR] out=DIR [KEY=VALUE ...]

  real=DIR              real images that may have trained the generator: pictures or DICOM files
  generated=DIR         images that the generator made
  reference=DIR         real images of other patients that certainly did not train it; gives p-values
  reference=auto        take the patients in unused=FILE (one on each line) out of real as reference
  out=DIR               folder to make: audit.html, audit.json, patients.csv, images.csv
  groups=CSV            patient of each real image (two columns, file and patient); or groups=folders
                        (default: patient ids of DICOM files, near-duplicate clusters of other images)
  reference_groups=CSV  the same for the reference
  size=64               side in pixels at which images are compared
  window=lung           window of DICOM files: lung (-600,1500), or CENTER,WIDTH in Hounsfield units
  error=0.05            accepted share of false findings
  names=keep            write patients' and files' own names; default: keyed hashes
  key=FILE              record which hash is which patient and file
  salt=FILE             hash with the key in this file (made if missing), so that audits can be compared
  embed_images=true     put the most exposed images into the page
  against=DIR           compare with an earlier audit of the same patients
  fail_on=exposed       exit code 3 if somebody is shown to be exposed; standing_out: also if images stand
                        out while the reference has too few patients to be sure
  force=true            go on although sizes or formats differ; the page says so
  battery=default       detectors; --help battery=default shows them
  planted=32            copies, and blends, to plant, to learn what could be seen; 0: none (default: by the
                        size of the reference)
  on_bad_image=skip     continue without files that cannot be used
  seed=0
"""
EXPOSED = 3  # exit code
FAILING = {"nothing": (), "exposed": ("exposed",), "standing_out": ("exposed", "standing_out")}


def main() -> None:
    """Entry point."""
    launch(_job, "audit", usage=USAGE)


def _job(settings: AuditSettings, place: Place) -> None:
    # Imported late, so that help and configuration errors do not wait for torch.
    from fingerprints.auditing.audit import audit
    from fingerprints.auditing.write import PAGE, write
    from fingerprints.core.progress import console_progress
    from fingerprints.core.signals import handled

    with handled():
        found = write(audit(settings, progress=console_progress()))
    verdict = found["verdict"]
    print("\n".join([*verdict["sentences"], f"page: {settings.out / PAGE}"]))
    if verdict["level"] in FAILING[settings.fail_on]:
        raise SystemExit(EXPOSED)


if __name__ == "__main__":
    main()
