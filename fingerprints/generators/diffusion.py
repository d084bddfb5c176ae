"""A denoising diffusion model: network and schedules from `diffusers`, sampling by DDIM (Song et al. 2021).

The network gets blocks of pixels as channels (Hoogeboom et al. 2023, simple diffusion, section 3.3), which
is much cheaper than full resolution. It predicts v (Salimans and Ho 2022). The cosine schedule ends in
pure noise (Lin et al. 2024), so that mean grey levels are learnt too.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fingerprints.core.errors import FingerprintsError
from fingerprints.generators.batches import RealBatch
from fingerprints.generators.diff_augment import augment, draw_changes
from fingerprints.generators.module import GeneratorModule
from fingerprints.generators.settings import DiffusionSettings

TIMES = 1000  # time steps of the forward process


class DiffusionModule(GeneratorModule):
    """The diffusion model in training.

    Args:
        size: Image side in pixels.
        settings: Network, optimisation and sampling.
        **options: As `GeneratorModule` takes them.
    """

    figures = ("loss",)
    sampling_batch = 50

    def __init__(self, *, size: int, settings: DiffusionSettings, **options: Any) -> None:
        super().__init__(size=size, settings=settings, **options)
        from diffusers import DDIMScheduler, DDPMScheduler  # takes seconds, and only this design needs it

        process: dict[str, Any] = {
            "num_train_timesteps": TIMES,
            "beta_schedule": "squaredcos_cap_v2",
            "prediction_type": "v_prediction",
            "rescale_betas_zero_snr": True,
        }
        self.forward_process: Any = DDPMScheduler(**process)
        self.reverse_process: Any = DDIMScheduler(**process, timestep_spacing="trailing", clip_sample=True)
        self.network = Denoiser(size=size, settings=settings)
        self.average = self.averaged(self.network, settings.ema)

    @classmethod
    def check_size(cls, size: int, settings: DiffusionSettings) -> None:
        """Refuse sizes that cannot be divided into blocks and levels.

        Raises:
            FingerprintsError: If the size is not a multiple of the divisor; the message names it.
        """
        divisor = settings.patch * 2 ** (len(settings.channels) - 1)
        if size % divisor or size < 2 * divisor:
            raise FingerprintsError(
                f"The diffusion model cannot make images of {size} x {size} pixels with blocks of "
                f"{settings.patch} pixels and {len(settings.channels)} levels.",
                where=f"size={size}",
                fix=f"use a multiple of {divisor} from {2 * divisor}, or another generator.patch",
            )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.network.parameters(), lr=self.settings.lr)

    def training_step(self, batch: RealBatch, batch_idx: int) -> None:
        """One update: predict v of noisy images, with one time for each image."""
        optimiser = cast(Any, self.optimizers())
        for group in optimiser.param_groups:
            group["lr"] = self.settings.lr * min(1, (batch.step + 1) / max(1, self.settings.warmup))
        rng = torch.Generator().manual_seed(batch.seed)
        n, side = batch.count, batch.images.shape[-1]
        noise = batch.share(torch.randn(n, 1, side, side, generator=rng))
        # One time from each of n equal intervals: the loss varies less than with n independent times.
        parts = (torch.randperm(n, generator=rng) + torch.rand(n, generator=rng)) / n
        times = batch.share((parts * TIMES).long().clamp_max(TIMES - 1))
        draws = batch.share(draw_changes(n, rng))
        real = augment(batch.pixels(), draws, settings=self.settings.augment)
        process = self.forward_process
        noisy = process.add_noise(real, noise, times)
        wanted = process.get_velocity(real, noise, times)
        loss = F.mse_loss(self.network(noisy, times).float(), wanted)
        self.update(optimiser, loss)
        self.average.update_parameters(self.network)
        self.record(batch, loss)

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """`(n, 1, S, S)`: DDIM from noise, without noise in the later steps."""
        images = torch.randn(n, 1, self.size, self.size, generator=rng).to(self.device)
        process = self.reverse_process
        process.set_timesteps(self.settings.sampling_steps)
        for time in process.timesteps.tolist():
            times = torch.full((n,), time, device=self.device)
            step = process.step(self.sampler(images, times), time, images)
            images = step.prev_sample
        # Its previous sample would keep some noise if `TIMES` is not a multiple of the number of steps.
        return cast(Tensor, step.pred_original_sample)


class Denoiser(nn.Module):
    """A U-Net of `diffusers` on blocks of pixels.

    Args:
        size: Image side in pixels.
        settings: Settings of the U-Net.
    """

    def __init__(self, *, size: int, settings: DiffusionSettings) -> None:
        super().__init__()
        from diffusers import UNet2DModel

        self.patch = settings.patch
        coarse = "Attn" if settings.attention else ""
        plain = len(settings.channels) - 1
        self.unet: Any = UNet2DModel(
            sample_size=size // settings.patch,
            in_channels=settings.patch**2,
            out_channels=settings.patch**2,
            layers_per_block=settings.layers,
            block_out_channels=settings.channels,
            down_block_types=(*["DownBlock2D"] * plain, f"{coarse}DownBlock2D"),
            up_block_types=(f"{coarse}UpBlock2D", *["UpBlock2D"] * plain),
            # At least four channels per group: with one, the norm would remove the shift by the time.
            norm_num_groups=max(1, math.gcd(32, *settings.channels) // 4),
            attention_head_dim=min(16, settings.channels[-1]),
            add_attention=settings.attention,
        )

    def forward(self, images: Tensor, times: Tensor) -> Tensor:
        """`(n, 1, size, size)` and times `(n,)` from 0 to 999, to `(n, 1, size, size)`."""
        blocks = F.pixel_unshuffle(images, self.patch)
        return F.pixel_shuffle(self.unet(blocks, times, return_dict=False)[0], self.patch)
