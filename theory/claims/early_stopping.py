r"""Early stopping: an unaware student of full capacity is nearer for a while, and then becomes its teacher.

Under gradient flow on the factor of a diagonal linear generator, for reverse KL with equal weights,
$\dot v = 2v \log(c/v)$, so that $v(s) = c (v_0/c)^{e^{-2s}}$. From below c it crosses $\lambda$ on its
way: from some time on it is nearer to the clean law than $c = \lambda + \sigma^2$, most so at a finite
time, and the gain vanishes as training goes on. The start $G(z) = D(t_0 z; t_0)$ has
$v_0 = \tau_0 c^2/(c + \tau_0)^2 < c$.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.distil import reverse_kl
from theory.divergences.estimate import Estimate
from theory.estimates import w2_laws
from theory.spectra import gaussian, w2_spectra

CLEAN, NOISE, START = [1.5, 0.8, 0.3], 0.5, 6.25
STEP, END = 0.01, 6.0
NODES, REACH = 160, 14.0  # of log tau
TEACHER = [value + NOISE for value in CLEAN]


def kl(u: Tensor) -> Tensor:
    """Reverse KL over all noise variances, by quadrature."""
    t = torch.linspace(-REACH, REACH, NODES, dtype=torch.float64)
    tau = t.exp()
    s, c = (v[None, :] + tau[:, None] for v in (u.square(), torch.tensor(TEACHER, dtype=torch.float64)))
    ones = [v.reshape(-1, 1, 1) for v in (s, c)]
    return (tau.repeat_interleave(len(u)) * reverse_kl(*ones)).sum() * (t[1] - t[0])


def starts() -> list[float]:
    """The variances of the generator at first."""
    return [START * c**2 / (c + START) ** 2 for c in TEACHER]


@cache
def path(step: float = STEP) -> list[list[float]]:
    """The variances along gradient flow, by the midpoint rule, after steps of this time."""
    u = torch.tensor(starts(), dtype=torch.float64).sqrt()
    found = [u.square().tolist()]
    for _ in range(round(END / step)):
        half = u - step / 2 * _slope(u)
        u = u - step * _slope(half)
        found.append(u.square().tolist())
    return found


def _slope(u: Tensor) -> Tensor:
    moving = u.detach().requires_grad_()
    return torch.autograd.grad(kl(moving), moving)[0]


def closed(s: float) -> list[float]:
    """The variances of theory at time s."""
    return [c * (v / c) ** math.exp(-2 * s) for c, v in zip(TEACHER, starts(), strict=True)]


def evidence(finished: bool) -> Evidence:
    """The teacher against the student, stopped where it is nearest, or at the end."""
    along = [w2_spectra(v, CLEAN) for v in path()]
    best = min(range(len(along)), key=lambda i: along[i])
    at = len(along) - 1 if finished else best
    law, teacher = gaussian(CLEAN), w2_spectra(TEACHER, CLEAN)
    after = [b - a for a, b in zip(along[best:], along[best + 1 :], strict=False)]
    even = at - at % 2  # a moment that the coarser path has too
    coarse = w2_spectra(path(2 * STEP)[even // 2], CLEAN)
    near = Estimate.exact(along[at], abs(along[even] - coarse))
    return Evidence(
        Check.of("teacher", w2_laws(law.noised(NOISE**0.5), law), teacher),
        Check.of("student", near, w2_spectra(closed(at * STEP), CLEAN), 1e-4),
        (
            Check("halfway", along[len(along) // 8], w2_spectra(closed(END / 8), CLEAN), 1e-4),
            Check("only rises after its best", min(after), 0.0, 1e-12, ">="),
            Check("returns to the teacher", along[-1], teacher, 1e-4),
        ),
    )


CLAIM = Claim(
    statement="Any spectrum, sampler of y's law: the unaware student of full capacity, stopped early, "
    "is nearer.",
    metric="W2^2",
    mechanism="optimisation",
    evidence=lambda: evidence(finished=False),
    expects=Verdict.HOLDS,
    control=Control("training to the end", lambda: evidence(finished=True), Verdict.FAILS),
    source=OURS,
    setting="d=3, sigma^2=0.5, reverse KL with equal weights, start at noise 2.5",
)
