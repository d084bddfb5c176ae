"""A run's result in a few lines of text, from the content of `metrics.json`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fingerprints.core.tasks import get_task
from fingerprints.evidence.baselines import TRIVIAL
from fingerprints.evidence.estimates import chosen_text
from fingerprints.runs.figures import MEAN, Document, overall
from fingerprints.runs.folder import REPORT


def document_lines(document: Document, folder: Path) -> list[str]:
    """Terminal lines for a finished run: at most six, for any number of generators."""
    names = get_task(document["task"], official=document.get("official")).headline
    lines = []
    if test := overall(document["test"]):
        generators = [name for name in document["test"] if test is not document["test"] and name != MEAN]
        title = f"test, mean of {len(generators)} generators" if generators else "test"
        lines.append(f"{title}: {_shown(test, names)}")
        if generators:
            each = [f"{name} {_interval(document['test'][name][names[0]])}" for name in generators]
            lines.append(f"  by generator, {names[0]}: {', '.join(each)}")
        if beside := _beside(document, names[0]):
            lines.append(f"  baselines, {names[0]}: {beside}")
    budget = f"encoder budget: {sum(document['encoder_budget'].values()):,} images encoded in training"
    if held_out := _shown(overall(document["validation"]), names):
        official = _figure(document["validation"], names[0]) or {}
        chosen = chosen_text(official.get("chosen_on", []))
        budget = "; ".join(filter(None, [f"validation: {held_out}", chosen, budget]))
    lines.append(budget)
    return [*lines, document["verdict"]["headline"], f"report: {folder / REPORT}"]


def brief(documents: Mapping[str, Document]) -> str:
    """The official figure of several systems on the same data, chance and the best blind baseline: one line.

    Args:
        documents: Content of `metrics.json`, by the system's name.
    """
    *_, document = documents.values()
    metric = get_task(document["task"], official=document.get("official")).official
    part = "test" if document["test"] else "validation"
    found = {name: _figure(levels[part], metric) for name, levels in documents.items()}
    each = [
        f"{name} {'not known' if figure is None else _interval(figure)}" for name, figure in found.items()
    ]
    texts = [f"{part} {metric} {', '.join(each)}"]
    chances = [figure["chance"] for figure in found.values() if figure is not None and "chance" in figure]
    chance = chances[-1] if chances else None
    if chance is not None:
        texts.append(f"chance {abs(round(chance, 3)):.3f}")
    blind = {
        which: figure
        for which, figures in document["baselines"].items()
        if which not in TRIVIAL and (figure := _figure(figures, metric)) is not None
    }
    if blind:
        best = max(blind, key=lambda which: blind[which]["value"])
        texts.append(f"best blind baseline {_interval(blind[best])} ({best})")
    return "; ".join(texts)


def _figure(levels: Document, metric: str) -> Document | None:
    """The figure of a section, or `None` if it has no value."""
    figure = overall(levels).get(metric)
    return None if figure is None or figure["value"] is None else figure


def _beside(document: Document, metric: str) -> str:
    """The baselines' figures, blind ones first and with intervals."""
    found = {n: f for n, levels in document["baselines"].items() if (f := _figure(levels, metric))}
    blind = [f"{name} {_interval(figure)}" for name, figure in found.items() if name not in TRIVIAL]
    trivial = [f"{name} {figure['value']:.3f}" for name, figure in found.items() if name in TRIVIAL]
    kinds = {"blind": blind, "trivial": trivial}
    return "; ".join(f"{kind} {', '.join(texts)}" for kind, texts in kinds.items() if texts)


def _shown(figures: Document, names: tuple[str, ...]) -> str:
    """The available figures, the first one together with chance."""
    texts = []
    for name in names:
        figure = _figure(figures, name)
        if figure is None:
            continue
        chance = figure.get("chance") if name == names[0] else None
        at_random = "" if chance is None else f" (chance {abs(round(chance, 3)):.3f})"
        texts.append(f"{name} {_interval(figure)}{at_random}")
    return "  ".join(texts)


def _interval(figure: Document) -> str:
    if figure["value"] is None:
        return "not known"
    if figure["low"] is None:
        return f"{figure['value']:.3f}"
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"
