"""Decisions on embeddings: classifiers, clusterings, and scores with cuts, under one contract."""

import fingerprints.decisions.scores.settings  # noqa: F401  registers the scores for whoever asks for options
