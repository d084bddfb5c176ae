"""Decisions by name: fit one from settings, or restore one from its stored state."""

from __future__ import annotations

from fingerprints.core.fitted_state import FittedState
from fingerprints.core.options import part_of, settings_class
from fingerprints.decisions.contract import Decision, Fitting
from fingerprints.decisions.older import upgraded
from fingerprints.decisions.settings import DecisionSettings


def fit_decision(settings: DecisionSettings, fitting: Fitting) -> Decision:
    """Fit the decision with these settings.

    Raises:
        FingerprintsError: If the training part has no images that the decision can be fitted on.
    """
    return part_of(settings).fit(settings, fitting)


def restore_decision(state: FittedState) -> Decision:
    """Restore a decision from its stored state; states of earlier versions are accepted.

    Raises:
        FingerprintsError: If no decision has the name of the state.
    """
    current = upgraded(state)
    return part_of(settings_class("decision", current.name)).from_state(current)
