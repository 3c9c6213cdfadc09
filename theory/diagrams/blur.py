r"""Deblurring without knowledge of the noise: noise against the gain of the blur, for a direction kept."""

from __future__ import annotations

import numpy as np

from theory.claim import Evidence
from theory.claims.diagonal_blur import PEAK, bound
from theory.line import student_variance
from theory.panels import Axis, Curve, Phase, contrast
from theory.plots import Diagram
from theory.quadrature import normal, w2_squared


def cell(a: float, noise: float) -> Evidence:
    """Variance 1; the student is blurred, but not made noisy, before it is compared."""
    b2 = a**2 + noise
    v = student_variance("reverse KL, tau = 0", normal(0.0, b2), b2 / 4, 4 * b2) / a**2
    far = w2_squared(normal(0.0, b2), normal(0.0, 1.0)), (b2**0.5 - 1) ** 2
    return contrast(far, ((v**0.5 - 1) ** 2, (b2**0.5 / a - 1) ** 2))


GAIN = Axis("gain $a$ of the blur", 0.0, 1.0)
NOISE = Axis(r"noise over variance, $\sigma^2/\lambda$", 0.0, 0.3)
DIAGRAM = Diagram(
    (
        Phase(
            "$W_2^2$: aware of the blur, not the noise",
            GAIN,
            NOISE,
            cell,
            (
                Curve(
                    r"$h(a)=a^2(1-a)(3+a)/(1+a)^2$",
                    GAIN.curve,
                    np.array([bound(float(a)) for a in GAIN.curve]),
                ),
                Curve(
                    rf"$\max_a h=(2^{{2/3}}-1)^3={PEAK**3:.4f}$", GAIN.curve, 0 * GAIN.curve + PEAK**3, ":"
                ),
            ),
            contour=False,
        ),
    ),
    columns=1,
    cells=32,
    quick=8,
    claims=("diagonal_blur",),
)
