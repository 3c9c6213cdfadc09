"""The matrix of combinations: what it says runs, runs; what it skips, it says why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from itertools import islice

import pytest
import torch
from click.testing import CliRunner
from component import Lawful

from dcdbench.cli import cli
from dcdbench.harness import matrix
from dcdbench.harness.matrix import Combination, Table, document, lines, tables
from dcdbench.methods.dcd import DCD
from dcdbench.networks.mlp import MLP
from dcdbench.noises.poisson import Poisson
from dcdbench.objectives.ambient_diffusion import AmbientDiffusion
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.operators import registry as operators
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.phases.start import on_clean
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import Method, Phase, Setting
from dcdbench.streams import Stream
from dcdbench.training import train

SIGMA_Y, BATCH, STEPS, SAMPLES = 0.2, 16, 2, 5
SMALL = MLP(8, 1)
TABLES = {table.operator: table for table in tables(SIGMA_Y)}


class Ground:
    """A tiny problem on one operator, where equal trainings are made once."""

    def __init__(self, corruption: Corruption, shape: tuple[int, ...]) -> None:
        self.clean = 0.5 * torch.randn(64, *shape, generator=Stream(0).rng())
        m = corruption(self.clean, Stream(1).rng())
        self.problem = Problem(m, m[:32], corruption, shape)
        self.trained = cache(self._trained)

    def sample(self, method: Method) -> torch.Tensor:
        """All phases for some steps each, then samples."""
        source = Lawful(self.problem.shape) if method.needs_clean else None
        given = Setting(self.problem.corruption, SMALL, 0.1, 0.1, BATCH, source)
        net = self.trained(method.phases(given))
        return method.sampler(given).sample(net, self.problem, SAMPLES, Stream(2).rng()).x

    def _trained(self, phases: tuple[Phase, ...]) -> torch.nn.Module | None:
        if not phases:
            return None
        parent, phase, stream = self.trained(phases[:-1]), phases[-1], Stream(3) / len(phases)
        problem = on_clean(self.problem, self.clean) if phase.needs_clean else self.problem
        state = phase.init(problem, parent, stream / "init")
        for stats in islice(train(phase, problem, state, stream / "step"), STEPS):
            assert all(torch.tensor(list(stats.values())).isfinite())
        return phase.result(state)


@cache
def ground(operator: str) -> Ground:
    table = TABLES[operator]
    assert table.corruption is not None
    return Ground(table.corruption, table.shape)


def rows() -> Iterator[tuple[str, str, str]]:
    """Operator, method and objective of every row of the matrix."""
    for table in TABLES.values():
        yield from dict.fromkeys((table.operator, c.method, c.objective) for c in table.combinations)


def is_sentence(reason: str) -> bool:
    """Words that a footnote can be."""
    return len(reason.split()) >= 3 and reason == reason.strip() and "\n" not in reason


@pytest.mark.parametrize(("operator", "method", "objective"), list(rows()))
def test_what_runs_runs_and_what_is_skipped_has_a_reason(operator: str, method: str, objective: str) -> None:
    table = TABLES[operator]
    for c in table.combinations:
        if (c.method, c.objective) != (method, objective):
            continue
        if c.reason:
            assert is_sentence(c.reason), c
            continue
        x = ground(operator).sample(c.made)
        assert x.shape == (SAMPLES, *table.shape), c
        assert bool(x.isfinite().all()), c


def test_every_registered_component_has_its_place() -> None:
    assert list(TABLES) == list(operators)
    families = {name: set(matrix.registry(name)) for name in ("methods", "objectives", "distillers")}
    for table in TABLES.values():
        if table.reason:
            assert is_sentence(table.reason) and not table.combinations
            continue
        found = table.combinations
        assert {c.method for c in found} == families["methods"]
        assert {c.objective for c in found} - {""} == families["objectives"]
        assert {c.distiller for c in found} - {""} == families["distillers"]
        assert len({(c.method, c.objective, c.distiller) for c in found}) == len(found)
        assert (
            any(c.objective and not c.reason for c in found) or not table.corruption.operator.differentiable
        )


def test_methods_without_a_distiller_have_a_row_for_each_objective() -> None:
    """A teacher, and what is sampled from it; what holds no objective stands for itself."""
    held = {c.method: set() for c in TABLES["identity"].combinations}
    for c in TABLES["identity"].combinations:
        held[c.method].add((c.objective, c.distiller))
    alone = {(name, "") for name in matrix.registry("objectives")}
    for method in ("teacher", "ambient", "exact", "consistency"):
        assert held[method] == alone, method
    assert held["em"] == {("", "")} and len(held["dcd"]) == len(alone) * len(matrix.registry("distillers"))
    text = "\n".join(lines(TABLES["identity"]))
    assert "  teacher, standard " in text and "  em " in text


def test_every_part_runs_somewhere() -> None:
    """A component that the default noise and operators never let run may have too strict a reason."""
    runs = [c for table in TABLES.values() for c in table.combinations if not c.reason]
    for name in matrix.registry("distillers"):
        assert any(c.distiller == name for c in runs), name
    for name in matrix.registry("methods"):
        assert any(c.method == name for c in runs), name


# Controls: what is skipped is skipped for a reason


def test_control_tweedie_on_masks_learns_zeros() -> None:
    """Forced, it takes zeros that were never measured for data; what needs masks is shown which they are."""
    corruption = Corruption(Inpainting(0.2), SIGMA_Y)
    reason = DCD(objective=AmbientTweedie()).supports(corruption, (2,))
    assert reason is not None and "zeros" in reason
    cell = next(
        c
        for c in TABLES["inpainting"].combinations
        if (c.objective, c.distiller) == ("ambient_tweedie", "sid")
    )
    assert cell.reason == reason
    m = corruption(torch.full((1000, 2), 3.0), Stream(0).rng())
    sigma = torch.full((1000,), SIGMA_Y)
    wrong, right = (o.view(m, sigma, Stream(1).rng()) for o in (AmbientTweedie(), AmbientDiffusion()))
    assert float((wrong.x_t.abs() < 1).float().mean()) == pytest.approx(0.8, abs=0.06) and wrong.A is None
    assert right.A is not None and torch.equal(right.A.condition() == 0, right.x_t.abs() < 1)


def test_control_forcing_what_needs_masks_raises() -> None:
    method = DCD(objective=AmbientDiffusion())
    assert method.supports(Corruption(Identity(), SIGMA_Y), (2,))
    with pytest.raises((ValueError, AssertionError)):
        Ground(Corruption(Identity(), SIGMA_Y), (2,)).sample(method)


def test_control_a_wrong_runs_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were `supports` to promise too much, the test above would fail."""
    monkeypatch.setattr(AmbientDiffusion, "supports", lambda self, corruption: None)
    promised = next(
        c
        for c in matrix.combinations(Corruption(Identity(), SIGMA_Y), (2,))
        if (c.objective, c.distiller) == ("ambient_diffusion", "sid")
    )
    assert not promised.reason
    with pytest.raises((ValueError, AssertionError)):
        Ground(Corruption(Identity(), SIGMA_Y), (2,)).sample(promised.made)


