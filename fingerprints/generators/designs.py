"""The designs of generators by name: their settings, and the module that each is trained in."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from fingerprints.core.errors import FingerprintsError, nearest
from fingerprints.generators.diff_augment import DiffAugment
from fingerprints.generators.diffusion import DiffusionModule, DiffusionSettings
from fingerprints.generators.gan import GANModule, GANSettings
from fingerprints.generators.module import GeneratorModule, GeneratorSettings
from fingerprints.generators.style import StyleGANModule, StyleGANSettings
from fingerprints.generators.vae import VAEModule, VAESettings

DESIGNS: dict[str, tuple[type, type[GeneratorModule]]] = {
    "gan": (GANSettings, GANModule),
    "stylegan": (StyleGANSettings, StyleGANModule),
    "vae": (VAESettings, VAEModule),
    "diffusion": (DiffusionSettings, DiffusionModule),
}


def make_settings(design: str, values: dict[str, Any]) -> Any:
    """The settings of a design from plain values, as a configuration holds them.

    Args:
        design: Name of the design.
        values: Any of its settings.

    Raises:
        FingerprintsError: If there is no such design, or it has no such setting.
    """
    if design not in DESIGNS:
        near = nearest(design, DESIGNS)
        raise FingerprintsError(
            f"There is no generator '{design}'; there are {', '.join(DESIGNS)}.",
            where=f"generator={design}",
            fix=f"generator={near[0]}" if near else "choose one of them",
        )
    settings, _ = DESIGNS[design]
    _refuse_unknown(design, values, settings)
    typed = dict(values)
    if isinstance(typed.get("augment"), dict):
        _refuse_unknown(design, typed["augment"], DiffAugment, prefix="augment.")
        typed["augment"] = DiffAugment(**typed["augment"])
    if "channels" in typed:
        typed["channels"] = tuple(typed["channels"])
    return settings(**typed)


def _refuse_unknown(design: str, values: dict[str, Any], kind: Any, *, prefix: str = "") -> None:
    known = {field.name for field in fields(kind)}
    if unknown := sorted(set(values) - known):
        raise FingerprintsError(
            f"Generator '{design}' has no setting {', '.join(prefix + name for name in unknown)}.",
            where=f"generator={design}",
            fix=f"some of {', '.join(prefix + name for name in sorted(known))}",
        )


def module_of(settings: GeneratorSettings) -> type[GeneratorModule]:
    """The module that a design is trained in."""
    return DESIGNS[settings.design][1]


def check_size(size: int, settings: GeneratorSettings) -> None:
    """Refuse sizes that a design cannot make.

    Raises:
        FingerprintsError: With those that it can.
    """
    module_of(settings).check_size(size, settings)
