r"""A random phase does not make downsampling identifiable.

With a fixed phase $A$ has rank d/f. With a random one, the mean of f neighbours leaves the $f - 1$
frequencies unseen at which its filter vanishes; single entries are all seen, but in pairs only those of
one phase: $f \cdot m(m+1)/2$ of $d(d+1)/2$ second moments, $m = d/f$. A mask of independent entries shows
all pairs.
"""

from __future__ import annotations

from math import comb

from dcdbench.operators.identifiability import moment_ranks
from dcdbench.operators.inpainting import Inpainting
from dcdbench.operators.super_resolution import SuperResolution
from dcdbench.protocols import OperatorLaw
from theory.claim import OURS, Check, Control, Identity

D, FACTOR = 12, 3
M = D // FACTOR
LAWS: dict[str, tuple[OperatorLaw, int, int]] = {
    "means, fixed": (SuperResolution(FACTOR, "average"), M, comb(M + 1, 2)),
    "means, random": (
        SuperResolution(FACTOR, "average", "random"),
        D - FACTOR + 1,
        # Cells add up to the same total in every phase, so that all but one of its squares are repeated.
        FACTOR * comb(M + 1, 2) - FACTOR + 1,
    ),
    "entries, random": (SuperResolution(FACTOR, "nearest", "random"), D, FACTOR * comb(M + 1, 2)),
}


def evidence(laws: dict[str, OperatorLaw]) -> tuple[Check, ...]:
    """The ranks for means and for covariances."""
    checks = []
    for name, law in laws.items():
        ranks, (_, mean, second) = moment_ranks(law, (D,)), LAWS[name]
        checks += [
            Check(f"{name}: means", ranks.mean[0], mean),
            Check(f"{name}: covariances", ranks.second[0], second),
            Check(f"{name}: not all", ranks.second[0], comb(D + 1, 2) - 1, 0.0, "<="),
        ]
    return tuple(checks)


CLAIM = Identity(
    statement="Downsampling leaves second moments undetermined, also with a random phase.",
    source=OURS,
    evidence=lambda: evidence({name: law for name, (law, _, _) in LAWS.items()}),
    control=Control(
        "a random mask of entries",
        lambda: evidence(dict.fromkeys(LAWS, Inpainting(0.5))),
        breaks=(
            "means, *",
            "entries, random: covariances",
            "entries, random: not all",
        ),
    ),
    setting="d=12, every third",
)
