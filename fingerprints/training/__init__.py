"""Training on pairs: losses, the LightningModule, optimiser, augmentation."""
