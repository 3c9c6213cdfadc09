"""Suite files: specs become components, and every mistake is told at once."""

from __future__ import annotations

import cProfile
import dataclasses
import pstats
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import pytest

from dcdbench.distillers import registry as distillers
from dcdbench.harness.suite import Suite, SuiteError, quick, select
from dcdbench.harness.suitefile import load_suite
from dcdbench.methods import registry as methods
from dcdbench.metrics import registry as metrics
from dcdbench.protocols import Distiller, Metric, Objective


@dataclasses.dataclass(frozen=True)
class Pull:
    """A distiller."""

    alpha: float = 1.0
    mode: Literal["above", "below"] = "above"
    steps: int = 1

    def __post_init__(self) -> None:
        if self.alpha <= 0:
            raise ValueError(f"alpha must be > 0, got {self.alpha}")


@dataclasses.dataclass(frozen=True)
class Toy:
    """A method."""

    objective: Objective
    distiller: Distiller | None = None
    others: tuple[Distiller, ...] = ()
    folder: Path | None = None
    clip: float | None = None
    flag: bool = False


@dataclasses.dataclass(frozen=True)
class Score:
    """A metric."""

    inner: Metric | None = None
    values: ClassVar[dict[str, tuple[str, str]]] = {
        "toy_a": ("lower", ""),
        "toy_b": ("neither", ""),
        "toy_c": ("higher", ""),
    }


@pytest.fixture(autouse=True)
def toys() -> Iterator[None]:
    members = [(distillers, "pull", Pull), (methods, "toy", Toy), (metrics, "score", Score)]
    for registry, name, cls in members:
        len(registry)
        registry.register(name)(cls)
    yield
    for registry, name, _ in members:
        del registry._members[name]


SUITE = """\
version: 1
name: demo
seeds: [0, 1]
network: mlp
budget: {teacher_kimg: 500, student_kimg: 1e2}
tasks:
  ring:
    data: {gaussian_mixture: {layout: ring, modes: 8, std: 5e-2}}
    operator: identity
    sigma_y: 0.2
    train: 50000
    heldout: 2000
  points:
    data: gaussian
    operator: {inpainting: {keep: 0.5}}
    network: {mlp: {width: 32}}
    budget: {student_kimg: 7}
methods:
  plain: {toy: {objective: standard}}
  pulled: {toy: {objective: {ambient_tweedie: {p_std: 1}}, distiller: {pull: {alpha: 1.2}}}}
metrics: [score]
claims:
  - {name: pulling helps, better: pulled, than: plain, metric: toy_a}
"""


def load(tmp_path: Path, text: str = SUITE, *overrides: str) -> Suite:
    file = tmp_path / "demo.yaml"
    file.write_text(text)
    return load_suite(file, overrides)


def mistakes(tmp_path: Path, text: str, *overrides: str) -> dict[str, str]:
    """The mistakes by path, as they are printed."""
    with pytest.raises(SuiteError) as error:
        load(tmp_path, text, *overrides)
    return {mistake.path: mistake.text("demo.yaml") for mistake in error.value.mistakes}


def test_components_are_built_with_their_fields(tmp_path: Path) -> None:
    suite = load(tmp_path)
    assert (suite.name, suite.seeds, suite.cells) == ("demo", (0, 1), 8)
    assert suite.tasks["ring"].data.std == 0.05
    assert suite.tasks["points"].operator.keep == 0.5
    assert suite.methods["plain"] == Toy(suite.methods["plain"].objective)
    assert suite.methods["pulled"].distiller == Pull(alpha=1.2)
    assert type(suite.methods["pulled"].objective.p_std) is float


def test_the_suite_gives_defaults_and_budgets_merge(tmp_path: Path) -> None:
    tasks = load(tmp_path).tasks
    assert tasks["ring"].budget.teacher_kimg == tasks["points"].budget.teacher_kimg == 500
    assert (tasks["ring"].budget.student_kimg, tasks["points"].budget.student_kimg) == (100, 7)
    assert tasks["points"].network.width == 32 != tasks["ring"].network.width


def test_primary_defaults_to_the_first_values_with_a_direction(tmp_path: Path) -> None:
    assert load(tmp_path).primary == ("toy_a", "toy_c")
    found = mistakes(tmp_path, SUITE + "primary: [toy_b, toy_d]\n")
    assert "toy_a, toy_c" in found["primary[0]"] and "primary[1]" in found


def test_a_task_may_name_its_own_primary_values(tmp_path: Path) -> None:
    text = SUITE.replace("    heldout: 2000\n", "    heldout: 2000\n    primary: [toy_c]\n")
    suite = load(tmp_path, text)
    assert (suite.primary_of("ring"), suite.primary_of("points")) == (("toy_c",), ("toy_a", "toy_c"))
    assert suite.primary_of("points") == suite.primary
    found = mistakes(tmp_path, text.replace("[toy_c]", "[toy_a, toy_b, toy_d]"))
    assert set(found) == {"tasks.ring.primary[1]", "tasks.ring.primary[2]"}
    assert "toy_a, toy_c" in found["tasks.ring.primary[1]"]
    assert "tasks.ring.primary" in mistakes(tmp_path, text.replace("[toy_c]", "[]"))


