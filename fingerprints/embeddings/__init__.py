"""Converting images to vectors: sources of encoders, encoding on all processes, cached features."""
