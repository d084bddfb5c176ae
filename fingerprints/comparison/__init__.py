"""Finished runs side by side: who is compared with whom, in which figures, and how sure the order is."""
