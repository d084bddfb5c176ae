"""Axial thorax CT slices of virtual patients, drawn by formula: data for tests and trials without any."""
