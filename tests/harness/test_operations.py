"""Operations are counted as torch counts them, and change no number."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dcdbench.harness.operations import Operations
from dcdbench.operators.mri import MRI

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
