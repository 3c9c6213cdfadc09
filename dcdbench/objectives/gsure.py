r"""GSURE: learning through masks that the network is not told of, by an unbiased estimate of its error.

GSURE-Based Diffusion Model Training with Corrupted Data (Kawar et al., 2023),
https://arxiv.org/abs/2305.13128, here with `P = A^T A` a random projection: masks of pixels, or sampled lines
of k-space, in which basis they are diagonal.
"""

from __future__ import annotations

__all__ = ["GSURE"]

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.batch import expand, randn_like
from dcdbench.diffusion import edm_weight, lognormal_levels
from dcdbench.objectives import register
from dcdbench.objectives.divergence import divergence
from dcdbench.problem import Corruption, Fake, Measurement
from dcdbench.protocols import Denoiser, Left, Operator, OperatorLaw, View

TRIED = ((12,), (1, 12, 12), (2, 12, 12), (3, 12, 12))  # shapes of signals that one draw is tried on


@register("gsure")
@dataclass(frozen=True)
class GSURE:
    r"""`w(sigma) (|P (D(x_t, sigma) - y)|^2 + 2 sigma_y^2 v^T J v)`, `v = P n`, `J` the Jacobian of `D`.

    What was measured is brought from `sigma_y` to `sigma`; what was not is pure noise, so
    `x_t = P x + sigma n`. The network is not told of `P`, and is judged where there is something to see.
    By Stein's lemma the loss has the mean of `w |P (D - x)|^2`, up to a constant; its minimiser is
    `E[P x | x_t] / E[P | x_t]` entry by entry, which is `E[x | x_t]` where `P` is independent of `x_t`. At
    low noise it is not: an entry that is no noise was seen. Without noise the second term vanishes, and with
    it one may be negative.

    Args:
        p_mean: The mean of `log(sigma / sigma_data)`, before the condition `sigma > sigma_y`.
        p_std: The standard deviation of `log sigma`, before the condition.
    """

    p_mean: float = -0.5
    p_std: float = 1.2

    def supports(self, corruption: Corruption) -> str | None:
        """Masks that are orthogonal projections, with white noise or none."""
        if not corruption.operator.masks or not corruption.operator.linear:
            return "needs random masks, which leave each entry as it is or out"
        if corruption.noise is not None:
            return "needs white noise or none: the task adds noise of another law"
        if not projects(corruption.operator):
            return "needs masks that project: what is seen at all is to be seen in full, by one coil"
        return None

    def draw(self, corruption: Corruption, shape: tuple[int, ...], n: int, rng: torch.Generator) -> None:
        """Nothing: the network is shown signals."""

    def __call__(self, denoiser: Denoiser, m: Measurement, rng: torch.Generator) -> Tensor:
        """The loss per sample, `(B,)`, per entry of the signal."""
        law, unit = (self.p_mean, self.p_std), denoiser.sigma_data
        sigma = lognormal_levels(len(m), *law, rng, low=m.sigma_y, scale=unit).to(m.y)
        x_t, y = self.view(m, sigma, rng).x_t, m.A.back(m.y)
        if m.sigma_y > 0:
            out, slope = divergence(lambda x: denoiser(x, sigma), x_t, project(m.A, randn_like(x_t, rng)))
        else:
            out, slope = denoiser(x_t, sigma), torch.zeros_like(sigma)
        seen = (project(m.A, out) - y).square().flatten(1).sum(1)
        loss = seen + 2 * m.sigma_y**2 * slope
        return edm_weight(sigma, denoiser.sigma_data) * loss / math.prod(m.shape)

    def view(self, m: Measurement, sigma: Tensor, rng: torch.Generator) -> View:
        """`A^T y` brought to `sigma` where there is something, and noise of that level elsewhere."""
        if bool((sigma < m.sigma_y * (1 - 1e-6)).any()):  # levels are float32, sigma_y is not
            raise ValueError(f"sigma must be >= sigma_y = {m.sigma_y}, got {float(sigma.min())}")
        y = m.A.back(m.y)
        noise = randn_like(y, rng)
        seen = project(m.A, noise)
        added = expand((sigma**2 - m.sigma_y**2).clamp(min=0).sqrt(), y)
        return View(y + added * seen + expand(sigma, y) * (noise - seen), sigma)

    def signal(self, fake: Fake) -> Tensor:
        """What was measured, without its white noise, as a signal."""
        return fake.A.back(fake.u)

    def left(self, corruption: Corruption, shape: tuple[int, ...]) -> Left:
        """All: samples are signals."""
        return "all"

    def lowest(self, sigma_y: float) -> float:
        """`sigma_y`, which is 0 without noise."""
        return sigma_y


def project(A: Operator, x: Tensor) -> Tensor:
    """`P x = A^T A x`."""
    return A.back(A(x))


def projects(law: OperatorLaw) -> bool:
    """Whether draws are orthogonal projections, by one draw for the first signals that the law takes."""
    for shape in TRIED:
        try:
            return law.draw(shape, 1, torch.Generator()).projects
        except ValueError:
            continue
    return False
