"""Models that make images: phantoms, and networks trained on real images."""
