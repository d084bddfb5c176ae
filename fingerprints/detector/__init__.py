"""One detector: built from settings, fitted, calibrated, asked, saved and loaded."""
