"""Opens a page in a headless Chromium, where one is installed: what its console says, and what is too wide.

The browser is the program that the environment variable `CHROME` names, or `chromium`, `chromium-browser` or
`google-chrome` of the path.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 60

# The page lies in frames, because no window of a desktop is as narrow as a phone, and because its policy
# forbids scripts of its own. Folded parts are opened: they must fit as well.
FRAMES = """<!DOCTYPE html><meta charset="utf-8"><body>%s<pre id="found"></pre><script>
const start = (element) => element.outerHTML.slice(0, 100);
const sorted = (table) => [...table.tHead.rows[0].cells].map((head, at) => {
  head.querySelector("button").click();
  const texts = [...table.tBodies[0].rows].map((row) => row.cells[at].textContent);
  return {way: head.getAttribute("aria-sort"), number: head.matches(".num"), texts};
});
addEventListener("load", () => {
  const found = [...document.querySelectorAll("iframe")].map((frame) => {
    const inside = frame.contentDocument, width = frame.clientWidth;
    inside.querySelectorAll("details").forEach((part) => { part.open = true; });
    const all = [...inside.body.querySelectorAll("*")];
    const scrolls = (element) => frame.contentWindow.getComputedStyle(element).overflowX !== "visible";
    const inScroller = (element) => {
      for (let above = element.parentElement; above !== inside.body; above = above.parentElement)
        if (scrolls(above)) return true;
      return false;
    };
    const ends = (element) => element.getBoundingClientRect().right;
    const wide = all.filter((element) => ends(element) > width + 1 && !inScroller(element));
    const scrolled = all.filter((element) => scrolls(element) && !element.matches(".hidden, pre, svg")
      && element.scrollWidth > element.clientWidth + 1);
    const page = inside.documentElement.scrollWidth;
    const empty = [...inside.images].filter((image) => !image.naturalWidth);
    return {width, page, wide: wide.map(start), scrolled: scrolled.map(start), empty: empty.map(start),
      sorted: [...inside.querySelectorAll("table.sortable")].map(sorted)};
  });
  document.getElementById("found").textContent = JSON.stringify(found);
});
</script></body>"""


@dataclass(frozen=True)
class Layout:
    """A page in a window of a given width in CSS pixels; elements are named by the start of their HTML.

    Attributes:
        width: Width of the window.
        page: Width of the page: above `width`, the whole page scrolls sideways.
        wide: Elements that end right of the window, and are in no part of the page that scrolls by itself.
        scrolled: Parts of the page whose content is wider than they are, so that they scroll by themselves:
            usual for a table on a phone. Listings (`pre`) are left out.
        empty: Images that the browser does not show.
        sorted: For each table that sorts, for each column: `way`, `number` (whether it holds figures) and the
            `texts` of the column after its title was clicked once.
    """

    width: int
    page: int
    wide: list[str]
    scrolled: list[str]
    empty: list[str]
    sorted: list[list[dict[str, Any]]]


@dataclass(frozen=True)
class Opened:
    """What a browser says about a page: the lines of its console, and a layout per width."""

    console: list[str]
    layouts: list[Layout]


def browser() -> str | None:
    """The browser's path; `None` if none is installed."""
    named = os.environ.get("CHROME")
    return next(filter(None, map(shutil.which, [named] if named else NAMES)), None)


needs_browser = pytest.mark.skipif(browser() is None, reason="no Chromium; CHROME can name one")


def open_page(page: Path, folder: Path, *, widths: Sequence[int] = (1280, 390)) -> Opened:
    """Open a page at some widths.

    Args:
        page: An HTML file.
        folder: An empty folder for the browser's profile.
        widths: Widths of the windows in CSS pixels.
    """
    program = browser()
    assert program is not None
    frame = '<iframe src="{}" style="border:0;width:{}px;height:900px"></iframe>'
    source = html.escape(page.resolve().as_uri())
    frames = folder / "frames.html"
    frames.write_text(FRAMES % "".join(frame.format(source, width) for width in widths))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-extensions", "--no-first-run"]
    flags += ["--allow-file-access-from-files", "--enable-logging=stderr"]
    done = subprocess.run(
        [program, *flags, f"--user-data-dir={folder / 'profile'}", "--dump-dom", frames.as_uri()],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    found = re.search(r'<pre id="found">(.+?)</pre>', done.stdout, flags=re.DOTALL)
    assert found, done.stderr
    return Opened(
        console=[line for line in done.stderr.splitlines() if ":CONSOLE" in line],
        layouts=[Layout(**layout) for layout in json.loads(html.unescape(found[1]))],
    )
