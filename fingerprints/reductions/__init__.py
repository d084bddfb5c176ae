"""Reductions of embeddings to fewer features: PCA, autoencoder, t-SNE."""
