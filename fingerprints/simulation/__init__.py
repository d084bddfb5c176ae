"""Labelled benchmarks from known real images: who trains which generator, and what is written."""
