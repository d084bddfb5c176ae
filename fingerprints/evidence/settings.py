"""Settings of intervals and p-values."""

from __future__ import annotations

from dataclasses import dataclass

from fingerprints.core.options import option


@dataclass(frozen=True, kw_only=True)
class EvidenceSettings:
    """Numbers of draws for intervals and p-values."""

    resamples: int = option(1000, least=1, most=1_000_000, help="bootstrap samples of an interval")
    permutations: int = option(999, least=1, most=1_000_000, help="permutations of a p-value")
