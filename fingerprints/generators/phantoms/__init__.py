"""Axial thorax CT slices of virtual patients, drawn by formulas: for tests and trials without real data."""
