"""Operators against those of deepinv: the same kernels, masks and coils, the same batch, in turns.

Both are measured in seconds of one core, so that other processes count little. The ratio depends on the
machine, so nothing is asserted of it: it stands in the report's `extra_info`, and on the terminal with `-s`.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import pytest
import torch
from torch import Tensor

from dcdbench.operators.deepinv_library import load
from dcdbench.operators.fourier import Fourier
from dcdbench.operators.gaussian_blur import GaussianBlur
from dcdbench.operators.inpainting import Inpainting
from dcdbench.operators.motion_blur import MotionBlur
from dcdbench.operators.mri import MRI
from dcdbench.operators.super_resolution import SuperResolution
from dcdbench.streams import Stream

if importlib.util.find_spec("deepinv") is None:
    pytest.skip("deepinv is not installed", allow_module_level=True)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:deepinv")
ROUNDS, SECONDS = 7, 0.02
RGB, LARGE, COMPLEX = (16, 3, 64, 64), (4, 3, 256, 256), (8, 2, 96, 96)
GAUSSIAN = GaussianBlur(9, 2.0)
Pair = tuple[Any, Any]


def rng(name: str = "A") -> torch.Generator:
    return (Stream(0) / name).rng()


def mask(shape: tuple[int, ...]) -> Pair:
    A = Inpainting().draw(shape[1:], shape[0], rng())
    return A, load().physics.Inpainting(img_size=shape[1:], mask=A.mask)


def gaussian(shape: tuple[int, ...]) -> Pair:
    kernel = GAUSSIAN.kernel().float()
    theirs = load().physics.Blur(filter=torch.outer(kernel, kernel)[None, None], padding="reflect")
    return GAUSSIAN.draw(shape[1:], shape[0], rng()), theirs


def motion(shape: tuple[int, ...]) -> Pair:
    A: Any = MotionBlur(9).draw(shape[1:], shape[0], rng())
    return A, load().physics.Blur(filter=A.kernels, padding="reflect")


def average(shape: tuple[int, ...]) -> Pair:
    box = torch.full((1, 1, 2, 2), 0.25)
    theirs = load().physics.Downsampling(img_size=shape[1:], filter=box, factor=2, padding="constant")
    return SuperResolution(2).draw(shape[1:], shape[0], rng()), theirs


def nearest(shape: tuple[int, ...]) -> Pair:
    theirs = load().physics.Downsampling(img_size=shape[1:], filter=None, factor=2)
    return SuperResolution(2, "nearest").draw(shape[1:], shape[0], rng()), theirs


def bicubic(shape: tuple[int, ...]) -> Pair:
    return SuperResolution(2, "bicubic").draw(shape[1:], shape[0], rng()), load().physics.DownsamplingMatlab(
        factor=2
    )


def single_coil(shape: tuple[int, ...]) -> Pair:
    A = Fourier().draw(shape[1:], shape[0], rng())
    return A, load().physics.MRI(mask=A.condition().expand(shape).contiguous())


def multi_coil(shape: tuple[int, ...]) -> Pair:
    A: Any = MRI(coils=8).draw(shape[1:], shape[0], rng())
    lines, maps = A.condition().expand(shape).contiguous(), torch.view_as_complex(A.maps)
    return A, load().physics.MultiCoilMRI(mask=lines, coil_maps=maps)


CASES: dict[str, tuple[Callable[[tuple[int, ...]], Pair], tuple[int, ...]]] = {
    "mask": (mask, RGB),
    "Gaussian blur 9x9": (gaussian, RGB),
    "Gaussian blur 9x9, large": (gaussian, LARGE),
    "motion blur 9x9": (motion, RGB),
    "super-resolution, average": (average, RGB),
    "super-resolution, nearest": (nearest, RGB),
    "super-resolution, bicubic": (bicubic, RGB),
    "single-coil MRI": (single_coil, COMPLEX),
    "multi-coil MRI": (multi_coil, COMPLEX),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def seconds(f: Callable[[Tensor], Tensor], x: Tensor, repeats: int) -> float:
    """Of one core, per call."""
    start = time.process_time()
    for _ in range(repeats):
        f(x)
    return (time.process_time() - start) / repeats


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["A", "adjoint"])
@pytest.mark.parametrize("name", CASES)
def test_speed(benchmark: Any, name: str, direction: str) -> None:
    make, shape = CASES[name]
    ours, theirs = make(shape)
    x = torch.randn(shape, generator=rng("x"))
    pair = (ours, x), (theirs.A, x)
    if direction == "adjoint":
        pair = (ours.adjoint, ours(x)), (theirs.A_adjoint, theirs.A(x))
    with torch.no_grad():
        sizes = [f(t).square().sum() for f, t in pair]
        torch.testing.assert_close(*sizes, rtol=1e-4, atol=0)  # the same operator
        repeats = max(1, int(SECONDS / max(seconds(*p, 3) for p in pair)))
        times = [[seconds(*p, repeats) for p in pair] for _ in range(ROUNDS)]  # in turns
        benchmark.pedantic(pair[0][0], (pair[0][1],), rounds=ROUNDS, iterations=repeats)
    ratio = median(b / a for a, b in times)
    benchmark.extra_info |= {"ratio": ratio, "deepinv": median(b for _, b in times)}
    print(f"\n{name}, {direction}: {ratio:.2f} times the speed of deepinv")
