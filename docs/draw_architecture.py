"""Draw `docs/architecture.svg` from the imports in the code: `python -m docs.draw_architecture`.

Rooms stand in rows, each below everything that it imports. An arrow leads from a room to one that it
imports; arrows that follow from others (a room imports what its rooms import) are left out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "fingerprints"
PICTURE = Path(__file__).with_name("architecture.svg")

COMMANDS = "commands"
# The order of the house: a room imports itself and rooms above it. Each with one line of what it holds.
ROOMS = {
    "core": "errors, tasks, options, weights",
    "data": "files, pixels, groups, splits, pairs",
    "ingestion": "other people's files into ours",
    "images": "filters, regions, masks",
    "encoders": "networks, handcrafted features",
    "reductions": "PCA, autoencoder, t-SNE",
    "evidence": "figures, intervals, verdict",
    "runs": "the run folder and its one reader",
    "training": "losses, fit, hardware, checkpoints",
    "generators": "phantoms, GANs, VAE, diffusion",
    "embeddings": "images to vectors, kept",
    "decisions": "labels, clusters, scores and cuts",
    "detector": "build, fit, predict, save, load",
    "config": "schema, overrides, launching",
    "reporting": "figures, tables, plots, HTML, W&B",
    "simulation": "benchmarks with known truth",
    "experiment": "perform, begin, resume, stop",
    "comparison": "finished runs side by side",
    "auditing": "a data holder's patients, who is exposed",
}
LINE_OF_COMMANDS = "train, predict, compare, ingest, ..."

BOX, HEIGHT, GAP, ROW = 202.0, 44.0, 12.0, 86.0  # pixels
LANE = 32.0  # room for an arrow that passes a row
STYLE = """
  .room { fill: #f4f7fb; stroke: #34557b; stroke-width: 1.2 }
  .name { font: 600 13px DejaVu Sans, Verdana, sans-serif; fill: #16263a; text-anchor: middle }
  .line { font: 11px DejaVu Sans, Verdana, sans-serif; fill: #44566c; text-anchor: middle }
  .arrow { fill: none; stroke: #6b87a8; stroke-width: 1.4 }
  .note { font: 11px DejaVu Sans, Verdana, sans-serif; fill: #44566c }"""


def modules(package: Path = PACKAGE) -> list[Path]:
    """All modules of the package except its own `__init__`."""
    return sorted(path for path in package.rglob("*.py") if path != package / "__init__.py")


def imports(path: Path) -> set[str]:
    """Dotted names that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(path: Path, package: Path = PACKAGE) -> str:
    """The room of a module; `commands` at the root.

    Raises:
        ValueError: If the room has no place in the order.
    """
    parts = path.relative_to(package).parts
    if len(parts) == 1:
        return COMMANDS
    if parts[0] not in ROOMS:
        raise ValueError(f"{path}: '{parts[0]}' has no place among ROOMS in {Path(__file__).name}")
    return parts[0]


def room_imports(package: Path = PACKAGE) -> dict[str, set[str]]:
    """For every room, the rooms above it that it imports; that there are no others is for a test to say."""
    house = (*ROOMS, COMMANDS)
    found: dict[str, set[str]] = {name: set() for name in house}
    for path in modules(package):
        here = room(path, package)
        names = (name.split(".") for name in imports(path) if name.startswith("fingerprints."))
        found[here] |= {parts[1] for parts in names} & set(house[: house.index(here)])
    return found


def reduced(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The graph, which has no circle, without arrows that follow from others."""
    below = {name: _reached(name, graph) for name in graph}
    return {
        name: {to for to in targets if not any(to in below[other] for other in targets - {to})}
        for name, targets in graph.items()
    }


def _reached(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += graph[name]
    return found


@dataclass
class Node:
    """A box, or the place where the arrows to one room pass a row.

    Attributes:
        name: The room, or the room that the arrows lead to.
        row: 0 at the top.
        lane: Whether it is such a place.
        up: Nodes of the row above that it has a line to.
        down: Nodes of the row below that have a line to it.
        x: Middle, in pixels.
    """

    name: str
    row: int
    lane: bool = False
    up: list[Node] = field(default_factory=list)
    down: list[Node] = field(default_factory=list)
    x: float = 0.0

    @property
    def width(self) -> float:
        """Pixels that it takes."""
        return LANE if self.lane else BOX


def layers(arrows: Mapping[str, set[str]]) -> list[list[Node]]:
    """Rows of nodes, joined row by row: arrows to one room share their way."""
    row: dict[str, int] = {}
    for name in arrows:  # the order of the house: imported rooms come first
        row[name] = 1 + max((row[to] for to in arrows[name]), default=-1)
    rows: list[list[Node]] = [[] for _ in range(max(row.values()) + 1)]
    boxes = {name: Node(name, row[name]) for name in arrows}
    lanes: dict[tuple[str, int], Node] = {}
    for name, box in boxes.items():
        rows[box.row].append(box)
        for to in sorted(arrows[name], key=list(arrows).index):
            below = box
            for level in range(box.row - 1, row[to], -1):
                new = (to, level) not in lanes
                lane = lanes.setdefault((to, level), Node(to, level, lane=True))
                if new:
                    rows[level].append(lane)
                _join(below, lane)
                below = lane
            _join(below, boxes[to])
    return rows


def _join(below: Node, above: Node) -> None:
    if above not in below.up:
        below.up.append(above)
        above.down.append(below)


def place(rows: list[list[Node]]) -> float:
    """Sort every row and give its nodes an `x`, near the nodes that they are joined to; returns the width."""
    width = max(sum(node.width + GAP for node in nodes) + GAP for nodes in rows)
    for nodes in rows:
        _spread(nodes, [width / 2] * len(nodes), width=width)
    for sweep in range(24):
        downwards = sweep % 2 == 0
        for nodes in rows if downwards else rows[::-1]:
            wanted = {id(node): _middle(node.up if downwards else node.down, node.x) for node in nodes}
            if sweep < 16:
                nodes.sort(key=lambda node: wanted[id(node)])
            else:  # the order stands; only the places move
                wanted = {id(node): _middle(node.up + node.down, node.x) for node in nodes}
            _spread(nodes, [wanted[id(node)] for node in nodes], width=width)
    return width


def _middle(nodes: Iterable[Node], default: float) -> float:
    places = [node.x for node in nodes]
    return sum(places) / len(places) if places else default


def _spread(nodes: list[Node], wanted: list[float], *, width: float) -> None:
    """Places near to those wanted, in the given order, without overlap and within the picture."""
    apart = [GAP + (left.width + right.width) / 2 for left, right in pairwise(nodes)]
    first, last = GAP + nodes[0].width / 2, width - GAP - nodes[-1].width / 2
    from_left = _packed(_packed(wanted, apart, first), apart, last, backwards=True)
    from_right = _packed(_packed(wanted, apart, last, backwards=True), apart, first)
    for node, one, other in zip(nodes, from_left, from_right, strict=True):
        node.x = (one + other) / 2  # both keep the distances, and so does their mean


def _packed(places: list[float], apart: list[float], bound: float, *, backwards: bool = False) -> list[float]:
    """Places pushed away from a bound until neighbours keep their distance."""
    sign = -1 if backwards else 1
    order = range(len(places))[::sign]
    found = list(places)
    for number, at in enumerate(order):
        before = bound if number == 0 else found[at - sign] + sign * apart[min(at, at - sign)]
        found[at] = sign * max(sign * places[at], sign * before)
    return found


def picture(package: Path = PACKAGE) -> str:
    """The drawing as SVG; the same imports give the same text."""
    graph = room_imports(package)
    arrows = reduced(graph)
    rows = layers(arrows)
    width = place(rows)
    shown, all_of_them = sum(map(len, arrows.values())), sum(map(len, graph.values()))
    height = len(rows) * ROW + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
        "<title>Rooms of fingerprints and what they import</title>",
        f"<style>{STYLE}\n</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#6b87a8"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
    ]
    parts += [_line(node, above) for nodes in rows for node in nodes for above in node.up]
    parts += [_lane(node) for nodes in rows for node in nodes if node.lane]
    parts += [_box(node) for nodes in rows for node in nodes if not node.lane]
    parts.append(
        f'<text class="note" x="{GAP:.0f}" y="{height - GAP:.0f}">An arrow: imports. '
        f"Shown are {shown} of {all_of_them}; the others follow from these.</text>"
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _top(node: Node) -> float:
    return GAP + node.row * ROW


def _port(node: Node, other: Node, others: list[Node]) -> float:
    """Where on a node's edge its line to another begins: in the order of the others, left to right."""
    if node.lane:
        return node.x
    order = sorted(others, key=lambda item: item.x)
    return node.x + (order.index(other) - (len(order) - 1) / 2) * min(24.0, BOX / (len(order) + 1))


def _slope(node: Node) -> float:
    """Pixels to the right for each pixel down at a node: boxes are left straight."""
    if not node.lane:
        return 0.0
    return max(-0.35, min(0.35, (_middle(node.down, node.x) - _middle(node.up, node.x)) / (2 * ROW)))


def _line(node: Node, above: Node) -> str:
    start, end = _port(node, above, node.up), _port(above, node, above.down)
    start -= _slope(node) * HEIGHT / 2
    end += _slope(above) * HEIGHT / 2
    low, high = _top(node), _top(above) + HEIGHT
    bend = (low - high) * 0.45
    head = "" if above.lane else ' marker-end="url(#head)"'
    return (
        f'<path class="arrow" d="M{start:.1f} {low:.1f} '
        f"C{start - _slope(node) * bend:.1f} {low - bend:.1f} "
        f'{end + _slope(above) * bend:.1f} {high + bend:.1f} {end:.1f} {high:.1f}"{head}/>'
    )


def _lane(node: Node) -> str:
    aside, top = _slope(node) * HEIGHT / 2, _top(node)
    return (
        f'<path class="arrow" d="M{node.x + aside:.1f} {top + HEIGHT:.1f} L{node.x - aside:.1f} {top:.1f}"/>'
    )


def _box(node: Node) -> str:
    left, top = node.x - BOX / 2, _top(node)
    line = escape(ROOMS.get(node.name, LINE_OF_COMMANDS))
    return (
        f'<rect class="room" x="{left:.1f}" y="{top:.1f}" width="{BOX:.0f}" height="{HEIGHT:.0f}" rx="6"/>'
        f'<text class="name" x="{node.x:.1f}" y="{top + 18:.1f}">{escape(node.name)}</text>'
        f'<text class="line" x="{node.x:.1f}" y="{top + 34:.1f}">{line}</text>'
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
