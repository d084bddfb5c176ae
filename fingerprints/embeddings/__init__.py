"""Images to vectors: where encoders come from, one pass over all processes, cached features."""
