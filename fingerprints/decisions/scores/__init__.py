"""Scores of `usage`: how likely the generator was trained on a real image."""
