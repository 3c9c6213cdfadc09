r"""The distillers themselves find the clean covariance when fakes are corrupted again before they are judged.

With $S + \sigma^2 I$ for S and $\Sigma + \sigma^2 I$ for C their updates vanish at $S = \Sigma$: SiD, SiM,
DMD and Diff-Instruct, each with an exact critic of noisy fakes, descend to it from a generic start. Without
the noise they descend to the law of y, which is a tie.
"""

from __future__ import annotations

import torch

from dcdbench.distillers.diff_instruct import DiffInstruct
from dcdbench.distillers.dmd import DMD
from dcdbench.distillers.sim import SiM
from dcdbench.protocols import Distiller
from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.distil import w2_squared
from theory.estimates import w2_laws
from theory.generator import LEVEL, Corrupted, settled, sid
from theory.spectra import gaussian, w2_spectra

SPECTRUM, NOISE, STEPS = [1.5, 0.8, 0.3], 0.16, 300
DISTILLERS: dict[str, Distiller] = {
    "DMD": DMD(**LEVEL),
    "SiD": sid(0.75),
    "SiM": SiM(**LEVEL, huber=None),
    "Diff-Instruct": DiffInstruct(**LEVEL),
}


def evidence(aware: bool) -> Evidence:
    """Teacher T-Y against students of full rank, by all of them."""
    clean, d = gaussian(SPECTRUM), len(SPECTRUM)
    teacher, again = clean.noised(NOISE**0.5), Corrupted(torch.eye(d, dtype=torch.float64), NOISE**0.5)
    start = torch.randn(d, d, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    far = w2_spectra([value + NOISE for value in SPECTRUM], SPECTRUM)
    checks, found = [], []
    for name, each in DISTILLERS.items():
        scaled = not isinstance(each, DiffInstruct)
        U = settled(each, start, teacher.cov, scaled=scaled, corrupted=again if aware else None, steps=STEPS)
        found.append(type(clean).from_factor(torch.zeros(d), U))
        checks.append(Check(f"student by {name}", w2_squared(found[-1], clean), 0.0 if aware else far))
    near = w2_laws(found, clean)  # each distiller is another way to the same law
    student = Check.of("student by all", near, 0.0 if aware else far)
    return Evidence(Check.of("teacher", w2_laws(teacher, clean), far), student, tuple(checks))


CLAIM = Claim(
    statement="Any spectrum, sampler of y's law: a generator that SiD, SiM, DMD or Diff-Instruct trains "
    "on fakes with the noise of the measurements has the clean law.",
    metric="W2^2",
    mechanism="awareness",
    evidence=lambda: evidence(aware=True),
    expects=Verdict.HOLDS,
    control=Control("fakes without noise", lambda: evidence(aware=False), Verdict.FAILS),
    source=OURS,
    setting="d=3, sigma^2=0.16, tau=0.25, exact critics, the distillers' own code",
)
