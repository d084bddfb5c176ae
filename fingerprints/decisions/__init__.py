"""Decisions on embeddings: classifiers, clusterings, and scores with cuts, under one contract."""

# Registers the scores for whoever asks for options.
import fingerprints.decisions.scores.attack_settings
import fingerprints.decisions.scores.density_settings
import fingerprints.decisions.scores.settings  # noqa: F401
