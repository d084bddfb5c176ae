"""Labelled benchmarks from known real images: which images train which generator, and which files."""
