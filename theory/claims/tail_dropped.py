r"""A tail of variances just above $\sigma^2/3$ that a student drops: farther in W2, though not in sliced W2.

Each direction that is dropped costs $\lambda$ in place of $(\sqrt{\lambda+\sigma^2} - \sqrt\lambda)^2$. In W2
the costs of directions add up. In sliced W2, whose projections mix what is dropped with what is kept, the
same student is nearer: see the claim `sliced_w2_disagrees`, which has the same laws.
"""

from __future__ import annotations

from dataclasses import replace

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.claims.sliced_w2_disagrees import evidence as distances

W2 = (4.044, 5.010)  # of teacher and student
SLICED = (3.08, 0.417)  # d times their sliced W2
PRINTED = {W2: 2e-4, SLICED: 5e-4}


def evidence(slices: bool) -> Evidence:
    """The two distances, and as they are printed."""
    found, printed = distances(slices), SLICED if slices else W2
    others = [
        Check(f"{check.name}, as printed", check.closed, value, PRINTED[printed])
        for check, value in zip((found.teacher, found.student), printed, strict=True)
    ]
    return replace(found, others=tuple(others))


CLAIM = Claim(
    statement="A tail of variances above sigma^2/3, sampler of y's law: the unaware student that drops it "
    "is nearer in W2, as it is in sliced W2.",
    metric="W2^2",
    mechanism="family",
    evidence=lambda: evidence(slices=False),
    expects=Verdict.FAILS,
    control=Control("sliced W2 in place of W2", lambda: evidence(slices=True), Verdict.HOLDS),
    source=OURS,
    setting="ten variances of 2, ten of 0.4, sigma^2=1, k=10",
)
