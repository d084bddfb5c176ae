"""Processing of pixels between the image store and the encoder: filters, lung masks, regions."""
