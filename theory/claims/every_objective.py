r"""Every objective and every weight has the same student of rank k: the PCA of the teacher's law.

Let $C$ have eigenpairs $(c_i, e_i)$, $c_1 \ge \dots \ge c_d > 0$. Over covariances of rank at most k each
loss is a function of the spectrum of $S$ plus a trace of $f(C)S$, or $g(S)C$, with decreasing `f` and `g`.
By von Neumann's trace inequality the best rotation pairs large eigenvalues with large ones, at all noise
levels alike; then every diagonal loss vanishes at $s_i = c_i$ and only there. So
$S^* = \sum_{i \le k} c_i e_i e_i^T$, unique where $c_k > c_{k+1}$.
Theorem 1 of https://arxiv.org/abs/2503.07578 is this for $\Sigma = EE^T$ and the Fisher divergence.
"""

from __future__ import annotations

import torch
from scipy.optimize import minimize_scalar

from dcdbench.analytic import Gaussian
from theory.claim import DSD, Check, Control, Identity
from theory.distil import OBJECTIVES, Weight, constant, distil, objective
from theory.spectra import gaussian

SPECTRUM = [3.0, 2.0, 1.2, 0.7, 0.3]
CLOSE = 2e-5  # of covariances by minimisation
RANKS = (2, 4, 1)
WEIGHTS: dict[str, Weight] = {
    "d tau": constant,
    "dt": lambda tau: 0.5 / tau.sqrt(),
    "tau d tau": lambda tau: tau,
    "EDM": lambda tau: torch.exp(-((tau.log() / 2 + 1.2) ** 2) / (2 * 1.2**2)) / tau,
    "one level": lambda tau: (tau == tau[len(tau) // 2]).double(),
}


def gap(found: Gaussian, k: int) -> float:
    """The Frobenius distance to the leading part of the spectrum."""
    best = gaussian(SPECTRUM[:k] + [0.0] * (len(SPECTRUM) - k))
    return float((found.cov - best.cov).norm())


def low_rank() -> tuple[Check, ...]:
    """All objectives under all weights for one rank, and under one weight for others."""
    teacher = gaussian(SPECTRUM)
    cases = [(name, weight, k) for name in OBJECTIVES for weight in WEIGHTS for k in RANKS[:1]]
    cases += [(name, "dt", k) for name in OBJECTIVES for k in RANKS[1:]]
    return tuple(
        Check(f"{name}, {w}, k={k}", _gap(teacher, name, w, k), 0.0, floor=CLOSE) for name, w, k in cases
    )


def _gap(teacher: Gaussian, name: str, weight: str, k: int) -> float:
    start = torch.randn(teacher.dim, k, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return gap(distil(teacher, k, name, weight=WEIGHTS[weight], start=start), k)


def isotropic() -> tuple[Check, ...]:
    """The best multiples of the identity: each objective has its own."""
    C = gaussian(SPECTRUM).cov
    eye = torch.eye(len(C), dtype=torch.float64)
    found = {
        name: float(minimize_scalar(lambda v, n=name: float(objective(n, v * eye, C)), bounds=(0.1, 4)).x)
        for name in OBJECTIVES
    }
    return tuple(Check(name, v, found["reverse KL"], 1e-4) for name, v in found.items())


CLAIM = Identity(
    statement="Any spectrum: reverse and forward KL and Fisher, under every weight, have the same student "
    "of rank k, the k leading directions of y's law.",
    source=DSD,
    evidence=low_rank,
    control=Control(
        "isotropic students, which cannot match the teacher's axes",
        isotropic,
        breaks=(
            "reverse Fisher",
            "forward *",
        ),
    ),
    setting="d=5, k=2, five weights; k=1, 4 beside",
)
