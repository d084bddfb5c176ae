"""One detector: build from settings, fit, calibrate, predict, save and load."""