BROKEN = """\
version: 1
name: demo
seeds: [0, 0]
budget: {teacher_kimg: 500, student_kimg: -1}
tasks:
  ring:
    data: {gaussian_mixture: {layout: rign}}
    operator: identiti
    sigma_y: high
  ring:
    data: gaussian
    operator: {inpainting: {kep: 0.5}}
    sigma: 2
methods:
  a: {toy: {distiller: {pull: {alpha: -1, mode: abov}}}}
  b: {toy: {objective: standard, distiller: {pull: {alpha: -1}}, others: [pull, pul], flag: 3}}
  c: [toy]
metrics: [score, score]
metric: 3
claims:
  - {name: x, better: b, than: d, metric: toy, alpha: 2}
  - {name: x, better: b, than: d, metric: toy_x, tasks: [rin]}
"""


def test_all_mistakes_are_told_at_once_each_with_line_and_hint(tmp_path: Path) -> None:
    found = mistakes(tmp_path, BROKEN)
    expected = {
        "seeds": "demo.yaml:3: ",
        "budget.student_kimg": "demo.yaml:4: budget.student_kimg: student_kimg must be > 0",
        "tasks.ring.data.gaussian_mixture.layout": "did you mean 'ring'",
        "tasks.ring.operator": "did you mean 'identity'",
        "tasks.ring.sigma_y": "demo.yaml:9: tasks.ring.sigma_y: expected a number (got 'high')",
        "tasks.ring": "",
        "methods.a.toy": "the field 'objective' is missing",
        "methods.a.toy.distiller.pull.mode": "one of above, below (got 'abov'); did you mean 'above'?",
        "methods.b.toy.distiller.pull.alpha": "alpha must be > 0, got -1.0",
        "methods.b.toy.others[1]": "did you mean 'pull'",
        "methods.b.toy.flag": "expected true or false",
        "methods.c": "a method is a name",
        "metrics[1]": "stands twice",
        "metric": "did you mean 'metrics'?",
        "claims[0].alpha": "alpha must be in (0, 1)",
        "claims[1].than": "no such method; there are: a, b, c (got 'd')",
        "claims[1].metric": "did you mean 'toy_",
        "claims[1].tasks[0]": "did you mean 'ring'?",
    }
    assert set(expected) <= set(found)
    for path, text in expected.items():
        assert text in found[path], path


def test_a_duplicate_key_and_the_mistakes_within_the_first_are_told(tmp_path: Path) -> None:
    with pytest.raises(SuiteError) as error:
        load(tmp_path, BROKEN)
    twice = [m for m in error.value.mistakes if "stands twice" in m.message and m.path == "tasks.ring"]
    assert [(m.line, m.message) for m in twice] == [(10, "the key stands twice, first in line 6")]


def test_control_the_mended_suite_loads(tmp_path: Path) -> None:
    assert load(tmp_path).claims[0].better == "pulled"


@pytest.mark.parametrize("text", ["", "3", "[]", "tasks:", "{}"])
def test_files_that_are_no_suites(tmp_path: Path, text: str) -> None:
    assert mistakes(tmp_path, text)


@pytest.mark.parametrize(
    ("override", "path"),
    [
        ("version=2", "version"),
        ("seeds=[-1]", "seeds"),
        ("seeds=[]", "seeds"),
        ("seeds=[a]", "seeds[0]"),
        ("name=a/b", "name"),
        ("tasks.ring.train=0", "tasks.ring.train"),
        ("tasks.ring.train=true", "tasks.ring.train"),
        ("tasks.ring.train=1.5", "tasks.ring.train"),
        ("tasks.ring.sigma_y=-1", "tasks.ring.sigma_y"),
        ("tasks.ring.sigma_y=.nan", "tasks.ring.sigma_y"),
        ("tasks.ring.sigma_y={grid: []}", "tasks.ring.sigma_y.grid"),
        ("tasks.ring=3", "tasks.ring"),
        ("tasks.ring.name=x", "tasks.ring.name"),
        ("tasks.rign.sigma_y=1", "tasks.rign"),
        ("metrics=[]", "metrics"),
        ("claims.0.than=pulled", "claims[0].than"),
        ("claims.7.than=plain", "claims.7"),
        ("methods.plain.toy.clip=[1]", "methods.plain.toy.clip"),
        ("methods.plain.toy.distiller=3", "methods.plain.toy.distiller"),
        ("methods.plain.toy.folder=3", "methods.plain.toy.folder"),
        ("tasks.ring.budget.batch=0", "tasks.ring.budget.batch"),
        ("no-equals-sign", "no-equals-sign"),
    ],
)
def test_overrides_are_checked_as_the_file_is(tmp_path: Path, override: str, path: str) -> None:
    found = mistakes(tmp_path, SUITE, override)
    assert list(found) == [path]
    assert found[path].startswith("--set: ")


