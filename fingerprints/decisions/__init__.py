"""Decisions on embeddings: classifiers, clusterings, and scores with cuts, under one contract."""
