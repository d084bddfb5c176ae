"""Configuration under Hydra: schema, overrides, explanations of errors, launching, printed figures."""
