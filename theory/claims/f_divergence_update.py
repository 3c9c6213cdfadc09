r"""What f-distillation and a GAN do to a linear generator: descent of the f-divergence, up to a factor.

For an exact critic and the exact ratio r of real to fake density at a level, DMD's update weighted by
$h(r) = f''(r) r^2$ is $\tau$ times the descent of $D_f = E[f(r)]$ under the fakes
(https://arxiv.org/abs/2502.15681). The adversarial loss $-\log P(real)$ moves fakes by
$\nabla \log r / (1 + r)$, the weight of $f(r) = (1 + r) \log((1 + r)/r)$, which is twice
$KL((fake + real)/2 \| real)$. On the line: the update by
Gauss-Hermite nodes for latent and noise, the descent by a trapezoid rule for their sum.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dcdbench.distillers.f_distill import WEIGHTS, FDistill
from dcdbench.distillers.gan import GAN
from theory.claim import Check, Control, Identity
from theory.generator import LEVEL, SIGMA, TAU, Ratio, hermite, velocity

ROOT, TEACHER = 0.9, 1.3  # of the generator, and the teacher's variance
NODES = hermite(64)
LINE = torch.linspace(-12.0, 12.0, 481, dtype=torch.float64)
CHANCES = torch.exp(-LINE.square() / 2) / (2 * torch.pi) ** 0.5 * (LINE[1] - LINE[0])
U = torch.tensor([[ROOT]], dtype=torch.float64)
C = torch.tensor([[TEACHER]], dtype=torch.float64)
F: dict[str, Callable[[Tensor], Tensor]] = {  # by logarithms of the ratio
    "rkl": lambda t: -t,
    "kl": lambda t: t.exp() * t,
    "js": lambda t: t.exp() * t - (1 + t.exp()) * torch.log1p(t.exp()),
    "hellinger": lambda t: -4 * (t / 2).exp(),
    "softened_rkl": lambda t: (1 + t.exp()) * torch.log1p((-t).exp()),
    "jeffreys": lambda t: (t.exp() - 1) * t,
    "neyman": lambda t: 0.5 * (-t).exp(),
}


def log_ratio(student: Tensor | float, off: float) -> Ratio:
    """The teacher's log-density over that of a student of this variance, `(B,)`, plus an error."""
    a, b = student + TAU, TEACHER + TAU

    def ratio(x: Tensor) -> Tensor:
        square = x.square().sum(1)
        return 0.5 * (square * (1 / a - 1 / b) + torch.log(torch.as_tensor(a / b))) + off * square

    return ratio


def descent(name: str) -> float:
    """`tau` times the descent of the divergence in `U`, by differentiation."""
    moving = U.clone().requires_grad_()
    fake = moving.square().sum()
    value = F[name](log_ratio(fake, 0.0)((fake + TAU).sqrt() * LINE[:, None])) @ CHANCES
    return -TAU * float(torch.autograd.grad(value, moving)[0])


def moved(name: str, off: float) -> float:
    """The distiller's update; its factor that brings weights to mean 1 is multiplied out."""
    ratio = log_ratio(ROOT**2, off)
    distiller = FDistill(**LEVEL, divergence=name, ratio_low=1e-30, ratio_high=1e30)  # type: ignore[arg-type]
    mean = WEIGHTS[name](ratio(NODES.z @ U + SIGMA * NODES.noise).exp()).mean()
    return float(mean * velocity(distiller, U, C, samples=NODES, ratio=ratio))


def evidence(off: float) -> tuple[Check, ...]:
    """All divergences, and the adversarial loss, whose scale is that of scores."""
    found = {name: (moved(name, off), descent(name)) for name in WEIGHTS}
    gan = velocity(GAN(**LEVEL), U, C, scaled=False, samples=NODES, ratio=log_ratio(ROOT**2, off))
    found["adversarial"] = TAU * float(gan), descent("softened_rkl")
    return tuple(Check(name, update / theory, 1.0) for name, (update, theory) in found.items())


CLAIM = Identity(
    statement="With an exact critic and ratio f-distillation descends its divergence, and a GAN that of "
    "(fake + real)/2 from real.",
    source="f-distillation, arXiv 2502.15681",
    evidence=lambda: evidence(0.0),
    control=Control(
        "a ratio that is too large in the tails",
        lambda: evidence(0.02),
        breaks=(
            "kl",
            "js",
            "hellinger",
            "softened_rkl",
            "jeffreys",
            "neyman",
            "adversarial",
        ),
    ),
    setting="the line, all seven divergences, the distillers' own code",
)
