r"""The landscape of low-rank students: one minimum, and saddles that generic descent leaves.

In the factor U every $S = \sum_{i \in I} c_i e_i e_i^T$ with $|I| \le k$ is stationary. At all but the k
leading directions the Hessian has a negative eigenvalue, so that descent from a generic start ends at the
minimum.
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

from theory.claim import OURS, Check, Control, Identity
from theory.distil import objective

K = 2
SPECTRUM = [3.0, 2.0, 1.0, 0.5]
TIED = [3.0, 1.0, 1.0, 0.5]
CURVED = 1e-3  # what counts as a negative curvature


def curvature(spectrum: list[float], kept: tuple[int, ...]) -> tuple[float, float]:
    """The size of the gradient, and the least eigenvalue of the Hessian, where U keeps these directions."""
    c = torch.tensor(spectrum, dtype=torch.float64)
    u = torch.diag(c.sqrt())[:, list(kept)]

    def loss(flat: Tensor) -> Tensor:
        factor = flat.reshape(len(c), K)
        return objective("reverse KL", factor @ factor.mT, torch.diag(c))

    point = u.flatten().requires_grad_()
    (slope,) = torch.autograd.grad(loss(point), point)
    hessian = torch.autograd.functional.hessian(loss, point.detach())
    return float(slope.abs().max()), float(torch.linalg.eigvalsh(hessian)[0])


def evidence(spectrum: list[float]) -> tuple[Check, ...]:
    """All choices of k directions."""
    checks = []
    for kept in combinations(range(len(spectrum)), K):
        slope, bend = curvature(spectrum, kept)
        best = kept == tuple(range(K))
        name = "".join(str(i + 1) for i in kept)
        checks += [
            Check(f"gradient at {name}", slope, 0.0),
            Check(f"curvature at {name}", bend, 0.0, 1e-9, ">=")
            if best
            else Check(f"curvature at {name}", bend, -CURVED, 0.0, "<="),
        ]
    return tuple(checks)


CLAIM = Identity(
    statement="Students of rank k that keep other than the leading directions are strict saddles "
    "of the objective; the leading ones are its minimum.",
    source=OURS,
    evidence=lambda: evidence(SPECTRUM),
    control=Control("two equal eigenvalues on both sides of the cut", lambda: evidence(TIED)),
    setting="d=4, k=2, reverse KL",
)
