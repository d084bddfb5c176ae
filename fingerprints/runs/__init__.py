"""The run folder: what lies in it, its status, sweeps of runs, and where results come from."""
