"""The stage that scores samples. With the stage of data, it is the only one that sees clean signals."""

from __future__ import annotations

__all__ = ["run"]

import math
from typing import Any, Literal

from torch import Tensor

from dcdbench.harness.context import Context, Outcome
from dcdbench.harness.stages import data as data_stage
from dcdbench.harness.stages import measurement
from dcdbench.problem import Corruption, Reference
from dcdbench.protocols import DataSource, Method, Metric


def run(
    context: Context,
    source: Literal["samples", "floor", "ideal"],
    metrics: tuple[Metric, ...],
    corruption: Corruption,
    data: DataSource,
    method: Method | None,
    regret: tuple[str, ...],
) -> Outcome:
    """Scores samples, the floor (clean against clean), or what theory's ideal result would give.

    Args:
        context: Where the stage runs.
        source: What is scored.
        metrics: The metrics.
        corruption: That of the task.
        data: Where clean data come from, and their analytic law if there is one.
        method: That whose ideal result is scored, for the source `ideal`.
        regret: Values for which the candidates of the training are scored as well.
    """
    splits = data_stage.load(context.parents["data"])
    clean = splits.reference if len(splits.reference) else None
    law = data.law() if hasattr(data, "law") else None
    ideal = method.expected(law, corruption) if method else None
    test = measurement.load(context.parents["measurement"], "test", corruption)
    train = None if data.corrupted else splits.train
    reference = Reference(clean, test, corruption, law, train, splits.labels.get("reference"))
    x = _samples(context, source, ideal, splits.floor, reference)
    scores, skipped = _score(context, x, metrics, reference)
    result = {"n": len(x), "scores": scores, "skipped": skipped}
    if regret and clean is not None:
        result["regret"] = _regret(context, metrics, reference, regret)
    return Outcome(result)


def _samples(context: Context, source: str, ideal: Any, floor: Tensor, reference: Reference) -> Tensor:
    if source == "floor":
        return floor
    if source == "ideal":
        assert reference.clean is not None
        drawn: Tensor = ideal.sample(len(reference.clean), (context.stream / "ideal").rng())
        return drawn.float().reshape(reference.clean.shape)
    return context.parents["samples"].tensors("samples")["x"]


def _score(
    context: Context, x: Tensor, metrics: tuple[Metric, ...], reference: Reference
) -> tuple[dict[str, Any], dict[str, str]]:
    scores: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    for i, metric in enumerate(metrics):
        name = type(metric).__name__
        context.tick(i / len(metrics), name)
        if reason := _unsupported(metric, reference):
            skipped |= dict.fromkeys(metric.values, reason)
            continue
        for value, score in metric(x, reference, (context.stream / name).rng()).items():
            if math.isfinite(score):
                scores[value] = score
            else:
                skipped[value] = f"the value is {score}"
    return scores, skipped


def _unsupported(metric: Metric, reference: Reference) -> str | None:
    if metric.needs != "measurements" and reference.clean is None:
        return "needs clean references, and there are none"
    return metric.supports(reference)


def _regret(
    context: Context, metrics: tuple[Metric, ...], reference: Reference, values: tuple[str, ...]
) -> dict[str, list[float]]:
    """Per value: the score of each candidate's samples. The choice was made without it."""
    candidates = context.parents["trained"].tensors("candidates")
    needed = tuple(metric for metric in metrics if set(metric.values) & set(values))
    rows = [_score(context, candidates[str(k)], needed, reference)[0] for k in range(len(candidates))]
    return {value: [row.get(value, math.nan) for row in rows] for value in values if value in rows[0]}
