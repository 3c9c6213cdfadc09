"""What needs no network: a Gaussian of the measurements' moments, and a mixture by maximum likelihood."""

from __future__ import annotations

__all__ = ["GaussianMixtureEM", "PCAGaussian"]

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from dcdbench.analytic import Gaussian
from dcdbench.methods import register
from dcdbench.methods.ideal import entire
from dcdbench.phases.explicit import is_diagonal
from dcdbench.phases.fit_mixture import FitMixture
from dcdbench.phases.fit_moments import FitMoments
from dcdbench.problem import Corruption
from dcdbench.protocols import Setting
from dcdbench.samplers.law import FromLaw
from dcdbench.streams import Stream

LARGEST = 400  # entries of signals and measurements whose covariances are cheap


@register("pca_gaussian")
@dataclass(frozen=True)
class PCAGaussian:
    """A Gaussian with the principal directions of the signals, by the moments of entries seen together.

    The covariance of the noise is taken off. Each measurement is taken in once.

    Args:
        rank: That of the covariance. 0 for all directions whose variance is above the most negative one,
            which tells the size of errors.
    """

    rank: int = 0

    needs_clean: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.rank < 0:
            raise ValueError(f"rank must be >= 0, got {self.rank}")

    def supports(self, corruption: Corruption, shape: tuple[int, ...]) -> str | None:
        """The identity and masks, under white noise."""
        if corruption.noise is not None:
            return "the covariance of the noise is not known: needs white noise"
        if not is_diagonal(corruption.operator.draw(shape, 1, Stream(0).rng())):
            return "needs the identity or a mask of the signal's entries"
        return None

    def phases(self, setting: Setting) -> tuple[FitMoments, ...]:
        """One pass over the measurements."""
        kimg = setting.teacher_kimg + setting.student_kimg
        return (FitMoments(setting.network, kimg, setting.batch, self.rank),)

    def sampler(self, setting: Setting) -> FromLaw:
        """Draws of the Gaussian."""
        return FromLaw()

    def expected(self, law: Any, corruption: Corruption) -> Any | None:
        """The Gaussian with the moments of the law."""
        if not entire(corruption) or self.rank > 0:
            return None
        return Gaussian(law.mean, law.cov)


@register("gaussian_mixture_em")
@dataclass(frozen=True)
class GaussianMixtureEM:
    """A mixture of Gaussians of limited rank, by exact expectation maximisation through linear operators.

    It needs no network. Its iterations take no more steps than the budget has, whatever each one reads.

    Args:
        components: The number of Gaussians.
        rank: Directions in which each covariance is free; it is isotropic in the others.
        iterations: The number of iterations.
    """

    components: int = 10
    rank: int = 8
    iterations: int = 50

    needs_clean: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, least in (("components", 1), ("rank", 0), ("iterations", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be >= {least}, got {getattr(self, name)}")

    def supports(self, corruption: Corruption, shape: tuple[int, ...]) -> str | None:
        """Linear operators on small signals, under white noise."""
        if corruption.noise is not None:
            return "the likelihood of the noise is not Gaussian: needs white noise"
        if not corruption.operator.linear:
            return "needs a linear operator, through which Gaussians stay Gaussian"
        size = max(math.prod(shape), math.prod(corruption.operator.measured_shape(shape)))
        if size > LARGEST:
            return f"needs covariances of {size} x {size} numbers per sample, over {LARGEST}"
        return None

    def phases(self, setting: Setting) -> tuple[FitMixture, ...]:
        """The iterations."""
        most = setting.teacher_kimg + setting.student_kimg
        kimg = min(self.iterations * setting.batch / 1000, most)
        return (FitMixture(setting.network, kimg, setting.batch, self.components, self.rank),)

    def sampler(self, setting: Setting) -> FromLaw:
        """Draws of the mixture."""
        return FromLaw()

    def expected(self, law: Any, corruption: Corruption) -> Any | None:
        """Nothing exact: the law has components of its own."""
        return None
