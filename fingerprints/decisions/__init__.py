"""Decisions on embeddings: centroids, classifiers, clusters, votes, distance to the generated set."""