def test_overrides_replace_values(tmp_path: Path) -> None:
    suite = load(
        tmp_path,
        SUITE,
        "tasks.ring.sigma_y=1e-1",
        "seeds=3",
        "tasks.points.data.gaussian.dim=8",
        "methods.plain.toy.distiller.pull.alpha=2",
        "claims.0.alpha=0.1",
    )
    assert (suite.tasks["ring"].sigma_y, suite.seeds, suite.tasks["points"].data.dim) == (0.1, (3,), 8)
    assert suite.methods["plain"].distiller == Pull(alpha=2)
    assert suite.claims[0].alpha == 0.1


def test_unions_null_and_paths_beside_the_suite(tmp_path: Path) -> None:
    suite = load(tmp_path, SUITE, "methods.plain.toy={objective: standard, clip: null, folder: sub/x}")
    assert suite.methods["plain"].clip is None
    assert suite.methods["plain"].folder == tmp_path / "sub" / "x"
    assert load(tmp_path, SUITE, "methods.plain.toy.clip=1").methods["plain"].clip == 1.0


GRID = SUITE.replace("sigma_y: 0.2", "sigma_y: {grid: [0.1, 0.2]}").replace(
    "{pull: {alpha: 1.2}}", "{pull: {alpha: {grid: [1, 1.1]}, mode: {grid: [above, below]}}}"
)


def test_grids_make_named_variants(tmp_path: Path) -> None:
    text = GRID.replace("better: pulled", "better: 'pulled[alpha=1,mode=above]'").replace(
        "metric: toy_a", "metric: toy_a, tasks: [ring]"
    )
    suite = load(tmp_path, text)
    assert list(suite.tasks) == ["ring[sigma_y=0.1]", "ring[sigma_y=0.2]", "points"]
    assert [task.sigma_y for task in suite.tasks.values()][:2] == [0.1, 0.2]
    assert suite.methods["pulled[alpha=1.1,mode=below]"].distiller == Pull(1.1, "below")
    assert len(suite.methods) == 5
    assert suite.claims[0].tasks == ("ring[sigma_y=0.1]", "ring[sigma_y=0.2]")


def test_grids_over_components_and_whole_members(tmp_path: Path) -> None:
    text = SUITE.replace("operator: identity", "operator: {grid: [identity, {inpainting: {keep: 0.3}}]}")
    assert list(load(tmp_path, text).tasks)[:2] == [
        "ring[operator=identity]",
        "ring[operator=inpainting(keep(0.3))]",
    ]


def test_a_mistake_in_a_grid_is_told_once_where_it_stands(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path, GRID.replace("[1, 1.1]", "[-1, 1.1]").replace("better: pulled", "better: pluled")
    )
    assert list(found) == ["methods.pulled.toy.distiller.pull.alpha.grid[0]", "claims[0].better"]


def test_quick_is_small_and_leaves_the_suite_alone(tmp_path: Path) -> None:
    suite = load(tmp_path)
    smoke = quick(suite)
    assert (smoke.name, smoke.seeds) == ("demo-quick", (0,))
    ring = smoke.tasks["ring"]
    budget = ring.budget
    assert (ring.train, ring.heldout, budget.teacher_kimg, budget.student_kimg) == (128, 64, 10, 2)
    assert smoke.tasks["points"].budget.student_kimg == 0.256, "at least one step"
    assert smoke.tasks["points"].train is None
    assert suite.tasks["ring"].train == 50000


def test_select_by_name_pattern_and_seed(tmp_path: Path) -> None:
    text = GRID.replace("better: pulled", "better: 'pulled[alpha=1,mode=above]'")
    suite = load(tmp_path, text)
    assert list(select(suite, methods=["pla*"]).methods) == ["plain"]
    assert not select(suite, methods=["plain"]).claims
    assert list(select(suite, tasks=["ring"]).tasks) == ["ring[sigma_y=0.1]", "ring[sigma_y=0.2]"]
    assert list(select(suite, tasks=["ring[sigma_y=0.2]"]).tasks) == ["ring[sigma_y=0.2]"]
    assert select(suite, seeds=[1]).seeds == (1,)
    assert select(suite) == suite
    with pytest.raises(SuiteError) as error:
        select(suite, methods=["plian"], seeds=[9])
    assert len(error.value.mistakes) == 2 and "did you mean 'plain'" in str(error.value)


def test_the_work_of_loading_grows_with_the_number_of_variants_and_not_faster(tmp_path: Path) -> None:
    def calls(n: int) -> int:
        """Of functions, while a suite of n variants and one more task is loaded."""
        text = SUITE.replace("sigma_y: 0.2", f"sigma_y: {{grid: {[i / 100 for i in range(n)]}}}")
        with cProfile.Profile() as profile:
            assert len(load(tmp_path, text).tasks) == n + 1
        return pstats.Stats(profile).total_calls  # type: ignore[attr-defined]

    load(tmp_path)  # what is imported at first use is here
    assert calls(250) < 11 * calls(25)
