"""The verdicts on claims of a package, as far as they are decided."""

from __future__ import annotations

__all__ = ["Verdict", "tables", "verdicts"]

from collections.abc import Sequence
from dataclasses import dataclass

from dcdbench.harness.claimed import KIND
from dcdbench.harness.plan import Plan
from dcdbench.harness.stage import Stage
from dcdbench.harness.store import Store
from dcdbench.harness.table import Entry, Table, Tables, number

MISSING = "not yet run"
NUMBERS = ("teacher", "student", "difference")


@dataclass(frozen=True)
class Verdict:
    """What has become of one claim.

    Args:
        claim: Its name.
        key: The key of its stage.
        statement: What it says; empty where it is not decided.
        metric: The distance that it is about; empty for equations.
        numbers: That distance of teacher and student, and the difference; empty for equations.
        text: The verdict, or why there is none.
        control: The verdict of the claim with one hypothesis changed.
        as_expected: Whether both are the verdicts that theory gives; None where it is not decided.
    """

    claim: str
    key: str
    statement: str = ""
    metric: str = ""
    numbers: tuple[float, ...] = ()
    text: str = MISSING
    control: str = ""
    as_expected: bool | None = None

    @property
    def surprise(self) -> str:
        """Whether claim and control came out as expected, in words; empty where it is not decided."""
        if self.as_expected is None:
            return ""
        return "yes" if self.as_expected else f"no; control: {self.control}"


def verdicts(plan: Plan, store: Store) -> tuple[Verdict, ...]:
    """The claims of a plan, decided or not."""
    return tuple(_verdict(stage, store) for stage in plan.stages if stage.kind == KIND)


def _verdict(stage: Stage, store: Store) -> Verdict:
    name, record = str(stage.spec["claim"]), store.get(stage.key)
    if record is None:
        failure = store.failure(stage.key)
        return Verdict(name, stage.key, text=f"failed: {failure.text}" if failure else MISSING)
    found = record.result
    control = found["control"]
    return Verdict(
        claim=name,
        key=stage.key,
        statement=found["statement"],
        metric=found.get("metric", ""),
        numbers=tuple(float(found[name]) for name in NUMBERS if name in found),
        text=_told(found["verdict"], found["expected"]),
        control=_told(control["verdict"], control["expected"]),
        as_expected=bool(found["as_expected"]),
    )


def _told(verdict: str, expected: str) -> str:
    return verdict if verdict == expected else f"{verdict} (expected {expected})"


def tables(name: str, found: Sequence[Verdict]) -> Tables:
    """The verdicts as a table."""
    table = Table(
        "claims",
        "As expected: claim and control, which has one hypothesis changed. An equation has no distances. "
        "`dcdbench show claim-KEY` has every number.",
        ("claim", "statement", "metric", *NUMBERS, "verdict", "as expected", "key"),
        tuple(map(_row, found)),
        wrap=30,
    )
    return Tables(name, (table,), (_summary(found),))


def _row(v: Verdict) -> tuple[Entry, ...]:
    numbers = [Entry(number(value), value) for value in v.numbers] or [Entry("")] * len(NUMBERS)
    before = (Entry(v.claim), Entry(v.statement), Entry(v.metric))
    after = (Entry(v.text, verdict=v.text), Entry(v.surprise), Entry(v.key.removeprefix(f"{KIND}-")))
    return (*before, *numbers, *after)


def _summary(found: Sequence[Verdict]) -> str:
    wrong = [v.claim for v in found if v.as_expected is False]
    open_ = sum(v.as_expected is None for v in found)
    parts = [f"{len(found)} claims", f"{len(wrong)} not as expected", *([f"{open_} open"] if open_ else [])]
    return ", ".join(parts) + (f": {', '.join(wrong)}" if wrong else "")
