"""The stage that scores samples. Beside it, only the stages of data and classifier see clean signals."""

from __future__ import annotations

__all__ = ["run", "without"]

import math
from typing import Any, Literal

import torch
from torch import Tensor

from dcdbench.harness.context import Context, Outcome
from dcdbench.harness.stages import classifier, measurement
from dcdbench.harness.stages import data as data_stage
from dcdbench.problem import Corruption, Reference
from dcdbench.protocols import Data, DataSource, Method, Metric


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
    law = data.law() if hasattr(data, "law") else None
    ideal = method.expected(law, corruption) if method else None
    reference = _reference(context, splits, source, corruption, data, law)
    x = _samples(context, source, ideal, splits.floor, reference)
    scores, skipped = _score(context, x, metrics, reference)
    result = {"n": len(x), "scores": scores, "skipped": skipped}
    if regret and reference.clean is not None:
        result["regret"] = _regret(context, metrics, reference, regret)
    return Outcome(result)


def _reference(
    context: Context, splits: Data, source: str, corruption: Corruption, data: DataSource, law: Any
) -> Reference:
    """What metrics may compare with: the floor is scored without the training signals that it consists of."""
    clean = splits.reference if len(splits.reference) else None
    test = measurement.load(context.parents["measurement"], "test", corruption)
    train = None if data.corrupted else splits.train
    if train is not None and source == "floor":
        train = without(train, splits.floor)
    labels, parent = splits.labels.get("reference"), context.parents.get("classifier")
    known = None
    if clean is not None and parent is not None and not classifier.reason(parent):
        known = classifier.Known(classifier.load(parent), clean)
    return Reference(clean, test, corruption, law, train, labels, known)


def without(x: Tensor, others: Tensor) -> Tensor:
    """The signals of `x`, `(n, *)`, that equal none of `others`, `(m, *)`, bit by bit."""
    known = {row.tobytes() for row in others.numpy()}
    return x[torch.tensor([row.tobytes() not in known for row in x.numpy()], dtype=torch.bool)]


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
        if reason := _unsupported(context, metric, reference):
            skipped |= dict.fromkeys(metric.values, reason)
            continue
        for value, score in metric(x, reference, (context.stream / name).rng()).items():
            if math.isfinite(score):
                scores[value] = score
            else:
                skipped[value] = f"the value is {score}"
    return scores, skipped


def _unsupported(context: Context, metric: Metric, reference: Reference) -> str | None:
    if metric.needs != "measurements" and reference.clean is None:
        return "needs clean references, and there are none"
    if metric.needs == "labels" and (reason := classifier.reason(context.parents["classifier"])):
        return reason
    return metric.supports(reference)


def _regret(
    context: Context, metrics: tuple[Metric, ...], reference: Reference, values: tuple[str, ...]
) -> dict[str, list[float]]:
    """Per value: the score of each candidate's samples. The choice was made without it."""
    candidates = context.parents["trained"].tensors("candidates")
    needed = tuple(metric for metric in metrics if set(metric.values) & set(values))
    rows = [_score(context, candidates[str(k)], needed, reference)[0] for k in range(len(candidates))]
    return {value: [row.get(value, math.nan) for row in rows] for value in values if value in rows[0]}
