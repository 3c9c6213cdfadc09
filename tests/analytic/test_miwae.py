"""Latent variable models of measurements: the exact likelihood, and a covariance never seen in full."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice

import pytest
import torch
from torch import Tensor

from dcdbench.analytic import Gaussian
from dcdbench.methods.miwae import MIWAE
from dcdbench.networks.mlp import MLP
from dcdbench.networks.vae import VAE, Autoencoder
from dcdbench.operators.gaussian_blur import GaussianBlur
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.operators.random_projections import RandomProjections
from dcdbench.phases.explicit import matrices
from dcdbench.phases.miwae import FitVAE, bound, normal, rotated
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import Setting
from dcdbench.streams import Stream
from dcdbench.training import State, train

SMALL = VAE(latent=2, width=32, depth=1)


def low_rank() -> Gaussian:
    """Two directions and a little noise, in six dimensions; the mean is far from 0."""
    factor = torch.randn(6, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return Gaussian(torch.linspace(1, 2, 6), factor @ factor.mT + 0.05 * torch.eye(6))


def problem(corruption: Corruption, n: int = 4000, shape: tuple[int, ...] = (6,)) -> Problem:
    x = low_rank().sample(n, Stream(0).rng()).float().reshape(n, *shape)
    m = corruption(x, Stream(1).rng())
    return Problem(m, m, corruption, shape)


def run(made: Problem, steps: int, phase: FitVAE | None = None) -> State:
    phase = phase or FitVAE(SMALL, 0.128 * steps, 128, samples=10, lr=5e-3, halflife_kimg=5.0)
    state = phase.init(made, None, Stream(0))
    for _ in islice(train(phase, made, state, Stream(0) / "step"), steps):
        pass
    return state


def error(state: State, made: Problem) -> float:
    """The greatest error of a covariance's entry, in units of the greatest entry."""
    phase = FitVAE(SMALL, 1.0)
    x = phase.preview(0.0).sample(phase.result(state), made, 20_000, Stream(5).rng()).x.flatten(1).double()
    cov = low_rank().cov
    return float((torch.cov(x.mT) - cov).abs().max() / cov.abs().max())


@pytest.fixture(scope="module")
def masked() -> Problem:
    return problem(Corruption(Inpainting(0.6), 0.1))


def test_it_recovers_a_covariance_of_which_it_saw_pairs_alone(masked: Problem) -> None:
    assert error(run(masked, 700), masked) < 0.2


def test_zeros_taken_for_data_give_another() -> None:
    """Control: what was not seen reads 0."""
    made = problem(Corruption(Inpainting(0.6), 0.1))
    plain = Corruption(Identity(), 0.1)
    filled = replace(
        made, train=replace(plain(made.train.y, Stream(2).rng()), y=made.train.y), corruption=plain
    )
    assert error(run(filled, 400), filled) > 0.3


def test_the_noise_is_not_part_of_the_signals() -> None:
    """And without telling of it, it is: six times its variance of 1 more, all in all."""
    made = problem(Corruption(Identity(), 1.0))
    signals = float(low_rank().cov.trace())
    over = []
    for sigma_y, steps in ((1.0, 700), (0.0, 3000)):  # widths start small, and take long to grow
        state = run(replace(made, train=replace(made.train, sigma_y=sigma_y)), steps)
        phase = FitVAE(SMALL, 1.0)
        x = phase.preview(0.0).sample(phase.result(state), made, 20_000, Stream(5).rng()).x
        over.append(float(x.var(0).sum()) - signals)
    assert abs(over[0]) < 0.5 and abs(over[1] - 6) < 0.5, over


# The bound


def linear(matrix: Tensor, width: float, *, posterior: tuple[Tensor, Tensor] | None = None) -> Autoencoder:
    """An autoencoder whose decoder is linear: signals are Gaussian, and so is what was measured of them."""
    net = VAE(latent=matrix.shape[1], width=4, depth=1, tied=True).build((len(matrix),), 0, Stream(0).rng())
    decoder = torch.nn.Linear(matrix.shape[1], len(matrix), bias=False)
    with torch.no_grad():
        decoder.weight.copy_(matrix)
        net.log_s.fill_(math.log(width))
    net.decoder = torch.nn.Sequential(decoder)
    return net


