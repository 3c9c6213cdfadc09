"""Which tasks of a suite cannot be solved from their measurements alone, and why."""

from __future__ import annotations

__all__ = ["unidentified"]

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dcdbench.harness.suite import Suite
    from dcdbench.protocols import OperatorLaw

_reasons: dict[tuple[str, tuple[int, ...]], str | None] = {}


def unidentified(suite: Suite) -> dict[str, str]:
    """The tasks whose operator does not determine the law of signals, each with the reason."""
    reasons = {task.name: _reason(task.operator, tuple(task.data.shape())) for task in suite.tasks.values()}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _reason(law: OperatorLaw, shape: tuple[int, ...]) -> str | None:
    """`identifiability.explain`, once for each law and shape; None where the two do not fit."""
    from dcdbench.operators.identifiability import explain

    key = (repr(law), shape)
    if key not in _reasons:
        try:
            _reasons[key] = explain(law, shape)
        except ValueError:  # the plan tells of operators that do not take the signals
            _reasons[key] = None
    return _reasons[key]