def test_noise_changes_what_runs() -> None:
    quiet, noisy = ({b.operator: b for b in found} for found in (tables(0.0), tables(SIGMA_Y)))

    def reasons(table: Table) -> dict[str, str]:
        return {
            c.objective: c.reason for c in table.combinations if (c.method, c.distiller) == ("dcd", "sid")
        }

    assert reasons(quiet["identity"])["ambient_tweedie"] and not reasons(noisy["identity"])["ambient_tweedie"]
    other = next(b for b in tables(SIGMA_Y, Poisson()) if b.operator == "inpainting")
    assert "white" in reasons(other)["ambient_diffusion"]
    assert not reasons(noisy["inpainting"])["ambient_diffusion"]


# The command


def test_an_operator_that_cannot_be_had_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """An optional package that is missing is said by a ValueError, and breaks nothing."""

    def draw(self: Identity, *args: object) -> None:
        raise ValueError('the operator identity needs the extra: pip install "dcdbench[extra]"')

    monkeypatch.setattr(Identity, "draw", draw)
    table = next(b for b in tables(SIGMA_Y) if b.operator == "identity")
    assert list(lines(table)) == [
        'identity: the operator identity needs the extra: pip install "dcdbench[extra]"'
    ]
    assert document(table)["combinations"] == [] and "extra" in document(table)["reason"]


def test_a_component_without_defaults_is_skipped_with_its_fields() -> None:
    made, reason = matrix.default("datasets", "folder")
    assert made is None and "'path' is missing" in reason
    assert matrix.default("operators", "identity") == (Identity(), "")


def test_reasons_are_numbered_footnotes() -> None:
    def cell(objective: str, distiller: str, reason: str) -> Combination:
        return Combination("both", objective, distiller, None, reason)

    found = (
        cell("a", "x", ""),
        cell("a", "long", "is not so"),
        cell("b", "x", "is odd"),
        cell("b", "long", "is not so"),
    )
    never = [Combination("never", o, d, None, "is not so") for o in "ab" for d in ("x", "long")]
    alone = Combination("alone", "", "", None, "")
    table = Table("op", (2,), Corruption(Identity()), "", (*found, *never, alone))
    assert list(lines(table)) == [
        "op, signals of shape (2,)",
        "                          x     long",
        "  both, a                 runs  (1)",
        "  both, b                 (2)   (1)",
        "  never, every objective  (1)",
        "  alone                   runs",
        "  (1) is not so",
        "  (2) is odd",
    ]


def test_the_command_prints_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "tables", lambda sigma_y, noise: [TABLES["identity"]])
    text = CliRunner().invoke(cli, ["ls", "--matrix"])
    assert text.exit_code == 0 and "\n".join(lines(TABLES["identity"])) in text.stdout
    report = json.loads(CliRunner().invoke(cli, ["ls", "--matrix", "--json"]).stdout)
    assert report["schema"] == "dcdbench.combinations/1" and report["sigma_y"] == 0.2
    (table,) = report["operators"]
    assert table["operator"] == "identity"
    assert all(
        c["runs"] is not c["reason"] and c["runs"] is (c["reason"] == "") for c in table["combinations"]
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--noise", "poison"], "poisson"),
        (["--sigma-y", "-1"], "sigma-y"),
        (["operators"], "leave FAMILY out"),
    ],
)
def test_wrong_questions_are_refused(arguments: list[str], text: str) -> None:
    result = CliRunner().invoke(cli, ["ls", "--matrix", *arguments])
    assert result.exit_code == 2 and text in result.stderr
