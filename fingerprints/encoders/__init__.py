"""Encoders: CNNs trained here, pretrained backbones, handcrafted features, and concatenations of them."""
