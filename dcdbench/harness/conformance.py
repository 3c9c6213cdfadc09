"""The contract of operators, as laws that are checked by numbers on small random signals.

The tests run these laws on every registered operator, and `dcdbench check` on a user's own.
"""

from __future__ import annotations

__all__ = ["CONTRACT", "SHAPES", "Broken", "Case", "Finding", "check_operator", "exempt", "fits"]

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dcdbench.harness.case import Broken, Case, Shape, fits, global_state
from dcdbench.harness.operator_laws import GENERAL, LINEAR
from dcdbench.protocols import OperatorLaw

CONTRACT: dict[str, Callable[[Case], float]] = {**GENERAL, **LINEAR}

# Vectors, odd and non-square images, one entry wide, one pixel, several channels.
SHAPES: tuple[Shape, ...] = (
    *((1,), (2,), (7,)),
    *((1, 4, 4), (3, 5, 3), (2, 1, 6), (2, 6, 4), (1, 1, 1), (1, 7, 1)),
)


@dataclass(frozen=True)
class Finding:
    """What came of one law: the worst relative gap where it holds, else what is wrong and where."""

    name: str
    passed: bool
    text: str


def exempt(law: OperatorLaw, name: str) -> str | None:
    """Why a law of the contract does not concern this component; None where it does."""
    if name in LINEAR and not law.linear:
        return "the operator is not linear"
    if name == "gradient" and not law.linear and not law.differentiable:
        return "the operator is not differentiable"
    return None


def check_operator(law: OperatorLaw, shapes: Sequence[Shape] = SHAPES, seeds: int = 2) -> Iterator[Finding]:
    """Checks each law of the contract on all shapes that fit, with several seeds."""
    fitting = [shape for shape in shapes if fits(law, shape)]
    if not fitting:
        yield Finding("shapes", False, f"draw takes none of the shapes {shapes}")
        return
    for name in CONTRACT:
        if (reason := exempt(law, name)) is not None:
            yield Finding(name, True, f"not checked: {reason}")
        else:
            yield _find(name, [Case(law, shape, seed=seed) for shape in fitting for seed in range(seeds)])


def _find(name: str, cases: list[Case]) -> Finding:
    worst = 0.0
    for case in cases:
        try:
            with global_state():
                worst = max(worst, CONTRACT[name](case))
        except Exception as error:
            kind = "" if isinstance(error, Broken) else f"{type(error).__name__}: "
            reason = f"{kind}{error}".partition("\n")[0]
            return Finding(name, False, f"{reason}; signals of shape {case.shape}, seed {case.seed}")
    return Finding(name, True, f"gap {worst:.1e}, {len({c.shape for c in cases})} shapes, {len(cases)} cases")
