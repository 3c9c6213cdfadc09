"""MIWAE: a variational autoencoder of signals, fitted to what was measured of them.

MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets (Mattei and Frellsen, 2019),
https://arxiv.org/abs/1812.02633.
"""

from __future__ import annotations

__all__ = ["MIWAE"]

from dataclasses import dataclass
from typing import Any, ClassVar

from dcdbench.methods import register
from dcdbench.networks.vae import VAE
from dcdbench.phases.explicit import is_diagonal
from dcdbench.phases.miwae import FitVAE
from dcdbench.problem import Corruption
from dcdbench.protocols import Setting
from dcdbench.samplers.latent import FromPrior
from dcdbench.streams import Stream


@register("miwae")
@dataclass(frozen=True)
class MIWAE:
    """A latent variable model with an architecture of its own, which sees the images of both phases.

    Signals have independent noise around the decoder's mean: of a width per entry for masks and the
    identity, of one for all entries where another linear operator is shared by all samples. Each likelihood
    is exact, that of measurement noise included.

    Args:
        samples: Latents per measurement in the bound.
        latent: The number of latents; 0 for as many as the signal has entries, at most 16.
        width: Hidden units of encoder and decoder.
        depth: Hidden layers of each.
        lr: The learning rate.
    """

    samples: int = 20
    latent: int = 0
    width: int = 128
    depth: int = 2
    lr: float = 1e-2

    needs_clean: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, least in (("samples", 1), ("latent", 0), ("width", 1), ("depth", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be >= {least}, got {getattr(self, name)}")
        if not self.lr > 0:
            raise ValueError(f"lr must be > 0, got {self.lr}")

    def supports(self, corruption: Corruption, shape: tuple[int, ...]) -> str | None:
        """Masks, and linear operators that all samples share; under white noise."""
        if corruption.noise is not None:
            return "the likelihood of the noise is not Gaussian: needs white noise"
        if not corruption.operator.linear:
            return "needs a linear operator, through which Gaussians stay Gaussian"
        if corruption.operator.random and not is_diagonal(
            corruption.operator.draw(shape, 1, Stream(0).rng())
        ):
            return "entries of what it measures are dependent: needs masks, or one shared operator"
        return None

    def phases(self, setting: Setting) -> tuple[FitVAE, ...]:
        """The training."""
        network = VAE(self.latent, self.width, self.depth)
        kimg = setting.teacher_kimg + setting.student_kimg
        return (FitVAE(network, kimg, setting.batch, self.samples, self.lr),)

    def sampler(self, setting: Setting) -> FromPrior:
        """Latents of the prior, the signal around their mean."""
        return FromPrior()

    def expected(self, law: Any, corruption: Corruption) -> Any | None:
        """Nothing exact: the bound is not tight."""
        return None
