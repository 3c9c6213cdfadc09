r"""Through an A with a null space the distillers move a generator in the rows of A alone.

The gradient of a loss on $AU$ is $A^T$ times a matrix, whatever the distiller. So descent keeps
$(I - A^+A) U$: from nothing there the aware student misses the variance of the data, $\lambda$; from the
teacher's law, whose noise it has there, it keeps that noise, and is off by $(\sigma - \sqrt\lambda)^2$.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dcdbench.distillers.diff_instruct import DiffInstruct
from dcdbench.distillers.dmd import DMD
from dcdbench.distillers.sim import SiM
from dcdbench.linalg import sqrtm
from dcdbench.protocols import Distiller
from theory.claim import OURS, Check, Control, Identity
from theory.distil import w2_squared
from theory.generator import LEVEL, Corrupted, settled, sid, velocity
from theory.spectra import axes, gaussian

SPECTRUM, GAINS, NOISE = [1.5, 0.8, 0.4], [1.2, 0.8, 0.0], 0.16
D = len(SPECTRUM)
CLEAN = gaussian(SPECTRUM)
A = axes(D) @ torch.diag(torch.tensor(GAINS, dtype=torch.float64)) @ axes(D).T
HIDDEN = torch.eye(D, dtype=torch.float64) - torch.linalg.pinv(A) @ A
DISTILLERS: dict[str, Distiller] = {
    "DMD": DMD(**LEVEL),
    "Diff-Instruct": DiffInstruct(**LEVEL),
    "SiD, alpha=1.2": sid(1.2),
    "SiM": SiM(**LEVEL, huber=None),
}


def distance(U: Tensor) -> float:
    """W2^2 of a generator to the clean law."""
    return w2_squared(type(CLEAN).from_factor(torch.zeros(D), U), CLEAN)


def evidence(measure: Tensor) -> tuple[Check, ...]:
    """Updates at a generic generator; and DMD from two starts, for fakes measured by a matrix."""
    again, seen = Corrupted(measure, NOISE**0.5), Corrupted(A, NOISE**0.5).covariance(CLEAN.cov)
    U = torch.randn(D, D, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    checks = []
    for name, each in DISTILLERS.items():
        moved = velocity(each, U, seen, corrupted=again)
        share = float((HIDDEN @ moved).norm() / moved.norm())
        checks.append(Check(f"{name}, update outside of the rows of A", share, 0.0))
    for name, start, closed in (
        ("from nothing", U - HIDDEN @ U, SPECTRUM[-1]),
        ("from the teacher", sqrtm(seen), (NOISE**0.5 - SPECTRUM[-1] ** 0.5) ** 2),
    ):
        end = settled(DISTILLERS["DMD"], start, seen, corrupted=again)
        kept = float((HIDDEN @ (end - start)).norm())
        checks += [
            Check(f"{name}, change outside of the rows of A", kept, 0.0),
            Check(f"{name}, W2^2", distance(end), closed),
        ]
    return tuple(checks)


CLAIM = Identity(
    statement="On fakes measured by an A with a null space DMD, Diff-Instruct, SiD and SiM move a generator "
    "along the rows of A; what it has elsewhere, nothing or the teacher's noise, stays.",
    source=OURS,
    evidence=lambda: evidence(A),
    control=Control(
        "fakes that are not measured by A",
        lambda: evidence(torch.eye(D, dtype=torch.float64)),
        breaks=("*, update outside *", "from nothing, W2^2", "from the teacher, *"),
    ),
    setting="d=3, A of rank 2, sigma^2=0.16, tau=0.25, exact critics, the distillers' own code",
)
