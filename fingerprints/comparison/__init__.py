"""Comparison of finished runs: which are compared, by which figures, and how certain the order is."""
