r"""Ambient Diffusion: learning through masks, with or without noise, by a further corruption.

Ambient Diffusion: Learning Clean Distributions from Corrupted Data (Daras et al., 2023),
https://arxiv.org/abs/2305.19256. The denoiser sees `A' x_t` and `A'`, where `A'` drops a
share `delta` of what `A` measured, and is judged on all that `A` measured. Where `E[A^T A | A']`
has full rank the minimiser is `E[x | A' x_t, A']`.

That is the minimiser for the law of the data. In a sample each signal has one mask, and an `A'` that is
almost `A` may tell which signal it is. A network then learns to know signals by their masks, and makes
little use of what it sees of them: on other masks its estimates are those of a narrower law, and students
that it judges become narrow (see the claim `mask_names_signal`). Where few signals share their mask,
`delta` should be so large in training that many masks could have left the same `A'`. Samples may be made
through masks of which less is dropped, because what a fixed mask hides is filled in by means (see the claim
`fixed_mask_sampler`).

Under measurement noise the entries that the denoiser sees are judged by Tweedie's formula, as in
Consistent Diffusion Meets Tweedie (Daras et al., 2024), https://arxiv.org/abs/2404.10177.
"""

from __future__ import annotations

__all__ = ["AmbientDiffusion"]

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from dcdbench.batch import expand, randn_like
from dcdbench.diffusion import edm_weight, lognormal_levels
from dcdbench.objectives import register
from dcdbench.problem import Corruption, Fake, Measurement
from dcdbench.protocols import Denoiser, Left, Operator, View

Judged = Literal["measured", "further"]


@register("ambient_diffusion")
@dataclass(frozen=True)
class AmbientDiffusion:
    r"""`w |e'|^2 + |e - e'|^2 / sigma_data^2`, `e = A D(A' x_t, sigma, A') - A x`, `e'` its entries in `A'`.

    `A x` is not known under noise. In the entries that the denoiser does not see, `y` takes its
    place; in those that it sees, `e' = (1 - r) D + r x_t - y`, `r = sigma_y^2 / sigma^2`.

    What is seen is weighted as in EDM, with `w = 1 / c_out^2`. What is not seen cannot become certain at low
    noise, where `w` grows without bound: its weight is constant. (The minimiser is the same for
    all weights; with `w` on all entries, the loss is mostly the spread of what nobody can know.) For the
    same reason, so is the weight of what is seen through an operator that is no projection, as that of
    several coils, which shows some directions in part.

    Args:
        delta: The share of what was measured that the further corruption drops in training, in (0, 1). The
            default is that of the paper. Methods that are told no objective take another where masks differ
            from signal to signal: see `fitting` in `methods/choice.py`.
        judged: Whether the loss counts all that was measured, or only what the further
            corruption left, which leaves the rest of the estimate untrained.
        p_mean: The mean of `log(sigma / sigma_data)`, before the condition `sigma > sigma_y`.
        p_std: The standard deviation of `log sigma`, before the condition.
        sampling_delta: The share that the further corruption drops when samples are made, in (0, 1).
    """

    delta: float = 0.1
    judged: Judged = "measured"
    p_mean: float = -0.5
    p_std: float = 1.2
    sampling_delta: float = 0.1

    def __post_init__(self) -> None:
        for name in ("delta", "sampling_delta"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be in (0, 1), got {getattr(self, name)}")
        if self.judged not in get_args(Judged):
            raise ValueError(f"judged must be one of {', '.join(get_args(Judged))}, got {self.judged!r}")

    def supports(self, corruption: Corruption) -> str | None:
        """Masks, with white noise or none."""
        if not corruption.operator.masks:
            return "needs masks: the operator has no further corruption"
        if not corruption.operator.linear:
            return "needs a linear operator"
        if corruption.noise is not None:
            return "needs white noise or none: the task adds noise of another law"
        return None

    def draw(self, corruption: Corruption, shape: tuple[int, ...], n: int, rng: torch.Generator) -> Operator:
        """Further corrupted draws of A, of which another share is dropped than in training."""
        further = corruption.operator.draw(shape, n, rng).further(self.sampling_delta, rng)
        assert further is not None
        return further

    def __call__(self, denoiser: Denoiser, m: Measurement, rng: torch.Generator) -> Tensor:
        """The loss per sample, `(B,)`, per entry of the signal."""
        law, unit = (self.p_mean, self.p_std), denoiser.sigma_data
        sigma = lognormal_levels(len(m), *law, rng, low=m.sigma_y, scale=unit).to(m.y)
        v = self.view(m, sigma, rng)
        assert v.A is not None
        estimate = m.A(v.signal(denoiser))
        r = expand(m.sigma_y**2 / sigma**2, m.y)
        seen = (1 - r) * v.of(estimate) + r * v.x_t - v.of(m.y)
        weight = edm_weight(sigma, denoiser.sigma_data) if m.A.projects else denoiser.sigma_data**-2
        loss = weight * self.energy(m.A, seen)
        if self.judged == "measured":
            unseen = (estimate - v.of(estimate)) - (m.y - v.of(m.y))
            loss = loss + self.energy(m.A, unseen) / denoiser.sigma_data**2
        return loss / math.prod(m.shape)

    def energy(self, A: Operator, error: Tensor) -> Tensor:
        """How much an error of the measurement counts, `(B,)`: its square."""
        return error.square().flatten(1).sum(1)

    def view(self, m: Measurement, sigma: Tensor, rng: torch.Generator) -> View:
        """`A' y + sqrt(sigma^2 - sigma_y^2) n` in the entries of `A'`, and `A'`."""
        further = m.A.further(self.delta, rng)
        if further is None:
            raise ValueError(f"needs masks: {type(m.A).__name__} has no further corruption")
        if bool((sigma < m.sigma_y * (1 - 1e-6)).any()):  # levels are float32, sigma_y is not
            raise ValueError(f"sigma must be >= sigma_y = {m.sigma_y}, got {float(sigma.min())}")
        added = expand((sigma**2 - m.sigma_y**2).clamp(min=0).sqrt(), m.y)
        return View(further.restrict(m.y + added * randn_like(m.y, rng)), sigma, further)

    def signal(self, fake: Fake) -> Tensor:
        """The measurement without its white noise."""
        return fake.u

    def left(self, corruption: Corruption, shape: tuple[int, ...]) -> Left:
        """All: samples are signals."""
        return "all"

    def lowest(self, sigma_y: float) -> float:
        """`sigma_y`, which is 0 without noise."""
        return sigma_y
