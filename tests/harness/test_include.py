"""Suites that include others are those that one would write by hand, and mistakes name the file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from dcdbench.cli import cli
from dcdbench.harness.plan import make_plan
from dcdbench.harness.suite import Suite, SuiteError
from dcdbench.harness.suitefile import load_suite

BASE = """\
version: 1
name: base
seeds: [3, 4]
network: {mlp: {width: 8, depth: 1}}
budget: {teacher_kimg: 2, student_kimg: 1, batch: 32}
tasks:
  dots: {data: {gaussian: {dim: 4, rank: 2}}, operator: identity, sigma_y: 0.5, train: 64, heldout: 32}
  holes: {data: {gaussian: {dim: 4, rank: 2}}, operator: {inpainting: {keep: 0.5}}, train: 64, heldout: 32}
methods: {observed: observed, teacher: teacher, dcd: {dcd: {distiller: sid}}}
metrics: [frechet, sliced_w2]
primary: sliced_w2
claims:
  - {name: a student is better, better: dcd, than: teacher, metric: frechet}
"""
OWN = """\
include: base.yaml
seeds: [5]
tasks:
  holes: null
  dots: {data: {gaussian: {dim: 6, rank: 2}}, operator: identity, sigma_y: 0.1}
  more: {data: digits, operator: identity, budget: {batch: 16}}
methods: {pca: pca_gaussian, dcd: {dcd: {distiller: dmd}}}
"""
BY_HAND = """\
version: 1
seeds: [5]
network: {mlp: {width: 8, depth: 1}}
budget: {teacher_kimg: 2, student_kimg: 1, batch: 32}
tasks:
  dots: {data: {gaussian: {dim: 6, rank: 2}}, operator: identity, sigma_y: 0.1}
  more: {data: digits, operator: identity, budget: {batch: 16}}
methods: {observed: observed, teacher: teacher, dcd: {dcd: {distiller: dmd}}, pca: pca_gaussian}
metrics: [frechet, sliced_w2]
primary: sliced_w2
claims:
  - {name: a student is better, better: dcd, than: teacher, metric: frechet}
