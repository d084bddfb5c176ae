"""The page of an audit, as one self-contained HTML file for readers without a background in statistics."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from fingerprints.reporting.comparison_page import environment, look, source
from fingerprints.reporting.html import PicturePanel, number

WORDS = {
    "exposed": ("Exposed", "clear"),
    "standing_out": ("Some stand out, not shown to be exposed", "weak"),
    "nothing_shown": ("Nobody shown to be exposed", "nothing_found"),
    "ranks_only": ("Ranks only", "unscored"),
}
"""Level of an audit -> its label, and the class that gives the banner's colour."""

SHOWN = 50
"""Rows up to which a table does not scroll by itself."""


def render_audit(
    document: dict[str, Any],
    pictures: PicturePanel | None,
    *,
    how: str,
    copies: PicturePanel | None = None,
) -> str:
    """The page as text; equal content gives equal text.

    Its policy allows one script, which sorts tables, by its digest.

    Args:
        document: The content of `audit.json`.
        pictures: Images of the most exposed patients beside generated ones; `None`: not on the page.
        how: How to get images, if there are none.
        copies: Images that match generated ones, and their differences after alignment; `None`: not on the
            page.
    """
    script = source("sort.js")
    word, colour = WORDS[document["verdict"]["level"]]
    return (
        environment()
        .get_template("audit.html.j2")
        .render(
            audit=document,
            word=word,
            colour=colour,
            pictures=pictures,
            copies=copies,
            how=how,
            look=look(),
            script=script,
            script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            shown=SHOWN,
            score=lambda value: number(value, places=4),
            short=lambda value: number(value, places=2),
            chance=chance,
            share=lambda value: f"{value:.0%}",
        )
    )


def chance(value: float | None) -> str:
    """A p-value or q-value as text: four decimals, a dash if there is none."""
    return "< 0.0001" if value is not None and value < 0.0001 else number(value, places=4)
