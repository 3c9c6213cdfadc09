"""From a plan and a store to a board: what every cell has come to."""

from __future__ import annotations

__all__ = ["Rows", "collect"]

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dcdbench.harness.board import Board, CellResult, Skip, ValueInfo
from dcdbench.harness.plan import Cell, Plan, values_of
from dcdbench.harness.records import Record
from dcdbench.harness.store import Store

_FAILED = {"exception": "failed", "crash": "crashed", "timeout": "timeout"}


def collect(plan: Plan, store: Store) -> Board:
    """The board of a plan, whatever part of it is finished."""
    shelf = _Shelf(store, values_of(plan.suite.metrics))
    planned = [cell for cell in plan.cells if not cell.reason]
    skips = {Skip(cell.task, cell.method, cell.reason): None for cell in plan.cells if cell.reason}
    suite = plan.suite
    return Board(
        suite=suite.name,
        cells=tuple(_result(cell, shelf) for cell in planned),
        values=shelf.values,
        primary=suite.primary,
        own_primary={name: t.primary for name, t in suite.tasks.items() if t.primary is not None},
        pairs=plan.pairs,
        claims=suite.claims,
        provenance=_provenance(plan, shelf),
        skips=tuple(skips),
        baseline=plan.baseline,
    )


class _Shelf:
    """Reads each record and receipt once."""

    def __init__(self, store: Store, values: dict[str, ValueInfo]) -> None:
        self.store, self.values = store, values
        self._records: dict[str, Record | None] = {}
        self._receipts: dict[str, dict[str, Any]] = {}

    def record(self, key: str | None) -> Record | None:
        if key is None:
            return None
        if key not in self._records:
            self._records[key] = self.store.get(key)
        return self._records[key]

    def result(self, key: str | None) -> Mapping[str, Any]:
        record = self.record(key)
        return record.result if record else {}

    def receipt(self, key: str) -> dict[str, Any]:
        if key not in self._receipts:
            self._receipts[key] = self.store.receipt(key)
        return self._receipts[key]


def _result(cell: Cell, shelf: _Shelf) -> CellResult:
    status, reason = _status(cell, shelf)
    scores = shelf.result(cell.stages.get("scores"))
    return CellResult(
        cell.task,
        cell.method,
        cell.seed,
        status,
        reason,
        scores=scores.get("scores", {}),
        floor=shelf.result(cell.stages.get("floor")).get("scores", {}),
        theory=shelf.result(cell.stages.get("theory")).get("scores", {}),
        cost=_cost(cell, shelf),
        extra=_extra(cell, shelf, scores),
        marks=cell.marks,
        unmatched=cell.share.reason if cell.trained else "",
    )


def _status(cell: Cell, shelf: _Shelf) -> tuple[str, str]:
    """How far the cell has come: the first stage that ended otherwise than done decides."""
    roles = (role for role in ("data", "measurement", "classifier") if role in cell.stages)
    chain = [*(cell.stages[role] for role in roles), *cell.trained]
    for key in [*chain, cell.stages["samples"], cell.stages["scores"]]:
        record = shelf.record(key)
        if record is not None and record.status == "diverged":
            where = f"step {record.result['address']} of {key}"
            return "diverged", f"{record.result['reason']} ({where})"
        if record is None:
            failure = shelf.store.failure(key)
            if failure is not None:
                return _FAILED.get(failure.kind, "failed"), f"{failure.text} ({key})"
            return "missing", ""
    return "done", ""


def _cost(cell: Cell, shelf: _Shelf) -> dict[str, float]:
    cost: dict[str, float] = {}
    if shelf.record(cell.stages["samples"]):
        cost["nfe"] = shelf.result(cell.stages["samples"]).get("nfe", math.nan)
        cost |= shelf.receipt(cell.stages["samples"]).get("cost", {})
    done = [key for key in cell.trained if shelf.record(key)]
    if done and len(done) == len(cell.trained):
        seconds = [shelf.receipt(key).get("seconds", math.nan) for key in done]
        cost["train_seconds"], cost["train_seconds_total"] = seconds[-1], sum(seconds)
        cost["train_gflops"] = sum(shelf.result(key).get("flops", 0) for key in done) / 1e9
        cost["images"] = cell.share.factor
    keys = [key for key in {*cell.stages.values(), *cell.trained} if shelf.record(key)]
    if keys:
        cost["peak_mb"] = max(shelf.receipt(key).get("peak_memory_mb", math.nan) for key in keys)
    return cost


def _extra(cell: Cell, shelf: _Shelf, scores: Mapping[str, Any]) -> dict[str, float]:
    """The choice among the candidates of the last training, judged by clean scores, and the classifier's."""
    accuracy = shelf.result(cell.stages.get("classifier")).get("accuracy")
    extra = {} if accuracy is None else {"classifier": float(accuracy)}
    chosen = shelf.result(cell.trained[-1]).get("chosen") if cell.trained else None
    if chosen is None:
        return extra
    extra |= {"checkpoints": float(len(shelf.result(cell.trained[-1])["curve"])), "chosen": float(chosen)}
    for value, row in scores.get("regret", {}).items():
        percent = _regret(row, chosen, shelf.values[value].direction)
        if math.isfinite(percent):
            extra[f"regret:{value}"] = percent
    return extra


def _regret(row: Sequence[float], chosen: int, direction: str) -> float:
    """By how many percent of the best score, in size, the chosen one is worse; NaN where that is not known.

    A best score of 0 has no percentage, unless the chosen one is as good.
    """
    finite = [x for x in row if math.isfinite(x)]
    if not finite or not math.isfinite(row[chosen]):
        return math.nan
    best = max(finite) if direction == "higher" else min(finite)
    worse = abs(row[chosen] - best)
    return 100 * worse / abs(best) if best else (math.nan if worse else 0.0)


def _provenance(plan: Plan, shelf: _Shelf) -> dict[str, Any]:
    """What the receipts of the finished cells agree on; where they differ, every answer."""
    merged: dict[str, dict[str, None]] = {}
    keys = [cell.stages["scores"] for cell in plan.cells if not cell.reason]
    keys = [key for key in keys if shelf.record(key)]
    for key in keys:
        receipt = shelf.receipt(key)
        versions = receipt.get("versions", {})
        entries = {
            **versions,
            **{k: receipt.get(k) for k in ("commit", "machine", "cpu", "device", "threads")},
        }
        for name, value in entries.items():
            if value is not None:
                merged.setdefault(name, {})[str(value)] = None
    finished = sorted(shelf.receipt(key).get("finished", "") for key in keys)
    return {name: ", ".join(found) for name, found in merged.items()} | (
        {"finished": finished[-1]} if finished else {}
    )


class Rows:
    """The scores of cells, one line each, as they are finished."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self.store, self.suite = store, plan.suite
        self.cells = {cell.stages["scores"]: cell for cell in plan.cells if not cell.reason}

    def line(self, key: str) -> str:
        """The cell that a stage completes and its primary scores; empty for any other stage."""
        record = self.store.get(key) if key in self.cells else None
        if record is None:
            return ""
        scores = record.result["scores"]
        cell = self.cells[key]
        primary = self.suite.primary_of(cell.task)
        shown = ", ".join(f"{name} {scores[name]:.3g}" for name in primary if name in scores)
        return f"{cell.label}: {shown}"
