"""A data holder's images against the images of a generator: who is exposed, and how sure that is."""
