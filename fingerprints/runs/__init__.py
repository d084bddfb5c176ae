"""The run folder: its files, its status, sweeps of runs, and where results come from."""
