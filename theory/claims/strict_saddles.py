r"""The landscape of low-rank students: one minimum, and saddles that generic descent leaves.

In the factor U every $S = \sum_{i \in I} c_i e_i e_i^T$ with $|I| \le k$ is stationary. Turning a column that
is kept along $e_i$ towards another $e_j$ bends reverse KL by $1/(c_j + \tau) - 1/(c_i + \tau)$, and a column
that is empty by $1/(c_j + \tau) - 1/\tau$. At all but the k leading directions one of these is negative, so
that descent from a generic start ends at the minimum; there the least curvature is 0, as $UU^T$ does not
change when columns are mixed. For squared errors of linear networks the same is due to Baldi and Hornik
(1989), https://doi.org/10.1016/0893-6080(89)90014-2.
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

from theory.claim import Check, Control, Identity
from theory.distil import levels, objective

K = 2
SPECTRUM = [3.0, 2.0, 1.0, 0.5]
TIED = [3.0, 1.0, 1.0, 0.5]
CURVED = 0.01  # what counts as a negative curvature


def curvature(spectrum: list[float], kept: tuple[int, ...]) -> tuple[float, float]:
    """The size of the gradient, and the least eigenvalue of the Hessian, where U keeps these directions."""
    c = torch.tensor(spectrum, dtype=torch.float64)
    u = torch.zeros(len(c), K, dtype=torch.float64)
    u[:, : len(kept)] = torch.diag(c.sqrt())[:, list(kept)]

    def loss(flat: Tensor) -> Tensor:
        factor = flat.reshape(len(c), K)
        return objective("reverse KL", factor @ factor.mT, torch.diag(c))

    point = u.flatten().requires_grad_()
    (slope,) = torch.autograd.grad(loss(point), point)
    hessian = torch.autograd.functional.hessian(loss, point.detach())
    return float(slope.abs().max()), float(torch.linalg.eigvalsh(hessian)[0])


def closed(spectrum: list[float], kept: tuple[int, ...]) -> float:
    """The least eigenvalue of theory, a mean over levels."""
    tau = levels()
    weights = tau / tau.sum()
    inverse = [1 / (c + tau) for c in spectrum]
    others = [j for j in range(len(spectrum)) if j not in kept]
    bends = [inverse[j] - inverse[i] for i in kept for j in others]
    if len(kept) < K:
        bends += [inverse[j] - 1 / tau for j in others]
    return min(0.0, *(float(weights @ bend) for bend in bends))


def evidence(spectrum: list[float]) -> tuple[Check, ...]:
    """All choices of up to k directions."""
    checks = []
    for kept in (choice for k in range(K + 1) for choice in combinations(range(len(spectrum)), k)):
        slope, bend = curvature(spectrum, kept)
        name = "".join(str(i + 1) for i in kept) or "nothing"
        checks += [
            Check(f"gradient at {name}", slope, 0.0),
            Check(f"curvature at {name}", bend, closed(spectrum, kept)),
        ]
        if kept != tuple(range(K)):
            checks.append(Check(f"saddle at {name}", bend, -CURVED, 0.0, "<="))
    return tuple(checks)


CLAIM = Identity(
    statement="Students of rank k that keep other than the leading directions are strict saddles "
    "of the objective; the leading ones are its minimum.",
    source="after Baldi and Hornik 1989, doi 10.1016/0893-6080(89)90014-2",
    evidence=lambda: evidence(SPECTRUM),
    control=Control(
        "two equal eigenvalues on both sides of the cut", lambda: evidence(TIED), breaks=("saddle at 13",)
    ),
    setting="d=4, k=2, reverse KL",
)
