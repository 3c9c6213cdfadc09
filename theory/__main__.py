"""`python -m theory`: decides the claims and prints them. Exit code 4 when one is not as expected."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

from theory import accuracy, figures, load_claims, proof
from theory.claim import Check, Claim, Decision, Evidence, Identity, Trial
from theory.diagrams import diagram_of
from theory.record import record
from theory.side_by_side import decide_all

HEADERS = (
    "claim",
    "statement",
    "source",
    "setting",
    "teacher",
    "student",
    "difference",
    "metric",
    "verdict",
    "control",
)
WIDTHS = [24, 40, 14, 20, 16, 18, None, 18, 10, 26]
RIGHT = ("teacher", "student", "difference")
UNEXPECTED, USAGE = 4, 2
JOBS = "processes for many claims (default: as many as the machine has cores)"
QUICK = "decide claims without their controls, in half the time; draw a diagram with few cells"
SKIPPED = "not decided"


def main(arguments: Sequence[str] | None = None) -> int:
    """Decides the claims that `arguments` name, or all; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["accuracy"]:
        return accuracy.main(given[1:])
    if given[:1] == ["plot"]:
        return figures.main(given[1:])
    options = _parse(given)
    claims = load_claims()
    unknown = [name for name in options.claims if name not in claims]
    if unknown:
        print(f"no claim named {unknown[0]!r} (known: {', '.join(claims)})", file=sys.stderr)
        return USAGE
    start = time.perf_counter()
    names = options.claims or list(claims)
    decisions = decide_all(claims, names, quick=options.quick, jobs=options.jobs)
    if options.json:
        print(json.dumps([record(d) for d in decisions], indent=2))
    else:
        print("\n\n".join(map(_page, decisions)) if options.show else _table(decisions))
    if options.output and (diagram := diagram_of(options.claims[0])):
        print(figures.write(diagram, options.output, options.quick))
    return _conclude(decisions, time.perf_counter() - start)


def _conclude(decisions: list[Decision], seconds: float) -> int:
    wrong = [d.name for d in decisions if not d.as_expected]
    print(f"{len(decisions)} claims, {len(wrong)} not as expected, {seconds:.1f} s", file=sys.stderr)
    for name in wrong:
        print(f"not as expected: {name}", file=sys.stderr)
    return UNEXPECTED if wrong else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m theory",
        usage="%(prog)s [-h] [--json] [--quick] [-j N] [show [-o FILE]] [CLAIM ...], or %(prog)s plot [-h]",
        description="Decide the claims of the theory. With `show`, print the argument and every number.",
    )
    parser.add_argument("claims", nargs="*", metavar="CLAIM", help="names of claims (default: all)")
    parser.add_argument("--json", action="store_true", help="print every number as JSON")
    parser.add_argument("--quick", action="store_true", help=QUICK)
    parser.add_argument("-j", "--jobs", type=_jobs, default=os.cpu_count() or 1, help=JOBS)
    parser.add_argument("-o", "--output", type=Path, help="draw the diagram of the one claim shown, here")
    options = parser.parse_args(arguments)
    options.show = options.claims[:1] == ["show"]
    if options.show:
        options.claims = options.claims[1:]
        if not options.claims:
            parser.error("show needs the name of a claim")
    if options.output:
        _check_output(parser, options)
    return options


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number >= 1, got {text!r}")
    return int(text)


