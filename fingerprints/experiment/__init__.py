"""One experiment: its steps, its life cycle (begin, stop, resume) and its worker processes."""
