"""`python -m fingerprints.dashboard project=NAME`: make the W&B dashboard."""

from __future__ import annotations

from typing import Any

from fingerprints.config.launch import launch
from fingerprints.config.roots import DashboardSettings

USAGE = """\
Make the dashboard of a W&B project, or write its specification to a file.

usage: python -m fingerprints.dashboard [KEY=VALUE ...]

  project=NAME        W&B project (default fingerprints)
  entity=NAME         W&B user or team (default: yours)
  name=TEXT           name of the view
  generators=[A,B]    names of the generators, if runs have several
  out=FILE.json       write the specification instead of saving it on the server
"""


def main() -> None:
    """Entry point."""
    launch(_job, "dashboard", usage=USAGE)


def _job(config: DashboardSettings, _: Any) -> None:
    # Imported late, so that help and configuration errors do not wait for it.
    from fingerprints.reporting.workspace import dashboard, save_online, save_spec

    workspace = dashboard(
        project=config.project,
        entity=config.entity or "",
        name=config.name,
        generators=list(config.generators),
    )
    if config.out is None:
        print(f"dashboard: {save_online(workspace)}")
    else:
        save_spec(workspace, config.out)
        print(f"specification of the dashboard: {config.out}")


if __name__ == "__main__":
    main()