def _check_output(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if not options.show or len(options.claims) != 1:
        parser.error("-o belongs to show, with one claim; `plot -o DIR` draws all diagrams")
    if options.output.suffix not in figures.FORMATS:
        parser.error(f"-o takes a file that ends in {', '.join(figures.FORMATS)}, not {options.output}")
    if diagram_of(options.claims[0]) is None:
        parser.error(f"{options.claims[0]} has no diagram")


def _mark(trial: Trial) -> str:
    if trial.as_expected:
        return str(trial.verdict)
    if trial.verdict != trial.expects:
        return f"{trial.verdict} (expected {trial.expects})"
    return f"{trial.verdict} (expected, but not by {', '.join(trial.surprises)})"


def _numbers(trial: Trial) -> tuple[str, str, str]:
    """Teacher, student and their difference with its error; of an identity, those of its worst number."""
    found = trial.evidence
    if isinstance(found, Evidence):
        gap = f"{found.difference:+.6f} ± {found.error:.0e}"
        return f"{found.teacher.computed:.6f}", f"{found.student.computed:.6f}", gap
    check = found.worst
    return f"theory: {check.closed:.6g}", f"computed: {check.computed:.6g}", f"{check.gap:+.1e}"


def _metric(decision: Decision) -> str:
    """That of a claim; of an identity, which of its numbers is shown."""
    claim, found = decision.claim, decision.trial.evidence
    if isinstance(claim, Claim) or isinstance(found, Evidence):
        return claim.metric if isinstance(claim, Claim) else ""
    count, differ = len(found.checks), sum(not check.agrees for check in found.checks)
    told = f"{count} equation{'s' if count > 1 else ''}{f', {differ} false' if differ else ''}"
    return f"{told}; here: {found.worst.name}"


def _table(decisions: list[Decision]) -> str:
    from tabulate import tabulate

    rows = [
        (
            d.name,
            d.claim.statement,
            d.claim.source,
            d.claim.setting,
            *_numbers(d.trial),
            _metric(d),
            _mark(d.trial),
            f"{d.claim.control.change}: {_mark(d.control) if d.control else SKIPPED}",
        )
        for d in decisions
    ]
    kept = [i for i, name in enumerate(HEADERS) if name != "setting" or any(row[i] for row in rows)]
    return tabulate(
        [[row[i] for i in kept] for row in rows],
        [HEADERS[i] for i in kept],
        "simple_grid",
        disable_numparse=True,
        maxcolwidths=[WIDTHS[i] for i in kept],
        colalign=["right" if HEADERS[i] in RIGHT else "left" for i in kept],
    )


def _page(decision: Decision) -> str:
    """The statement, what it assumes, the argument, every number, and those of the control."""
    claim, control = decision.claim, decision.control
    parts = {
        f"{decision.name}: {_mark(decision.trial)}": textwrap.fill(claim.statement, 100),
        "Assumptions": _assumptions(claim),
        f"Argument ({claim.source})": proof(decision.name),
        "Numbers": _checks(decision.trial),
        f"Control, {claim.control.change}: {_mark(control) if control else SKIPPED}": (
            _checks(control) if control else ""
        ),
        "Phase diagram": _diagram(decision.name),
    }
    kept = {title: text for title, text in parts.items() if text or title.startswith("Control")}
    return "\n\n".join(f"{title}\n{'-' * len(title)}\n{text}".rstrip() for title, text in kept.items())


def _assumptions(claim: Claim | Identity) -> str:
    """What numbers are for, and, of a comparison, by what distance and how student and teacher can differ."""
    told = [f"Setting: {claim.setting}."] if claim.setting else []
    if isinstance(claim, Claim):
        told += [f"Metric: {claim.metric}.", f"Mechanism: {claim.mechanism}, see full_capacity_tie."]
    return "\n".join(told)


def _diagram(name: str) -> str:
    """How to draw the diagram of a claim, if it has one."""
    diagram = diagram_of(name)
    return f"python -m theory show {name} -o {diagram}.svg" if diagram else ""


def _checks(trial: Trial) -> str:
    from tabulate import tabulate

    def row(check: Check) -> tuple[str, str, str, str, str]:
        mark = "" if check.agrees else "differs"
        if check.name in surprises:
            mark += ", which is not expected" if mark else "agrees, which is not expected"
        return check.name, f"{check.computed:.8g}", check.relation, f"{check.closed:.8g}", mark

    surprises = trial.surprises
    rows = [row(check) for check in trial.evidence.checks]
    headers = ("", "computed", "", "in theory", "")
    table = tabulate(rows, headers, "simple", disable_numparse=True, colalign=("left", *["right"] * 4))
    if not isinstance(trial.evidence, Evidence):
        return table
    told = f"{table}\n\nstudent - teacher: {_numbers(trial)[2]}"
    bounds = trial.evidence.interval
    return f"{told}, {bounds.kind} [{bounds.low:.6g}, {bounds.high:.6g}]" if bounds else told


if __name__ == "__main__":
    sys.exit(main())
