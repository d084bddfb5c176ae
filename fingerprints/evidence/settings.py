"""Settings of p-values."""

from __future__ import annotations

from dataclasses import dataclass

from fingerprints.core.options import option


@dataclass(frozen=True, kw_only=True)
class EvidenceSettings:
    """Numbers of draws; intervals need none."""

    permutations: int = option(999, least=1, most=1_000_000, help="permutations of a p-value")
