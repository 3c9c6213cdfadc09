"""A prediction for a reader: lines of text, a document, and a picture."""

from __future__ import annotations

__all__ = ["Outlooks", "document", "draw", "lines"]

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dcdbench.harness.figures import save, subplots
from dcdbench.prediction.rules import LIMITS, THRESHOLD, Forecast, Outlook
from dcdbench.prediction.spectrum import Array, too_low

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KEPT, DROPPED, PLAIN = "#0072b2", "#d55e00", "#444444"


@dataclass(frozen=True)
class Outlooks:
    """Forecasts for one set of measurements.

    Args:
        source: What was measured, in words.
        seen: Eigenvalues of the covariance of y, `(d,)`, from the largest.
        n: How many measurements.
        sigma_y: The standard deviation of the noise.
        aware: Whether students are told of it.
        forecasts: One for each rank.
        chosen: The rank that was asked for; None for the best.
    """

    source: str
    seen: Array
    n: int
    sigma_y: float
    aware: bool
    forecasts: tuple[Forecast, ...]
    chosen: int | None = None

    @property
    def best(self) -> Forecast:
        """The rank with the largest predicted gain, and of equals the smallest rank."""
        return max(self.forecasts, key=lambda f: f.gain)

    @property
    def shown(self) -> Forecast:
        """The rank that was asked for, else the best."""
        return next((f for f in self.forecasts if f.rank == self.chosen), self.best)

    @property
    def warning(self) -> str:
        """What speaks against `sigma_y`; empty if nothing does."""
        if not too_low(self.seen, self.n, self.sigma_y**2):
            return ""
        return (
            f"the smallest eigenvalue of y, {self.seen[-1]:.3g}, is far below sigma_y^2 = "
            f"{self.sigma_y**2:.3g}: sigma_y is too large, or the noise is not white"
        )


def lines(outlooks: Outlooks) -> Iterator[str]:
    """The verdict first, then what it rests on, then its limits."""
    it, d = outlooks.shown, len(outlooks.seen)
    kind = "aware" if outlooks.aware else "unaware"
    yield f"{outlooks.source}: d = {d}, n = {outlooks.n}, sigma_y = {outlooks.sigma_y:g}"
    which = "the best" if outlooks.chosen is None else "as asked for"
    yield f"{it.outlook}: an {kind} student of rank {it.rank} of {d} ({which}), against its teacher"
    yield f"  gain in W2^2 (P2)        {it.gain:+.4g} ± {it.gain_sd:.2g}, of the teacher's {it.teacher:.4g}"
    yield f"  as a share of it         {it.share:+.1%} ± {it.share_sd:.1%} (sd); decided beyond 10 % + 2 sd"
    yield f"  plug-in gain (P0)        {it.plug_in:+.4g}"
    yield from _tail(outlooks, it)
    yield f"  ranks that help          {_spans([f.rank for f in outlooks.forecasts if _helps(f)])}"
    if outlooks.chosen is not None:
        best = outlooks.best
        share = f"{best.share:+.1%} ± {best.share_sd:.1%}"
        yield f"  best rank                {best.rank} ({best.outlook}, {share})"
    if outlooks.warning:
        yield f"warning: {outlooks.warning}"
    yield f"limits: {LIMITS}."


def _tail(outlooks: Outlooks, it: Forecast) -> Iterator[str]:
    """The sufficient rule, where it applies."""
    if it.sufficient is None:
        return
    mean, bound = outlooks.seen[it.rank :].mean(), THRESHOLD * outlooks.sigma_y**2
    sign, word = ("<", "enough") if it.sufficient else (">=", "not enough")
    yield f"  mean dropped (P1)        {mean:.4g} {sign} {bound:.4g} = 4/3 sigma_y^2, {word} if n is large"


def _helps(forecast: Forecast) -> bool:
    return forecast.outlook is Outlook.HELPS


def _spans(ranks: list[int]) -> str:
    """Numbers with runs joined: `1-4, 7`."""
    spans: list[list[int]] = []
    for rank in ranks:
        if spans and rank == spans[-1][-1] + 1:
            spans[-1][1:] = [rank]
        else:
            spans.append([rank])
    return ", ".join("-".join(map(str, span)) for span in spans) or "none for certain"


def document(outlooks: Outlooks) -> dict[str, Any]:
    """The same as JSON."""
    return {
        "source": outlooks.source,
        "d": len(outlooks.seen),
        "n": outlooks.n,
        "sigma_y": outlooks.sigma_y,
        "student": "aware" if outlooks.aware else "unaware",
        "eigenvalues": outlooks.seen.tolist(),
        "prediction": asdict(outlooks.shown),
        "best_rank": outlooks.best.rank,
        "ranks": [asdict(forecast) for forecast in outlooks.forecasts],
        "warning": outlooks.warning,
        "limits": LIMITS,
    }


def draw(path: Path, outlooks: Outlooks) -> None:
    """The spectrum of y with its threshold, and the predicted gain for each rank."""
    figure, axes = subplots(1, 2, (9.0, 3.6))
    _spectrum(axes[0, 0], outlooks)
    _gains(axes[0, 1], outlooks)
    figure.suptitle(f"{outlooks.source}: {outlooks.shown.outlook}", fontsize=10)
    save(figure, path)


def _spectrum(axis: Axes, outlooks: Outlooks) -> None:
    seen, k, noise = outlooks.seen, outlooks.shown.rank, outlooks.sigma_y**2
    at = np.arange(1, len(seen) + 1)
    axis.plot(at[:k], seen[:k], "o", color=KEPT, markersize=4, label=f"kept ({k})")
    axis.plot(at[k:], seen[k:], "o", color=DROPPED, markersize=4, label=f"dropped ({len(seen) - k})")
    axis.axhline(THRESHOLD * noise, color=PLAIN, linewidth=1, label=r"$4\sigma_y^2/3$, unaware threshold")
    axis.axhline(noise, color=PLAIN, linewidth=0.8, linestyle=":", label=r"$\sigma_y^2$")
    axis.set_yscale("log")
    axis.set_title("eigenvalues of the covariance of y", fontsize=9)
    axis.set_xlabel("direction", fontsize=8)
    axis.legend(fontsize=7, frameon=False)


def _gains(axis: Axes, outlooks: Outlooks) -> None:
    found = outlooks.forecasts
    at = [f.rank for f in found]
    mean, sd = np.array([f.gain for f in found]), np.array([f.gain_sd for f in found])
    axis.fill_between(at, mean - 2 * sd, mean + 2 * sd, color=KEPT, alpha=0.2, linewidth=0, label="± 2 sd")
    axis.plot(at, mean, color=KEPT, linewidth=1.2, label="bootstrap (P2)")
    axis.plot(at, [f.plug_in for f in found], "--", color=DROPPED, linewidth=1, label="plug-in (P0)")
    axis.axhline(0.0, color=PLAIN, linewidth=0.8)
    axis.axvline(outlooks.shown.rank, color=PLAIN, linewidth=0.8, linestyle=":")
    axis.set_title("predicted gain in W2 squared; above 0 the student is better", fontsize=9)
    axis.set_xlabel("rank of the student", fontsize=8)
    axis.legend(fontsize=7, frameon=False)