"""


def load(folder: Path, text: str, *overrides: str, **others: str) -> Suite:
    """The suite in a text, `top.yaml`, beside `base.yaml` and other files."""
    for name, content in {"base": BASE, "top": text, **others}.items():
        (folder / f"{name}.yaml").write_text(content, encoding="utf-8")
    return load_suite(folder / "top.yaml", overrides)


def mistakes(folder: Path, text: str, *overrides: str, **others: str) -> str:
    """What is printed, with the folder left away."""
    with pytest.raises(SuiteError) as error:
        load(folder, text, *overrides, **others)
    return str(error.value).replace(f"{folder}/", "")


def same(a: Suite, b: Suite) -> bool:
    """Whether two suites differ in nothing but where they stand; the order of names counts."""
    order = (list(a.tasks), list(a.methods), list(a.metrics))
    bare = dataclasses.replace(a, path=b.path, name=b.name)
    return bare == b and order == (list(b.tasks), list(b.methods), list(b.metrics))


def test_a_suite_that_adds_nothing_has_the_same_cells_and_stages(tmp_path: Path) -> None:
    """The control: one seed more is other cells, and other stages."""
    load(tmp_path, "include: base.yaml\n")
    base, top = (make_plan(load_suite(tmp_path / f"{name}.yaml")) for name in ("base", "top"))
    assert top.cells == base.cells
    assert [stage.key for stage in top.stages] == [stage.key for stage in base.stages]
    assert (top.suite.name, base.suite.name) == ("top", "base"), "a name is not inherited"
    more = make_plan(load(tmp_path, "include: base.yaml\nseeds: [3, 4, 5]\n"))
    assert all(cell in more.cells for cell in base.cells) and len(more.cells) > len(base.cells)


def test_merging_is_what_one_would_write_by_hand(tmp_path: Path) -> None:
    hand = load(tmp_path, BY_HAND)
    assert same(load(tmp_path, OWN), hand)
    assert not same(load(tmp_path, OWN.replace("  holes: null\n", "")), hand), "the control"
    assert same(load(tmp_path, "include: [base.yaml]\n"), load(tmp_path, BASE))


def test_an_entry_replaces_the_included_one_whole(tmp_path: Path) -> None:
    """So do all other keys: nothing is left of a budget, or of a task."""
    found = load(tmp_path, "include: base.yaml\nbudget: {teacher_kimg: 7, student_kimg: 7}\n")
    assert {task.budget.batch for task in found.tasks.values()} == {256}
    text = "include: base.yaml\ntasks:\n  dots: {data: {gaussian: {dim: 4, rank: 2}}, operator: identity}\n"
    dots = load(tmp_path, text).tasks["dots"]
    assert (dots.sigma_y, dots.train, dots.budget.batch) == (0.0, None, 32)


def test_nested_files_and_lists_are_over_those_before_them(tmp_path: Path) -> None:
    middle, side = "include: base.yaml\nseeds: [8]\n", "include: base.yaml\nseeds: [9]\nprimary: frechet\n"
    files = {"middle": middle, "side": side}
    assert load(tmp_path, "include: middle.yaml\n", **files).seeds == (8,)
    both = load(tmp_path, "include: [middle.yaml, side.yaml]\n", **files)
    assert (both.seeds, both.primary) == ((9,), ("frechet",))
    turned = load(tmp_path, "include: [side.yaml, middle.yaml]\n", **files)
    assert (turned.seeds, turned.primary) == ((8,), ("sliced_w2",)), "middle.yaml gives it, by base.yaml"
    assert list(both.tasks) == ["dots", "holes"], "a file that is included twice"
    assert same(load(tmp_path, OWN.replace("base", "middle"), **files), load(tmp_path, BY_HAND))


def test_overrides_apply_after_merging(tmp_path: Path) -> None:
    assert load(tmp_path, OWN, "tasks.dots.sigma_y=2", "budget.batch=64").tasks["dots"].budget.batch == 64
    assert mistakes(tmp_path, OWN, "tasks.holes.sigma_y=2").startswith(
        "--set: tasks.holes: --set finds no such"
    )
    assert mistakes(tmp_path, OWN, "include=base.yaml").startswith("--set: include: is read from files alone")


def test_paths_are_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    data = "{{data: {{folder: {{path: photos, corrupted: true}}}}, operator: identity, sigma_y: {}}}"
    (tmp_path / "deep").mkdir()
    for folder in (tmp_path, tmp_path / "deep"):
        (folder / "photos").mkdir()
        (folder / "photos" / "a.png").touch()
    text = BASE.replace("tasks:\n", f"tasks:\n  theirs: {data.format('{grid: [0.1, 0.2]}')}\n")
    (tmp_path / "deep" / "inner.yaml").write_text(text, encoding="utf-8")
    own = f"include: deep/inner.yaml\ntasks:\n  ours: {data.format(0.1)}\n"
    tasks = load(tmp_path, own).tasks
    assert tasks["theirs[sigma_y=0.2]"].data.path == tmp_path / "deep" / "photos"
    assert tasks["ours"].data.path == tmp_path / "photos"
    moved = load(tmp_path, own, "tasks.theirs.data.folder.path=photos").tasks["theirs[sigma_y=0.1]"]
    assert moved.data.path == tmp_path / "photos", "of the command line: as in the suite file"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("include: bsae.yaml", "top.yaml:1: include: no such file: bsae.yaml; did you mean 'base.yaml'?"),
        ("include: []", "top.yaml:1: include: include is the path of a suite file, or a list"),
        ("include: [base.yaml, 3]", "top.yaml:1: include: include is the path of a suite file, or a list"),
        ("\ninclude: top.yaml", "top.yaml:2: include: a file must not include itself: top.yaml -> top.yaml"),
        (
            "include: loop.yaml",
            "loop.yaml:2: include: a file must not include itself: top.yaml -> loop.yaml -> top",
        ),
        ("include: words.yaml", "words.yaml:1: an included file is a mapping"),
        ("include: torn.yaml", "torn.yaml:2: is no YAML"),
        ("include: new.yaml", "new.yaml:2: version: this dcdbench reads version 1"),
        ("include: odd.yaml", "odd.yaml:2: metric: unknown key"),
        ("include: odd.yaml", "odd.yaml:4: tasks.dots.operator: no such operator"),
        ("include: odd.yaml", "odd.yaml:5: tasks.dots: the key stands twice, first in line 4"),
        ("include: odd.yaml", "odd.yaml:6: methods.dcd.dcd.lr.grid[1]: expected"),
        ("include: odd.yaml\nprimary: kl", "top.yaml:2: primary[0]: no metric gives a value"),
        ("include: outer.yaml", "odd.yaml:4: tasks.dots.operator: no such operator"),
        ("include: outer.yaml", "odd.yaml:5: tasks.dots: the key stands twice"),
        ("include: outer.yaml", "outer.yaml:2: methods.idle: no such method"),
        (
            "include: base.yaml\ntasks: {dotz: null}",
            "top.yaml:2: tasks.dotz: null leaves out what an included",
        ),
        (
            "include: base.yaml\ntasks: {dotz: null}",
            "which is: dots, holes (got 'dotz'); did you mean 'dots'?",
        ),
        ("include: base.yaml\nmethods: {em: null}", "which is: observed, teacher, dcd (got 'em')"),
        ("include: null.yaml", "null.yaml:2: tasks.dots: a task is a mapping with the keys"),
        (
            "include: base.yaml\nmethods: {dcd: null}",
            "base.yaml:13: claims[0].better: names a method that null leaves",
        ),
        ("include: base.yaml\nbudget: {batch: 3}", "top.yaml:2: budget: the field 'teacher_kimg' is missing"),
    ],
)
def test_mistakes_name_the_file_and_the_line(tmp_path: Path, text: str, message: str) -> None:
    odd = "include: base.yaml\nmetric: 3\ntasks:\n  dots: {data: digits, operator: identiti}\n  dots: 3\n"
    odd += "methods: {dcd: {dcd: {lr: {grid: [0.1, high]}}}}\n"
    files = {
        "loop": "version: 1\ninclude: top.yaml\n",
        "words": "words",
        "torn": "a: 1\nb: [",
        "new": "include: base.yaml\nversion: 2\n",
        "null": "version: 1\ntasks: {dots: null}\n",
        "odd": odd,
        "outer": "include: odd.yaml\nmethods: {idle: observd}\n",
    }
    assert message in mistakes(tmp_path, text, **files)


def test_claims_without_what_is_left_out_are_sound(tmp_path: Path) -> None:
    """The control of the mistake: the file gives `claims` itself."""
    assert load(tmp_path, "include: base.yaml\nmethods: {dcd: null}\nclaims: []\n").claims == ()


def test_mistakes_of_the_file_itself_come_first(tmp_path: Path) -> None:
    """Whatever their lines, by which those of one file are in order."""
    side = "seeds: [-1]\nversion: 1\nprimary: kl\n"
    found = mistakes(tmp_path, "\n\n\nnetwork: mpl\ninclude: [base.yaml, side.yaml]\n", side=side)
    assert [line.split(": ")[0] for line in found.splitlines()] == [
        "top.yaml:4",
        "side.yaml:1",
        "side.yaml:3",
    ]


@pytest.mark.parametrize(
    ("text", "file", "line"),
    [
        ("seeds: [-1]", "side", 1),
        ("a: [", "side", 1),
        ("include: none.yaml", "side", 1),
        ("seeds: [0]", "top", 2),
    ],
)
def test_json_names_the_file_where_it_is_another(tmp_path: Path, text: str, file: str, line: int) -> None:
    mistakes(tmp_path, "include: [base.yaml, side.yaml]\nprimary: kl", side=text)
    top = tmp_path / "top.yaml"
    (report,) = json.loads(CliRunner().invoke(cli, ["validate", "--json", str(top)]).stdout)["suites"]
    last = report["mistakes"][-1]
    assert (report["path"], last["line"]) == (str(top), line)
    assert last.get("file", str(top)) == str(tmp_path / f"{file}.yaml")
