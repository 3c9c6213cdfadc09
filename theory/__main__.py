"""`python -m theory`: decides the claims and prints them. Exit code 4 when one is not as expected."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from theory import load_claims
from theory.claim import Decision, Trial, decide

HEADERS = ("claim", "statement", "teacher", "student", "difference", "metric", "verdict", "control")
WIDTHS = [None, 44, None, None, None, None, None, 30]
UNEXPECTED, USAGE = 4, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Decides the claims that `arguments` name, or all; returns the exit code."""
    options = _parse(arguments)
    claims = load_claims()
    unknown = [name for name in options.claims if name not in claims]
    if unknown:
        print(f"no claim named {unknown[0]!r} (known: {', '.join(claims)})", file=sys.stderr)
        return USAGE
    start = time.perf_counter()
    decisions = [decide(name, claims[name]) for name in options.claims or claims]
    print(json.dumps([_record(d) for d in decisions], indent=2) if options.json else _table(decisions))
    wrong = [d.name for d in decisions if not d.as_expected]
    seconds = time.perf_counter() - start
    print(f"{len(decisions)} claims, {len(wrong)} not as expected, {seconds:.1f} s", file=sys.stderr)
    for name in wrong:
        print(f"not as expected: {name}", file=sys.stderr)
    return UNEXPECTED if wrong else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m theory", description="Decide the claims of the theory.")
    parser.add_argument("claims", nargs="*", help="names of claims (default: all)")
    parser.add_argument("--json", action="store_true", help="print every number as JSON")
    return parser.parse_args(arguments)


def _mark(trial: Trial) -> str:
    return str(trial.verdict) if trial.as_expected else f"{trial.verdict} (expected {trial.expects})"


def _table(decisions: list[Decision]) -> str:
    from tabulate import tabulate

    rows = [
        (
            d.name,
            d.claim.statement,
            f"{d.trial.evidence.teacher.computed:.6f}",
            f"{d.trial.evidence.student.computed:.6f}",
            f"{d.trial.evidence.difference:+.6f}",
            d.claim.metric,
            _mark(d.trial),
            f"{d.claim.control.change}: {_mark(d.control)}",
        )
        for d in decisions
    ]
    right = ("left", "left", "right", "right", "right", "left", "left", "left")
    return tabulate(rows, HEADERS, "simple_grid", disable_numparse=True, maxcolwidths=WIDTHS, colalign=right)


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)  # JSON has no infinity


def _trial(trial: Trial) -> dict[str, Any]:
    checks = [
        {k: v if k == "name" else _number(v) for k, v in asdict(c).items()} for c in trial.evidence.checks
    ]
    for entry, check in zip(checks, trial.evidence.checks, strict=True):
        entry["agrees"] = check.agrees
    return {
        "verdict": str(trial.verdict),
        "expected": str(trial.expects),
        "teacher": _number(trial.evidence.teacher.computed),
        "student": _number(trial.evidence.student.computed),
        "difference": _number(trial.evidence.difference),
        "error": _number(trial.evidence.error),
        "checks": checks,
    }


def _record(decision: Decision) -> dict[str, Any]:
    claim = decision.claim
    return {
        "claim": decision.name,
        "statement": claim.statement,
        "metric": claim.metric,
        "mechanism": claim.mechanism,
        **_trial(decision.trial),
        "as_expected": decision.as_expected,
        "control": {"change": claim.control.change, **_trial(decision.control)},
    }


if __name__ == "__main__":
    sys.exit(main())
