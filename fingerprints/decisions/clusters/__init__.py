"""Decisions that cluster the queries."""
