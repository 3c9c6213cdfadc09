"""The stage that samples: from a trained network, or from the measurements where there is none."""

from __future__ import annotations

__all__ = ["TIMED_MOST", "TIMED_SECONDS", "run"]

import time

import torch

from dcdbench.harness.context import Context, Outcome
from dcdbench.harness.stages import measurement, training
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import Denoiser, Phase, Sampler

TIMED_SECONDS = 0.3  # the sampler is timed again until this has passed; the shortest time counts
TIMED_MOST = 50  # how often at most


def run(
    context: Context,
    sampler: Sampler,
    phase: Phase | None,
    corruption: Corruption,
    shape: tuple[int, ...],
    device: str,
) -> Outcome:
    """As many samples as there are held-out measurements for scores, and what one costs."""
    parent = context.parents["measurement"]
    problem = measurement.problem(parent, corruption, shape).to(context.device)
    net = training.load(context.parents["trained"], phase).to(context.device).eval() if phase else None
    n = int(parent.result["sizes"]["test"])
    drawn = sampler.sample(net, problem, n, context.stream.rng(context.device))
    x = drawn.x.cpu()
    if not bool(torch.isfinite(x).all()):
        address = str(context.stream)
        return Outcome(
            {"reason": "samples that are not finite", "address": address}, {"samples": {"x": x}}, "diverged"
        )
    seconds = timed(sampler, net, problem, n, context)
    return Outcome(
        {"n": n, "nfe": drawn.nfe}, {"samples": {"x": x}}, cost={"ms_per_sample": 1000 * seconds / n}
    )


def timed(sampler: Sampler, net: Denoiser | None, problem: Problem, n: int, context: Context) -> float:
    """The shortest time, in seconds, in which the sampler gave `n` samples."""
    times: list[float] = []
    while sum(times) < TIMED_SECONDS and len(times) < TIMED_MOST:
        rng = context.stream.rng(context.device)
        start = time.perf_counter()
        sampler.sample(net, problem, n, rng).x.cpu()
        times.append(time.perf_counter() - start)
    return min(times)
