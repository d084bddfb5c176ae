"""Encoders: own CNNs, pretrained backbones, handcrafted features, and several of them side by side."""
