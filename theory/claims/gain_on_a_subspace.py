r"""Whatever the law on an r-dimensional subspace, the unaware student on one gains $(d-r)\sigma^2$ in W2^2.

The student is the law of $P_E y$, and $W_2^2$ splits over E and across: no plan costs less than the best ones
on both, and as noise across is independent their product is a plan. On E both laws are the same. Here the
student lives on a line, whose direction, and the law on it, are found by descent of reverse KL from a generic
start. With its points $te$ the distance to a law of x is $E|x|^2 - E(e^Tx)^2 + W_2^2(t, e^Tx)$.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.distil import minimise
from theory.divergences.estimate import Estimate
from theory.estimates import repeated, w2_line
from theory.quadrature import normal, pair, w2_squared, w2_transport
from theory.spectra import w2_gain

M, S2, NOISE = 1.5, 0.3, 0.5
D, R = 4, 1
TAU = 0.4  # the level of noise at which laws are compared
ALONG, ACROSS = 64, 16  # Gauss-Hermite nodes
TINY = 1e-18  # under a root, which has a derivative there
STARTS, BESIDE = 3, 0.05  # descents, some of which end with both modes covered; and how far beside
CLOSE = 1e-5  # of a student by minimisation
AXIS = torch.tensor([0.5, -0.5, 0.7, 0.1], dtype=torch.float64)  # the data's, and that of no coordinate


def _nodes(count: int) -> tuple[Tensor, Tensor]:
    z, w = (torch.from_numpy(each) for each in np.polynomial.hermite_e.hermegauss(count))
    return z, w / w.sum()


def _two(t: Tensor, place: Tensor | float, variance: Tensor | float) -> Tensor:
    """The log-density of two equal modes on a line."""
    parts = [-((t - place) ** 2) / (2 * variance), -((t + place) ** 2) / (2 * variance)]
    return torch.logsumexp(torch.stack(parts), 0) - math.log(2) - _half_log(variance)


def _half_log(variance: Tensor | float) -> Tensor:
    return 0.5 * torch.log(2 * torch.pi * torch.as_tensor(variance, dtype=torch.float64))


def loss(free: Tensor, across: float) -> Tensor:
    """Reverse KL of two modes on a line; `free` is a direction, and logarithms of place and variance."""
    e, place, variance = free[:D] / free[:D].norm(), free[D].exp(), free[D + 1].exp() + TAU
    (z, w), (g, share) = _nodes(ALONG), _nodes(ACROSS)
    t = place + variance.sqrt() * z  # by symmetry, from one of the modes
    cosine = e @ AXIS / AXIS.norm()
    p = cosine * t[:, None] + (1 - cosine**2 + TINY).abs().sqrt() * TAU**0.5 * g
    s = across + NOISE + TAU
    square = (w @ t.square()) + (D - 1) * TAU - w @ p.square() @ share
    own = w @ _two(t, place, variance) - (D - 1) * (_half_log(TAU) + 0.5)
    teacher = w @ _two(p, M, S2 + NOISE + TAU) @ share - (D - 1) * _half_log(s) - square / (2 * s)
    return own - teacher


Found = tuple[
    float, float, float, float
]  # objective, cosine of both lines, place and variance on the student's


def found(across: float, start: Tensor) -> tuple[Found, Tensor]:
    """The student that descent reaches from a start, and where that is."""
    end = minimise(lambda free: loss(free, across), start, steps=60)
    cosine = float(end[:D] @ AXIS / end[:D].norm() / AXIS.norm())
    return (float(loss(end, across)), abs(cosine), float(end[D].exp()), float(end[D + 1].exp())), end


def generic(seed: int) -> Tensor:
    """A start in any direction."""
    e = torch.randn(D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.cat([e, torch.tensor([0.8 * M, 1.0], dtype=torch.float64).log()])


def students(across: float) -> list[Found]:
    """The best of all that are found, and what descent reaches from beside it."""
    best, end = min((found(across, generic(seed)) for seed in range(STARTS)), key=lambda each: each[0])
    again, _ = found(across, end + BESIDE * generic(STARTS))
    return [best, again]


def distance(law: Found, across: float) -> float:
    """W2^2 of a student on a line to the clean law."""
    _, cosine, place, variance = law
    seen = S2 * cosine**2 + across * (1 - cosine**2)
    rest = M**2 + S2 + (D - R) * across - (M * cosine) ** 2 - seen
    return rest + w2_squared(pair(place, variance), pair(M * cosine, seen))


def evidence(across: float) -> Evidence:
    """Two modes on a line, and a variance across it, which the student leaves out."""
    clean, teacher = pair(M, S2), pair(M, S2 + NOISE)
    rest, noisy = normal(0.0, across), normal(0.0, across + NOISE)
    each, far = w2_line(noisy, rest), w2_line(teacher, clean)
    far = far + Estimate.exact((D - R) * each.value, (D - R) * (each.high - each.value))
    laws = students(across)
    near = repeated([distance(law, across) for law in laws])
    on_line = w2_transport(teacher, clean)
    return Evidence(
        Check.of("teacher", far, on_line + (D - R) * w2_transport(noisy, rest)),
        Check.of("student", near, on_line + (D - R) * across, CLOSE),
        (
            Check("gain", far.value - near.value, (D - R) * w2_gain(across, NOISE), CLOSE),
            Check("cosine of the lines", laws[0][1], 1.0),
            Check("variance on the line", laws[0][3], S2 + NOISE, CLOSE),
        ),
    )


CLAIM = Claim(
    statement="Any law on a subspace, sampler of y's law: the unaware student on one is nearer, by "
    "(d - r) sigma^2.",
    metric="W2^2",
    mechanism="family",
    evidence=lambda: evidence(0.0),
    expects=Verdict.HOLDS,
    control=Control("a clean law that fills the space", lambda: evidence(0.3), Verdict.FAILS),
    source=OURS,
    setting="d=4, two modes on a line, sigma^2=.5",
)
