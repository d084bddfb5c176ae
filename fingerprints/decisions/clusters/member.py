"""Clusterings that are used inside another one."""

from __future__ import annotations

from fingerprints.core.options import part_of, settings_class
from fingerprints.decisions.clusters.clustering import Clustering


def member(name: str, *, clusters: int, seed: int) -> Clustering:
    """The clustering with this name and its default settings."""
    settings = settings_class("decision", name)()
    return part_of(settings)(settings=settings, clusters=clusters, seed=seed)


def member_memory(name: str, *, images: int, width: int, clusters: int) -> int:
    """Bytes that the clustering with this name needs; see `Decision.memory`."""
    settings = settings_class("decision", name)()
    return part_of(settings).memory(settings, images=images, width=width, clusters=clusters)
