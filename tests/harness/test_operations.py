"""Operations are counted as torch counts them, and change no number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dcdbench.harness.operations import Operations, restoring
from dcdbench.networks.edm import Preconditioned
from dcdbench.networks.granted import Granted
from dcdbench.networks.mlp import MLP
from dcdbench.objectives.ambient_diffusion import AmbientDiffusion
from dcdbench.objectives.standard import Standard
from dcdbench.operators.gaussian_blur import GaussianBlur
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.operators.mri import MRI
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import OperatorLaw, Restorer
from dcdbench.restorers import moments as restorers
from dcdbench.restorers.backward import Backward
from dcdbench.restorers.conditional import Back, Conditional
from dcdbench.restorers.merged import Merged
from dcdbench.restorers.moments import GaussianPosterior
from dcdbench.restorers.network import ByNetwork
from dcdbench.restorers.own import Own
from dcdbench.restorers.pinv import PseudoInverse
from dcdbench.restorers.posterior import MMPS
from dcdbench.restorers.wiener import Wiener
from dcdbench.samplers.heun import Heun
from dcdbench.samplers.restoring import Restoring
from dcdbench.streams import Stream

BATCH, WIDTH = 5, 7


def gradient(net: nn.Module, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_().clone()  # torch's counter takes no leaves
    (found,) = torch.autograd.grad(net(x).square().sum(), x)
    return found


@pytest.mark.parametrize("net", [nn.Linear(WIDTH, 3), nn.Conv1d(WIDTH, 3, 1)], ids=["linear", "convolution"])
def test_counts_are_those_of_torch(net: nn.Module) -> None:
    x = torch.randn(BATCH, WIDTH) if isinstance(net, nn.Linear) else torch.randn(BATCH, WIDTH, 4)
    with FlopCounterMode(display=False) as theirs:
        gradient(net, x)
    with Operations() as ours:
        gradient(net, x)
    assert ours.total == theirs.get_total_flops() > 0


def test_counting_leaves_complex_inverses_as_they_are() -> None:
    """Control: the pseudo-inverse of torch, of complex matrices, is another one while operations are seen."""
    A = MRI(acceleration=2, acs=2).draw((2, 6, 8), 5, torch.Generator().manual_seed(0))
    y = A(torch.randn(5, 2, 6, 8))
    a = torch.randn(3, 5, 4, dtype=torch.complex128)
    free, known = A.pinv(y), torch.linalg.pinv(a)
    with Operations():
        assert torch.equal(A.pinv(y), free)
        if torch.__version__.startswith("2.13"):
            assert not torch.allclose(torch.linalg.pinv(a), known)


def test_counts_follow_from_the_sizes_of_a_product() -> None:
    with Operations() as counter:
        torch.ones(BATCH, WIDTH) @ torch.ones(WIDTH, 3)
    assert counter.total == 2 * BATCH * WIDTH * 3


def test_counts_add_up_and_end_with_the_block() -> None:
    a = torch.ones(BATCH, BATCH)
    with Operations() as counter:
        a @ a
        once = counter.total
        a @ a
    a @ a
    assert counter.total == 2 * once > 0


def test_counting_changes_no_bit() -> None:
    net, x = nn.Sequential(nn.Linear(WIDTH, 64), nn.SiLU(), nn.Linear(64, 1)), torch.randn(BATCH, WIDTH)
    with Operations():
        counted = gradient(net, x)
    assert torch.equal(counted, gradient(net, x))


# Restoring, which is told and not counted while it is made


RESTORERS: dict[str, Restorer] = {
    "posterior": MMPS(steps=4, solves=2, pool=9),
    "gaussian": GaussianPosterior(laps=3, pool=9),
    "gaussian, iterated": GaussianPosterior(laps=3, pool=9, solves=2),
    "gaussian, in portions": GaussianPosterior(laps=3, pool=9, used=4),
    "network": ByNetwork(Restoring()),
    "own": Own(Heun(Standard(), "full", 0.0, steps=3)),
    "own, shown A": Own(Heun(AmbientDiffusion(), "truncated", 0.3, steps=3)),
    "backward": Backward(steps=3),
    "merged": Merged(Backward(steps=3)),
    "conditional": Conditional(steps=3, pool=9),
    "back": Back(),
    "pseudo-inverse": PseudoInverse(),
}
COUNTED = {"wiener": Wiener(laps=2, most=8)}  # they do not tell: the harness counts what they do


def start(
    name: str, operator: OperatorLaw, sigma_y: float = 0.3
) -> tuple[Restorer, Preconditioned | None, Problem]:
    """A restorer, the network that it asks, and ten measurements of sixteen numbers."""
    corruption = Corruption(operator, sigma_y)
    m = corruption(torch.randn(10, 1, 4, 4, generator=Stream(0).rng()), Stream(1).rng())
    restorer = (RESTORERS | COUNTED)[name]
    channels = {"conditional": 2, "own, shown A": 1}.get(name, 0)
    net = MLP(16, 2).build((1, 4, 4), channels, Stream(2).rng())
    for weights in net.parameters():  # a Jacobian that varies little, so that no solve ends early
        weights.data.mul_(0.5)
    net.requires_grad_(False)
    denoiser = Preconditioned(net, 0.0, 1.0, channels)
    if name == "merged":
        denoiser = Granted(denoiser, m.y[:3])
    return restorer, denoiser, Problem(m, m, corruption, (1, 4, 4))


def done(restorer: Restorer, net: Any, problem: Problem) -> int:
    """The operations that torch counts in restoring."""
    with Operations() as counter:
        restorer.restore(net, problem, Stream(3))
    return counter.total


@pytest.mark.parametrize("name", RESTORERS)
def test_operations_of_a_restoration_are_told_without_making_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "gaussian, iterated":
        monkeypatch.setattr(restorers, "DENSE", 0)
        monkeypatch.setattr(restorers, "PORTION", 4)
    restorer, net, problem = start(name, Identity() if name in ("backward", "merged") else Inpainting(0.7))
    with Operations() as counter:
        told = restoring(restorer, net, problem)
    assert told == done(restorer, net, problem)
    assert counter.total <= 30_000  # of one call on two signals and its gradient
    half = Problem(problem.train[:5], problem.val, problem.corruption, problem.shape)
    assert told == 0 or restoring(restorer, net, half) != told  # control


@pytest.mark.parametrize("used", [4, 100])
def test_operations_of_systems_on_the_side_of_signals_are_told(used: int) -> None:
    """Of four coils, which measure more numbers than an image has."""
    corruption = Corruption(MRI(acceleration=2, acs=1, coils=4), 0.1)
    m = corruption(torch.randn(10, 2, 4, 4, generator=Stream(0).rng()), Stream(1).rng())
    restorer, problem = GaussianPosterior(laps=3, used=used), Problem(m, m, corruption, (2, 4, 4))
    assert m.y[0].numel() > 32
    assert restoring(restorer, None, problem) == done(restorer, None, problem)


@pytest.mark.parametrize("name", ["posterior", "gaussian"])
def test_a_blur_that_is_left_out_and_solves_that_end_early_are_a_small_share(name: str) -> None:
    restorer, net, problem = start(name, GaussianBlur(3, 0.8))
    told = restoring(restorer, net, problem)
    assert told is not None and 0.5 < done(restorer, net, problem) / told < 1.5


@pytest.mark.parametrize("name", COUNTED)
def test_one_that_does_not_tell_is_counted_as_it_works(name: str) -> None:
    restorer, net, problem = start(name, Inpainting(0.7))
    assert restoring(restorer, net, problem) is None
    assert restoring(RESTORERS["posterior"], None, problem) is None  # there is no network to count


def test_every_restorer_is_looked_at() -> None:
    """The files of the family, so that a new one is tested too."""
    files = {path.stem for path in Path(restorers.__file__).parent.glob("*.py")}
    classes = {type(restorer).__module__.rpartition(".")[2] for restorer in (RESTORERS | COUNTED).values()}
    helpers = {"__init__", "ancestral", "gain", "linear", "pool", "solvable", "stationary"}
    assert files - helpers == classes
