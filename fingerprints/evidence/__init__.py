"""How far an answer can be trusted: figures, intervals, baselines, and the verdict in words."""
