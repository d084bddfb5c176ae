"""Decisions that cluster the images they are asked about."""
