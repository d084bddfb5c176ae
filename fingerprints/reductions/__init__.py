"""Reductions of embeddings to fewer numbers: PCA, autoencoder, t-SNE."""
