r"""A sampler of masked denoisers with one mask throughout completes with conditional means: too narrow.

With $E[x | M x_t]$ and a fixed M the probability flow ends in $x_o$ from the right law and
$x_m = E[x_m | x_o]$. Over random masks that is a mixture of completions without spread. An aware student
whose second moments are determined by the masks has the clean covariance. The masks are those that the
objective of Ambient Diffusion shows a denoiser when it samples.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import torch
from torch import Tensor

from dcdbench.analytic import Gaussian, frechet
from dcdbench.diffusion import heun, karras_levels
from dcdbench.linalg import sqrtm
from dcdbench.objectives.ambient_diffusion import AmbientDiffusion
from dcdbench.operators.inpainting import Inpainting
from dcdbench.problem import Corruption
from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.distil import levels, minimise, reverse_kl
from theory.estimates import w2_laws

STEPS, LOWEST, HIGHEST = 200, 1e-4, 10.0
CORRELATIONS = (0.8, 0.9)  # the first is the claim's, the others are beside
EYE = torch.eye(2, dtype=torch.float64)
FURTHER, SHOWN, DRAWS = 0.2, 0.5, 40_000  # the further corruption, and what it leaves
ACCURACY, CLOSE = 1e-4, 1e-6  # of the flow, and of a student by minimisation
Masks = list[tuple[int, ...]]
ALL: Masks = list(product((0, 1), repeat=2))
ONE: Masks = [(0, 1), (1, 0)]


def correlated(rho: float) -> Tensor:
    """The clean covariance."""
    return torch.tensor([[1.0, rho], [rho, 1.0]], dtype=torch.float64)


def completion(mask: tuple[int, ...], tau: float, cov: Tensor) -> Tensor:
    """The matrix of `E[x | M x_t]` at a noise variance."""
    shown = EYE[[bool(m) for m in mask]]
    return cov @ shown.mT @ torch.linalg.inv(shown @ cov @ shown.mT + tau * shown @ shown.mT) @ shown


def sampled(mask: tuple[int, ...], cov: Tensor, most: int = STEPS) -> Tensor:
    """The covariance that the probability flow ends in: by Heun's method, its error extrapolated to 0."""
    few, many = (_flow(mask, cov, steps) for steps in (most // 2, most))
    return (4 * many - few) / 3  # the error of the method falls like the square of the step


def _flow(mask: tuple[int, ...], cov: Tensor, steps: int) -> Tensor:
    times = torch.cat([karras_levels(steps, LOWEST, HIGHEST), torch.zeros(1, dtype=torch.float64)])
    end = heun(lambda x, t: x @ completion(mask, t**2, cov).mT, sqrtm(cov + HIGHEST**2 * EYE), times)
    return end.mT @ end


def drawn() -> tuple[Check, ...]:
    """How often the objective shows each mask when it samples: it draws a further corruption."""
    objective = AmbientDiffusion(sampling_delta=FURTHER)
    corruption = Corruption(Inpainting(SHOWN / (1 - FURTHER)))
    masks = objective.draw(corruption, (2,), DRAWS, torch.Generator().manual_seed(0))
    seen = masks.tensors()["mask"]
    shares = {mask: float((seen == torch.tensor(mask)).all(1).double().mean()) for mask in ALL}
    error = 4 * (3 / 16 / DRAWS) ** 0.5  # of a share, four standard errors
    return tuple(Check(f"share of mask {mask}", share, 0.25, error / 0.25) for mask, share in shares.items())


def student(masks: Masks, cov: Tensor, wide: float = 1.3) -> Gaussian:
    """The aware student, from an uncorrelated start: its masked law is compared with y's, per mask."""
    tau = levels()
    noise = tau[:, None, None] * EYE
    seen = [torch.tensor(m, dtype=torch.float64) for m in masks]

    def loss(u: Tensor) -> Tensor:
        flat = u @ u.mT
        parts = [reverse_kl(m * flat * m[:, None] + noise, m * cov * m[:, None] + noise) for m in seen]
        return (tau * torch.stack(parts).mean(0)).sum() / tau.sum()

    start = torch.diag(torch.tensor([0.7, wide], dtype=torch.float64))
    if masks == ALL:
        start[1, 0] = 0.1  # at no correlation at all the gradient of it vanishes
    return Gaussian.from_factor(torch.zeros(2), minimise(loss, start))


def distances(masks: Masks, rho: float) -> tuple[Check, Check]:
    """Of teacher T-mask and the aware student, in Frechet distance."""
    cov = correlated(rho)
    clean = Gaussian(torch.zeros(2), cov)
    mixtures = [
        Gaussian(torch.zeros(2), torch.stack([sampled(m, cov, steps) for m in masks]).mean(0))
        for steps in (STEPS, STEPS // 2)
    ]
    far, near = w2_laws(mixtures, clean), w2_laws([student(masks, cov, wide) for wide in (1.3, 1.2)], clean)
    gains = [completion(m, 0.0, cov) for m in masks]
    closed = Gaussian(torch.zeros(2), torch.stack([gain @ cov @ gain.mT for gain in gains]).mean(0))
    ideal = clean if masks == ALL else Gaussian(torch.zeros(2), EYE)
    return (
        Check.of("teacher", far, frechet(closed, clean), ACCURACY),
        Check.of("student", near, frechet(ideal, clean), floor=CLOSE),
    )


def evidence(masks: Masks) -> Evidence:
    """At one correlation, and at another beside; and that the objective draws such masks."""
    first, *rest = CORRELATIONS
    others = [
        replace(check, name=f"{check.name}, correlation {rho:g}")
        for rho in rest
        for check in distances(masks, rho)
    ]
    return Evidence(*distances(masks, first), (*others, *drawn()))


CLAIM = Claim(
    statement="Masks that show all pairs at times, sampler with one mask throughout: the aware student "
    "is nearer.",
    metric="Frechet^2",
    mechanism="awareness",
    evidence=lambda: evidence(ALL),
    expects=Verdict.HOLDS,
    control=Control(
        "masks of one coordinate, a start without correlation", lambda: evidence(ONE), Verdict.FAILS
    ),
    source=OURS,
    setting="d=2, correlation 0.8, each entry seen with probability 1/2",
)
