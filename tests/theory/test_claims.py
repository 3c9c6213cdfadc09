"""The claims come out as theory says, and the machinery that decides them can say no."""

from __future__ import annotations

import importlib
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import pytest
import torch

from dcdbench.analytic import Gaussian, kl_gaussian
from theory import load_claims, proof
from theory.__main__ import main
from theory.claim import (
    DCD,
    DSD,
    OURS,
    Check,
    Claim,
    Control,
    Equalities,
    Evidence,
    Identity,
    Verdict,
    decide,
    verdict,
    verdict_of,
)
from theory.decide import ALPHA, rounds, sequential, widened
from theory.distil import OBJECTIVES, distil, levels, objective, students, truncated, w2_squared
from theory.divergences import Estimate, Kind
from theory.estimates import kl_laws, kl_line, repeated, w2_laws, w2_line
from theory.quadrature import kl_adaptive, pair, w2_transport
from theory.record import record
from theory.side_by_side import decide_all
from theory.spectra import gaussian, w2_spectra

CLAIMS = load_claims()


@pytest.mark.parametrize("name", CLAIMS)
def test_claim_and_control_come_out_as_expected(name: str) -> None:
    decision = decide(name, CLAIMS[name])
    assert decision.as_expected
    assert decision.control and decision.trial.verdict != decision.control.verdict
    for trial in (decision.trial, decision.control):
        names = [check.name for check in trial.evidence.checks]
        assert len(set(names)) == len(names)
        for check in trial.evidence.checks:
            assert check.agrees is not trial.must_differ(check), check
        if isinstance(trial.evidence, Evidence):
            assert trial.evidence.error >= 0  # not a NaN: there is a bound that no closed form has a part in
    if isinstance(decision.claim, Identity):
        assert decision.control.breaks or decision.trial.breaks


