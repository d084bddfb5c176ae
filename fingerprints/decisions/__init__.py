"""Decisions on embeddings: nearest centroid, distance to the generated set."""