@pytest.mark.parametrize(
    "corruption", [Corruption(Identity(), 0.3), Corruption(GaussianBlur(), 0.3)], ids=repr
)
def test_with_many_latents_the_bound_is_the_exact_likelihood(corruption: Corruption) -> None:
    shape, d = (1, 3, 4), 12
    matrix = 0.4 * torch.randn(d, 2, generator=Stream(1).rng())
    net = linear(matrix, 0.2)
    law = Gaussian(torch.zeros(d), matrix @ matrix.mT + 0.04 * torch.eye(d))
    m = corruption(law.sample(20, Stream(2).rng()).float().reshape(-1, *shape), Stream(3).rng())
    A = matrices(m.A[:1], 1, shape, "cpu")[0]
    exact = law.affine(A, sigma=0.3).log_prob(m.y.flatten(1).double())
    operator = None if isinstance(corruption.operator, Identity) else rotated(A)
    found = [bound(net, m, k, Stream(4).rng(), operator).detach().double() for k in (1, 30_000)]
    constant = (exact - found[1]).mean() if operator else 0.0
    torch.testing.assert_close(found[1], exact, atol=0.2, rtol=0)
    assert (found[0] - exact).abs().mean() > 1.0  # a single latent, drawn from another law
    assert abs(float(torch.as_tensor(constant))) < 0.1


def test_the_density_counts_what_was_seen_alone() -> None:
    e, v = torch.randn(5, 7, 4, generator=Stream(0).rng()), torch.tensor([0.5, 1.0, 2.0, 3.0])
    seen = (torch.rand(7, 4, generator=Stream(1).rng()) < 0.5).float()
    peer = torch.distributions.Normal(0.0, v.sqrt()).log_prob(e) * seen
    torch.testing.assert_close(normal(e, v, seen), peer.sum(-1))


def test_what_a_shared_operator_shows_has_independent_noise() -> None:
    A = torch.randn(5, 8, generator=Stream(0).rng(), dtype=torch.float64)
    A[4] = A[0] + A[1]  # a row that tells nothing new
    turned = rotated(A)
    assert turned.matrix.shape == (4, 8)
    inner = (turned.matrix @ turned.matrix.mT).double()
    torch.testing.assert_close(inner, turned.values.diag().double(), atol=1e-4, rtol=1e-4)


# The method


def test_what_it_supports() -> None:
    method, image = MIWAE(), (1, 8, 8)
    assert method.supports(Corruption(Inpainting(), 0.1), image) is None
    assert method.supports(Corruption(GaussianBlur(), 0.1), image) is None
    assert "dependent" in str(method.supports(Corruption(RandomProjections(rows=2)), (5,)))


@pytest.mark.parametrize("more", [{"samples": 0}, {"latent": -1}, {"lr": 0.0}])
def test_wrong_numbers_are_named(more: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(more))} must be"):
        MIWAE(**more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "corruption", [Corruption(Inpainting(), 0.1), Corruption(GaussianBlur(), 0.1)], ids=repr
)
def test_a_resumed_training_gives_the_same_bits(corruption: Corruption) -> None:
    made = problem(corruption, 100, (1, 2, 3))
    (phase,) = MIWAE(width=8, samples=2).phases(Setting(corruption, MLP(), 0.1, 0.1, 32))
    steps = [phase.init(made, None, Stream(0)) for _ in range(2)]
    for state, count in zip(steps, (4, 2), strict=True):
        for _ in islice(train(phase, made, state, Stream(1)), count):
            pass
    third = phase.init(made, None, Stream(0))
    third.load({k: v.clone() for k, v in steps[1].tensors().items()})
    for _ in islice(train(phase, made, third, Stream(1)), 2):
        pass
    a, b = (s.tensors() for s in (steps[0], third))
    assert all(torch.equal(a[k], b[k]) for k in a)
    again = phase.empty(made.shape, phase.result(third).form())
    again.load_state_dict(phase.result(third).state_dict())