BROKEN: dict[str, tuple[str, Callable[[Callable[..., Any]], Callable[..., Any]]]] = {
    "best_rank": ("w2_spectra", lambda f: lambda *a: 1.01 * f(*a)),
    "low_rank_student": ("w2_spectra", lambda f: lambda *a: 1.01 * f(*a)),
    "full_capacity_tie": ("w2_spectra", lambda f: lambda *a: 1.01 * f(*a)),
    "diagonal_blur": ("bound", lambda f: lambda a: 1.01 * f(a)),
    "misspecified_noise": ("closed", lambda f: lambda noise: 1.01 * f(noise)),
    "umegaki": ("umegaki", lambda f: lambda *a: 1.01 * f(*a)),
    "isotropic_student": ("power_mean", lambda f: lambda order, tau: f(2 * order, tau)),
    "masked_atom": ("closed", lambda f: lambda q: 1.02 * f(q)),
    "few_samples": ("integrated", lambda f: lambda *a: 1.2 * f(*a)),
    "spurious_mass": ("bound", lambda f: lambda *a: 1.01 * f(*a)),
    "sid_selects": ("closed", lambda f: lambda *a: 1.01 * f(*a)),
    "gain_on_a_subspace": ("w2_transport", lambda f: lambda *a: 1.01 * f(*a)),
    "kl_infinite": ("kl_spectra", lambda f: lambda *a: 1.01 * f(*a)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_formula_that_is_wrong_is_refuted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its claim, or by the control of a claim that is expected to fail."""
    formula, breaking = BROKEN[name]
    module = importlib.import_module(f"theory.claims.{name}")
    monkeypatch.setattr(module, formula, breaking(getattr(module, formula)))
    claim = CLAIMS[name]
    asked = claim if claim.expects is Verdict.HOLDS else claim.control
    found = asked.evidence()
    numbers = found if isinstance(found, Evidence) else Equalities(found)
    assert verdict(numbers) is Verdict.FAILS and any(check.contradicts for check in numbers.checks)


def test_claims_are_stated() -> None:
    assert {"low_rank_student", "noise_threshold", "aware_student", "misspecified_noise"} <= set(CLAIMS)
    assert {"full_capacity_tie", "truncated_teacher"} <= set(CLAIMS)
    for name, claim in CLAIMS.items():
        assert claim.statement.endswith(".") and claim.source and proof(name).count("\n") >= 2
        known = re.findall(r"arXiv (\d+\.\d+)|doi (\S+\w\)?)", claim.source)
        assert claim.source == OURS or known, name
        if claim.source not in (DSD, DCD):  # whose theorem it is stands in the argument, with a link
            assert all(link in proof(name) for pair_ in known for link in pair_), name
        if isinstance(claim, Claim):
            assert claim.metric
            assert claim.mechanism in ("family", "awareness", "sampler", "optimisation", "none")


def evidence(teacher: float, student: float, off: float = 0.0) -> Evidence:
    return Evidence(Check("teacher", teacher, teacher), Check("student", student, student + off))


@pytest.mark.parametrize(
    ("teacher", "student", "off", "expected"),
    [
        (1.0, 0.5, 0.0, Verdict.HOLDS),
        (1.0, 1.5, 0.0, Verdict.FAILS),
        (1.0, 1.0, 0.0, Verdict.FAILS),  # a tie
        (1.0, 0.995, 0.0, Verdict.FAILS),  # too small a gain
        (1.0, 0.5, 1e-3, Verdict.FAILS),  # computation and closed form disagree
        (1.0, 1.5, 1e-3, Verdict.FAILS),
        (1.0, math.nan, 0.0, Verdict.UNDECIDED),
        (1.0, math.inf, 0.0, Verdict.FAILS),
        (math.inf, 1.0, 0.0, Verdict.HOLDS),
        (math.inf, math.inf, 0.0, Verdict.UNDECIDED),
    ],
)
def test_rule_of_decision(teacher: float, student: float, off: float, expected: Verdict) -> None:
    assert verdict(evidence(teacher, student, off)) == expected


def test_a_number_beside_can_refute_a_claim() -> None:
    wrong = Check("threshold", 0.3, 1 / 3)
    assert verdict(replace(evidence(1.0, 0.5), others=(wrong,))) == Verdict.FAILS
    for bound, expected in ((0.01, Verdict.FAILS), (0.04, Verdict.UNDECIDED)):
        loose = replace(wrong, bound=bound)  # refuted only by more than the computation may be wrong
        assert verdict(replace(evidence(1.0, 0.5), others=(loose,))) == expected
        assert verdict(Equalities((loose,))) == expected


def test_the_error_of_a_difference_is_that_of_computations() -> None:
    def found(student: float, bound: float) -> Evidence:
        far, near = (Estimate.exact(value, bound / 2) for value in (1.0, student))
        return Evidence(Check.of("teacher", far, 1.0), Check.of("student", near, student + 1e-8))

    assert found(0.5, 1e-3).error == pytest.approx(1e-3) and verdict(found(0.5, 1e-3)) == Verdict.HOLDS
    assert verdict(found(0.989, 1e-2)) == Verdict.UNDECIDED  # at the limit, up to the error
    assert verdict(found(0.989, 1e-4)) == Verdict.HOLDS
    assert math.isnan(evidence(1.0, 0.5).error)  # no bound is known
    one_sided = Estimate(0.5, 0.5, 0.7, Kind.BRACKET)
    assert Check.of("student", one_sided, 0.5).bound == pytest.approx(0.2)


def test_repetitions_bound_an_error() -> None:
    found = repeated([1.0, 1.1, 0.8])
    assert found.value == 1.0 and found.high - found.value == pytest.approx(0.2)
    with pytest.raises(ValueError, match="at least 2"):
        repeated([1.0])
    p, q = pair(2.0, 0.5), pair(2.0, 1.5)
    for estimate, exact in ((w2_line(p, q), w2_transport(p, q)), (kl_line(p, q), kl_adaptive(p, q))):
        assert estimate.covers(exact, 1e-9) and 0 < estimate.high - estimate.value < 1e-9
    flat, wide = gaussian([1.0, 0.5, 0.0]), gaussian([1.5, 1.0, 0.5])
    assert w2_laws(wide, flat).covers(w2_spectra([1.5, 1.0, 0.5], [1.0, 0.5, 0.0]))
    assert w2_laws([wide, flat], flat).high > w2_laws(wide, flat).high + 0.5  # of two laws that differ
    assert (
        kl_laws([(flat, wide)]).covers(kl_gaussian(flat, wide)) and kl_laws([(wide, flat)]).value == math.inf
    )


@pytest.mark.parametrize(
    ("computed", "relation", "agrees"),
    [
        (1.0, "=", True),
        (1.0 + 1e-5, "=", False),
        (0.5, "<=", True),
        (1.5, "<=", False),
        (1.5, ">=", True),
        (0.5, ">=", False),
        (math.inf, ">=", True),
        (math.inf, "=", False),
        (math.nan, "<=", False),
    ],
)
def test_relations_of_numbers(computed: float, relation: Literal["=", "<=", ">="], agrees: bool) -> None:
    check = Check("n", computed, 1.0, relation=relation)
    assert check.agrees is agrees
    assert Check("n", 1.0 + 1e-5, 1.0, tolerance=1e-4).agrees
    found = Verdict.HOLDS if agrees else Verdict.UNDECIDED if math.isnan(computed) else Verdict.FAILS
    assert verdict(Equalities((Check("m", 1.0, 1.0), check))) == found


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_vanish_only_at_the_teacher(name: str) -> None:
    c, s = gaussian([2.0, 1.0, 0.5]).cov, gaussian([1.0, 1.0, 0.2], seed=1).cov
    assert abs(objective(name, c, c).item()) < 1e-12 < objective(name, s, c).item()


@pytest.mark.parametrize(("name", "swap"), [("reverse KL", False), ("forward KL", True)])
def test_kl_objectives_are_those_of_the_analytic_laws(name: str, swap: bool) -> None:
    s, c = gaussian([2.0, 0.3]), gaussian([1.0, 1.0], seed=1)
    tau = levels()
    values = []
    for t in tau.sqrt().tolist():
        p, q = s.noised(t), c.noised(t)
        values.append(kl_gaussian(q, p) if swap else kl_gaussian(p, q))
    mean = (tau * torch.tensor(values, dtype=torch.float64)).sum() / tau.sum()
    assert objective(name, s.cov, c.cov).item() == pytest.approx(mean.item(), rel=1e-9)


@pytest.mark.parametrize("name", ["reverse Fisher", "forward Fisher"])
def test_fisher_objectives_are_means_of_squared_score_gaps(name: str) -> None:
    s, c, t, n = gaussian([2.0, 0.3]), gaussian([1.0, 1.0], seed=1), 0.7, 200_000
    under = s if name == "reverse Fisher" else c
    x = under.noised(t).sample(n, torch.Generator().manual_seed(0))
    squares = (s.score(x, t) - c.score(x, t)).square().sum(1)
    noise = t**2 * torch.eye(2, dtype=torch.float64)
    exact = OBJECTIVES[name](s.cov + noise, c.cov + noise)
    assert abs((squares.mean() - exact) / squares.std() * n**0.5) < 4


@pytest.mark.parametrize("rank", [0, 1, 4])
def test_students_of_any_rank(rank: int) -> None:
    """Rank 0 is the law at the origin; from two starts the student is the same one."""
    spectrum = [2.0, 1.0, 0.6, 0.3]
    teacher, best = gaussian(spectrum), gaussian(spectrum[:rank] + [0.0] * (4 - rank))
    for student in students(teacher, rank):
        assert float((student.cov - best.cov).norm()) < 1e-6
    with pytest.raises(ValueError, match="rank"):
        distil(teacher, -1)


def test_student_is_the_minimum_not_a_start() -> None:
    teacher = gaussian([3.0, 2.0, 1.0, 0.5])
    best = distil(teacher, 2)
    value = objective("reverse KL", best.cov, teacher.cov)
    for seed in range(20):
        u = torch.randn(4, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        assert objective("reverse KL", u @ u.mT, teacher.cov) > value
    saddle = gaussian([3.0, 0.0, 1.0, 0.0]).cov  # keeps the first and third direction
    assert objective("reverse KL", saddle, teacher.cov) > value


def test_truncated_teacher_is_the_law_of_denoised_data() -> None:
    clean, sigma, n = gaussian([2.0, 0.5]), 0.8, 100_000
    law = truncated(clean, sigma)
    assert w2_squared(law, clean) == pytest.approx(
        w2_spectra([v**2 / (v + sigma**2) for v in (2.0, 0.5)], [2.0, 0.5])
    )
    y = clean.noised(sigma).sample(n, torch.Generator().manual_seed(0))
    found = torch.cov(clean.denoise(y, sigma).mT)
    assert ((found - law.cov).abs() < 5 * law.cov.trace() / n**0.5).all()


def test_command_line_prints_every_claim_and_fails_on_surprises(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = Claim(
        "s.",
        "W2^2",
        "none",
        lambda: evidence(1, 1),
        Verdict.FAILS,
        Control("c", lambda: evidence(1, 0), Verdict.HOLDS),
    )
    for claim, code in (
        (calm, 0),
        (replace(calm, expects=Verdict.HOLDS), 4),
        (replace(calm, control=replace(calm.control, expects=Verdict.FAILS)), 4),
    ):
        monkeypatch.setattr("theory.__main__.load_claims", lambda claim=claim: {"one": claim, "two": calm})
        assert main([]) == code
        assert ("expected" in capsys.readouterr().out) == (code == 4)
    assert main(["--json", "two"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["verdict"] == "FAILS" and record["control"]["verdict"] == "HOLDS"
    assert main(["three"]) == 2 and "three" in capsys.readouterr().err


def test_a_claim_is_shown_with_its_argument_and_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "umegaki", "best_rank"]) == 0
    out = capsys.readouterr().out
    for name in ("umegaki", "best_rank"):
        assert proof(name) in out and CLAIMS[name].source in out
    assert "rank 2" in out and "differs" in out and "student - teacher" in out
    assert all(title in out for title in ("Assumptions", "Argument", "Numbers", "Control"))
    assert CLAIMS["best_rank"].setting in out
    with pytest.raises(SystemExit) as stopped:
        main(["show"])
    assert stopped.value.code == 2


def test_quick_leaves_controls_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never() -> Evidence:
        raise AssertionError("a control was computed")

    control = Control("c", never, Verdict.HOLDS)
    claim = Claim("s.", "W2^2", "none", lambda: evidence(1, 1), Verdict.FAILS, control)
    monkeypatch.setattr("theory.__main__.load_claims", lambda: {"umegaki": claim})
    for arguments in ([], ["show", "umegaki"]):
        assert main(["--quick", *arguments]) == 0 and "not decided" in capsys.readouterr().out
    assert main(["--quick", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["control"] == {"change": "c"}
    with pytest.raises(AssertionError):
        main([])


def test_identities_are_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def two(value: float) -> tuple[Check, ...]:
        return Check("a", value, 1.0), Check("b", 0.0, 1.0, relation="<=")

    same = Identity(
        "s.", "who", lambda: two(1.0), Control("c", lambda: two(2.0), breaks=("a",)), setting="there"
    )
    for claim, code in (
        (same, 0),
        (replace(same, expects=Verdict.FAILS), 4),
        (replace(same, evidence=lambda: two(3.0)), 4),
        (replace(same, control=replace(same.control, evidence=lambda: two(1.0))), 4),
    ):
        monkeypatch.setattr("theory.__main__.load_claims", lambda claim=claim: {"one": claim})
        assert main([]) == code
        out = capsys.readouterr().out
        assert ("expected" in out) == (code == 4)
        assert "2 equations" in out and "who" in out and "there" in out
        assert "theory: 1" in out and "computed: " in out
    assert main(["--json"]) == 4
    (record,) = json.loads(capsys.readouterr().out)
    assert record["control"]["verdict"] == "HOLDS" and record["checks"][1]["relation"] == "<="


def test_what_fails_for_another_reason_is_a_surprise() -> None:
    def found(a: float, b: float) -> tuple[Check, ...]:
        return Check("a 1", a, 1.0), Check("b", b, 1.0)

    control = Control("c", lambda: found(2.0, 1.0), breaks=("a *",))
    claim = Identity("s.", "who", lambda: found(1.0, 1.0), control)
    assert decide("one", claim).as_expected
    for a, b, surprises in (
        (1.0, 2.0, ("a 1", "b")),  # another one differs
        (2.0, 2.0, ("b",)),  # one too many
        (1.0, 1.0, ("a 1",)),
    ):
        wrong = decide("one", replace(claim, control=replace(control, evidence=partial(found, a, b))))
        assert wrong.control and wrong.control.surprises == surprises and not wrong.as_expected
    missing = decide("one", replace(claim, control=replace(control, breaks=("a *", "c"))))
    assert missing.control and missing.control.surprises == ("c",)
    false = replace(claim, evidence=lambda: found(2.0, 1.0), expects=Verdict.FAILS, breaks=("a 1",))
    assert decide("one", false).trial.as_expected
    assert not decide("one", replace(false, breaks=("b",))).trial.as_expected


def test_tolerances_are_relative_with_a_floor() -> None:
    assert not Check("small", 1.1e-5, 1.0e-5).agrees
    assert Check("small", 1.0e-5 + 5e-10, 1.0e-5).agrees
    assert Check("zero", 1e-10, 0.0, 1e-2).agrees and not Check("zero", 1e-5, 0.0, 1e-2).agrees
    assert Check("zero", 1e-5, 0.0, floor=1e-4).agrees
    assert not Check("one", 1.0, math.inf).agrees and Check("both", math.inf, math.inf).agrees


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-0.5, -0.2, Verdict.HOLDS),
        (-0.5, -0.005, Verdict.UNDECIDED),
        (-0.005, 0.3, Verdict.FAILS),
        (-0.2, 0.3, Verdict.UNDECIDED),
        (-math.inf, math.inf, Verdict.UNDECIDED),
    ],
)
def test_bounds_of_a_difference_decide(low: float, high: float, expected: Verdict) -> None:
    bounds = Estimate((low + high) / 2 if math.isfinite(low) else 0.0, low, high, Kind.INTERVAL)
    assert verdict_of(bounds, 1.0) == expected
    assert verdict(replace(evidence(1.0, 1.0), interval=bounds)) == expected


def test_infinite_differences_decide() -> None:
    one, infinite = Estimate.exact(1.0), Estimate.exact(math.inf)
    assert verdict_of(infinite - one, 1.0) == Verdict.FAILS
    assert verdict_of(one - infinite, math.inf) == Verdict.HOLDS
    assert verdict_of(infinite - infinite, math.inf) == Verdict.UNDECIDED


def test_samples_are_doubled_until_an_interval_decides() -> None:
    asked: list[int] = []

    def interval(n: int, value: float = -0.5) -> Estimate:
        asked.append(n)
        half = 4 / n**0.5
        return Estimate(value, value - half, value + half, Kind.INTERVAL)

    found = sequential(interval, 1.0, start=16, cap=4096)
    assert asked == [16, 32, 64, 128, 256] and found.size == 256
    assert verdict_of(found.interval, 1.0) == Verdict.HOLDS
    asked.clear()
    capped = sequential(interval, 1.0, start=16, cap=100)
    assert asked == [16, 32, 64] and verdict_of(capped.interval, 1.0) == Verdict.UNDECIDED
    asked.clear()
    sequential(lambda n: interval(n) and Estimate.undecided(0.0), 1.0, start=16, cap=4096)
    assert asked == [16]  # more draws would decide nothing
    with pytest.raises(ValueError, match="cap"):
        sequential(interval, 1.0, start=16, cap=8)


def test_later_intervals_are_wider_and_all_levels_add_up() -> None:
    from scipy.stats import t

    plain = Estimate(1.0, 0.0, 3.0, Kind.INTERVAL)
    assert widened(plain, 8, 0.95) == plain
    wider = widened(plain, 8, 0.99)
    factor = t.ppf(0.995, 7) / t.ppf(0.975, 7)
    assert (wider.low, wider.high) == pytest.approx((1 - factor, 1 + 2 * factor))
    exact = Estimate.exact(1.0, 0.1)
    assert widened(exact, 8, 0.99) == exact
    levels = [level for _, level in rounds(1, 2**20)]
    assert sum(1 - level for level in levels) <= ALPHA and levels[0] == 1 - ALPHA / 2


def test_infinite_distances_are_valid_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = Claim(
        "s.",
        "KL",
        "none",
        lambda: evidence(1, math.inf),
        Verdict.FAILS,
        Control("c", lambda: evidence(1, 0), Verdict.HOLDS),
    )
    monkeypatch.setattr("theory.__main__.load_claims", lambda: {"one": claim})
    assert main(["--json"]) == 0
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail)[0]["student"] == "inf"


def test_spectra_have_the_eigenvalues_they_were_given() -> None:
    law = gaussian([3.0, 1.0, 0.0])
    torch.testing.assert_close(
        torch.linalg.eigvalsh(law.cov), torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64)
    )
    assert isinstance(law, Gaussian) and not law.has_density


def test_several_processes_find_what_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["best_rank", "umegaki", "atoms", "no_such_claim"]
    monkeypatch.setattr("theory.side_by_side.FEW", 2)
    known = load_claims()
    alone = decide_all(known, names[:3], quick=True, jobs=1)
    together = decide_all(known, names[:3], quick=True, jobs=2)
    assert [record(a) for a in alone] == [record(b) for b in together]
    assert [d.name for d in together] == names[:3]
    with pytest.raises(KeyError, match="no_such_claim"):
        decide_all(known, names, jobs=1)
