"""Decisions with labels of their own: centroids, support vectors, neighbours, a trained head."""
