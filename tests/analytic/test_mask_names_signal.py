"""What Ambient Diffusion learns from a sample in which each signal has one mask: signals, by their masks.

Denoisers are `a x_t + k(A')`, with a number per entry for each `A'`, so that the loss of a batch is
quadratic and its minimiser is found exactly. The claim `mask_names_signal` has the closed form of `a`.
"""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from dcdbench.methods.choice import fitting
from dcdbench.objectives.ambient_diffusion import AmbientDiffusion
from dcdbench.operators.blocks import Blocks
from dcdbench.operators.coordinates import Coordinates
from dcdbench.operators.fourier import Fourier
from dcdbench.operators.inpainting import Inpainting, Mask
from dcdbench.operators.mri import MRI
from dcdbench.operators.random_projections import RandomProjections
from dcdbench.problem import Corruption, Measurement
from dcdbench.protocols import Operator

D, N, SIGMA = 4, 4, 0.5
BATCHES, VIEWS, SEED = 8, 1000, 1
FITTING = fitting(None, Corruption(Inpainting()))
LITTLE, MUCH = 0.1, 0.5  # shares that are dropped
LEVEL = {"p_mean": math.log(SIGMA), "p_std": 1e-6}
EVERY = torch.tensor(list(product((0.0, 1.0), repeat=D)), dtype=torch.float64)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Keyed:
    """`a x_t + k(A')`."""

    sigma_data = 1.0

    def __init__(self) -> None:
        self.coefficients = torch.zeros(1 + len(EVERY) * D, dtype=torch.float64)

    def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        assert isinstance(A, Mask)
        which = (A.mask.long() * 2 ** torch.arange(D - 1, -1, -1)).sum(1)
        return self.coefficients[0] * x_t + self.coefficients[1:].reshape(-1, D)[which]


def sample(seed: int, keep: float = 0.5) -> tuple[Tensor, Mask]:
    """Signals, and a mask for each of them."""
    random = rng(seed)
    x = torch.randn(N, D, generator=random, dtype=torch.float64)
    return x, Mask(Inpainting(keep).draw((D,), N, random).mask.double())


def width(objective: AmbientDiffusion, m: Measurement, seed: int) -> float:
    """The variance of signals for which the gain of the minimiser would be exact."""
    denoiser = Keyed()

    def loss(coefficients: Tensor) -> Tensor:
        denoiser.coefficients = coefficients
        return objective(denoiser, m, rng(seed)).mean()

    start = denoiser.coefficients.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(start), start)
    hessian = torch.autograd.functional.hessian(loss, start.detach(), vectorize=True)
    a = float(-(torch.linalg.pinv(hessian, rtol=1e-9, hermitian=True) @ slope)[0])
    return SIGMA**2 * a / (1 - a)


def widths(delta: float, own: bool = True) -> Tensor:
    """Of several batches of views of one sample: `own` masks, or fresh ones for each view."""
    x, masks = sample(SEED)
    objective = AmbientDiffusion(delta=delta, **LEVEL)
    found = []
    for batch in range(BATCHES):
        index = torch.randint(N, (VIEWS,), generator=rng(100 + batch))
        kept = masks[index]
        fresh = Corruption(Inpainting(0.5))(x[index], rng(200 + batch))
        m = Measurement(kept(x[index]), kept, 0.0, (D,)) if own else fresh
        found.append(width(objective, m, 300 + batch))
    return torch.tensor(found, dtype=torch.float64)


def left_over(delta: float, seed: int, keep: float = 0.5) -> float:
    """The mean variance, of the seen entries, among signals that could have left a view."""
    x, masks = sample(seed, keep)
    dropped = masks.mask.sum(1) - EVERY.sum(1, keepdim=True)
    within = (EVERY @ (1 - masks.mask).mT == 0).double()
    chance = within * delta ** dropped.clamp(min=0) * (1 - delta) ** EVERY.sum(1, keepdim=True)
    w = chance / chance.sum(1, keepdim=True).clamp(min=1e-300)
    spread = w @ x**2 - (w @ x) ** 2
    return float((chance.sum(1) @ (EVERY * spread).sum(1)) / (chance.sum(1) @ EVERY.sum(1)))


@pytest.mark.parametrize("delta", [LITTLE, MUCH])
def test_the_gain_is_exact_for_the_variance_that_masks_do_not_explain(delta: float) -> None:
    found = widths(delta)
    error = float(found.std()) / BATCHES**0.5
    assert abs(float(found.mean()) - left_over(delta, SEED)) < 5 * error
    fresh = widths(delta, own=False)  # control: masks that belong to no signal
    assert abs(float(fresh.mean()) - left_over(delta, SEED)) > 5 * error


@pytest.mark.parametrize("keep", [0.5, 0.7])
def test_methods_drop_so_much_that_masks_explain_less(keep: float) -> None:
    """What they leave to be seen is the variance of students: it was a fraction of what the choice leaves."""
    objective = fitting(None, Corruption(Inpainting(keep)))
    assert isinstance(objective, AmbientDiffusion)
    chosen, little = (sum(left_over(d, seed, keep) for seed in range(100)) for d in (objective.delta, LITTLE))
    assert chosen > 1.3 * little


def test_where_many_signals_share_a_mask_methods_drop_little() -> None:
    """More of a few lines, or of a few rows, is lost for nothing."""
    for operator in (MRI(), Fourier(), RandomProjections(), Coordinates(2), Blocks()):
        assert fitting(None, Corruption(operator)) == AmbientDiffusion()
    assert AmbientDiffusion().delta == LITTLE


def test_less_is_dropped_for_samples_than_in_training() -> None:
    """A sampler fills in by their means the entries that its mask hides."""
    assert isinstance(FITTING, AmbientDiffusion)
    assert FITTING.sampling_delta < FITTING.delta
