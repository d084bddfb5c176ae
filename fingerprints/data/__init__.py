"""The data set: files, pixels, groups, splits and pairs."""
