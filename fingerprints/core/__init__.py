"""Shared by all rooms: errors, tasks, options, files, signals, progress, fitted state, weights."""
