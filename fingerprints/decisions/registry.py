"""Decisions by name: fitted from settings, or restored from what one left on disk."""

from __future__ import annotations

from fingerprints.core.fitted_state import FittedState
from fingerprints.core.options import part_of, settings_class
from fingerprints.decisions.contract import Decision, Fitting
from fingerprints.decisions.older import upgraded
from fingerprints.decisions.settings import DecisionSettings  # this import registers all of them


def fit_decision(settings: DecisionSettings, fitting: Fitting) -> Decision:
    """The decision of these settings, fitted.

    Raises:
        FingerprintsError: If the training part has no images that it can be fitted on.
    """
    return part_of(settings).fit(settings, fitting)


def restore_decision(state: FittedState) -> Decision:
    """The decision that left this state, also one of an earlier version.

    Raises:
        FingerprintsError: If no decision has its name.
    """
    current = upgraded(state)
    return part_of(settings_class("decision", current.name)).from_state(current)
