"""How far an answer can be trusted: figures, intervals, what one must beat, and the verdict in words."""
