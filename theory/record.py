"""A decision as JSON: every number, of the claim and of its control."""

from __future__ import annotations

__all__ = ["decided", "record"]

import importlib
import math
from typing import Any

from theory.claim import Check, Claim, Decision, Evidence, Trial, decide


def decided(name: str) -> dict[str, Any]:
    """Decides the claim of this name, and records it. No other claim is imported."""
    return record(decide(name, importlib.import_module(f"theory.claims.{name}").CLAIM))


def record(decision: Decision) -> dict[str, Any]:
    """What was claimed, what came out, and whether that was expected."""
    claim, control = decision.claim, decision.control
    stated: dict[str, Any] = {
        "claim": decision.name,
        "statement": claim.statement,
        "source": claim.source,
        "setting": claim.setting,
    }
    if isinstance(claim, Claim):
        stated |= {"metric": claim.metric, "mechanism": claim.mechanism}
    return {
        **stated,
        **_trial(decision.trial),
        "as_expected": bool(decision.as_expected),
        "control": {"change": claim.control.change, **(_trial(control) if control else {})},
    }


def _trial(trial: Trial) -> dict[str, Any]:
    found = trial.evidence
    told: dict[str, Any] = {
        "verdict": str(trial.verdict),
        "expected": str(trial.expects),
        "surprises": list(trial.surprises),
    }
    if isinstance(found, Evidence):
        told |= {
            "teacher": _number(found.teacher.computed),
            "student": _number(found.student.computed),
            "difference": _number(found.difference),
            "error": _number(found.error),
        }
        if bounds := found.interval:
            told["interval"] = {"low": _number(bounds.low), "high": _number(bounds.high), "kind": bounds.kind}
    else:
        told["worst"] = found.worst.name
    return told | {"checks": [_check(check) for check in found.checks]}


def _check(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "computed": _number(check.computed),
        "relation": check.relation,
        "closed": _number(check.closed),
        "tolerance": check.tolerance,
        "floor": check.floor,
        "bound": None if check.bound is None else _number(check.bound),
        "agrees": bool(check.agrees),  # of NumPy, perhaps, which JSON does not know
    }


def _number(value: float) -> float | str:
    return float(value) if math.isfinite(value) else str(float(value))  # JSON has no infinity
