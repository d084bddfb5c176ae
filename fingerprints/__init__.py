"""Which real medical images trained a generator? Detectors of training-data traces, and their evidence."""

__version__ = "0.1.0"
