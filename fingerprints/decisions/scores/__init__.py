"""Scores of `usage`: how likely a real image trained the generator."""
