"""One experiment: performed once, with a life (begin, stop, resume) and worker processes."""
