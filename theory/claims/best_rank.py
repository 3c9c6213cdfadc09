r"""The best rank counts the variances of at least $\sigma^2/3$.

The gain of dropping one direction is $g(\lambda) = \lambda + \sigma^2 - 2\sqrt{\lambda(\lambda + \sigma^2)}$,
positive for $\lambda < \sigma^2/3$ alone, and gains of directions add up:
$k^* = \#\{\lambda_i \ge \sigma^2/3\}$.
"""

from __future__ import annotations

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.distil import students
from theory.estimates import w2_laws
from theory.spectra import gaussian, w2_gain, w2_spectra

NOISE = 0.9
SPECTRUM = [2.0, 0.8, 0.35, 0.25, 0.05]  # the threshold, 0.3, lies between the third and the fourth


def evidence(rank: int) -> Evidence:
    """Teacher T-Y against an unaware student of a rank, and the rank that is best of all."""
    clean = gaussian(SPECTRUM)
    teacher = clean.noised(NOISE**0.5)
    noisy = [value + NOISE for value in SPECTRUM]
    d = len(SPECTRUM)
    found = {k: w2_laws(students(teacher, k), clean) for k in range(1, d + 1)}
    best = min(found, key=lambda k: found[k].value)
    first = w2_laws(teacher, clean)
    gain = sum(w2_gain(value, NOISE) for value in SPECTRUM[rank:])
    return Evidence(
        Check.of("teacher", first, w2_spectra(noisy, SPECTRUM)),
        Check.of("student", found[rank], w2_spectra(noisy[:rank] + [0.0] * (d - rank), SPECTRUM)),
        (
            Check("best rank", best, sum(value >= NOISE / 3 for value in SPECTRUM)),
            Check("gain", first.value - found[rank].value, gain),
        ),
    )


CLAIM = Claim(
    statement="Any spectrum, sampler of y's law: the unaware student whose rank counts the variances "
    "of at least sigma^2/3 is nearer, and nearest among all ranks.",
    metric="W2^2",
    mechanism="family",
    evidence=lambda: evidence(3),
    expects=Verdict.HOLDS,
    control=Control("the rank 1", lambda: evidence(1), Verdict.FAILS),
    source=OURS,
    setting="d=5, sigma^2=0.9, k=3",
)
