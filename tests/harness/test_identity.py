"""Keys: what is asked names the result, and nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from dcdbench.harness import code, plugins
from dcdbench.harness.errors import PluginError
from dcdbench.harness.identity import canonical, describe, digest
from dcdbench.harness.stage import Stage

TARGETS = Path(__file__).with_name("targets.py")


@dataclass(frozen=True)
class Inner:
    """A component."""

    x: float = 0.1


@dataclass(frozen=True)
class Other:
    """A component with the same fields."""

    x: float = 0.1


@dataclass(frozen=True)
class Outer:
    """A component that holds another."""

    inner: object
    path: Path | None = None


@pytest.fixture(autouse=True)
def _targets() -> None:
    plugins.load([TARGETS])


def stage(**changes: object) -> Stage:
    """A stage to vary."""
    base = Stage("teacher", "dcdbench_plugin_targets:add", {"number": 1}, {"data": "data-1"}, 0)
    return replace(base, **changes)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "student"},
        {"target": "dcdbench_plugin_targets:nothing"},
        {"spec": {"number": 2}},
        {"spec": {"number": 1.0}},
        {"spec": {"number": True}},
        {"spec": {"number": "1"}},
        {"parents": {"data": "data-2"}},
        {"parents": {"other": "data-1"}},
        {"seed": 1},
    ],
)
def test_everything_that_matters_changes_the_key(change: dict[str, object]) -> None:
    assert stage(**change).key != stage().key


def test_what_does_not_matter_does_not() -> None:
    assert stage(label="another").key == stage().key
    spec = {"a": 1, "b": (1, 2)}
    assert stage(spec=spec).key == stage(spec={"b": [1, 2], "a": 1}).key
    assert stage().key.startswith("teacher-") and len(stage().key) == len("teacher-") + 16


def test_components_differ_by_class_and_by_every_field() -> None:
    values = [Outer(Inner()), Outer(Other()), Outer(Inner(0.2)), Outer(None), Outer(Inner(), Path("a"))]
    assert len({canonical(describe(value)) for value in values}) == len(values)
    assert describe(Inner(0.1 + 0.2))["x"] == 0.1 + 0.2


@pytest.mark.parametrize("value", [{1, 2}, object(), Inner, 1j, {1: 2}])
def test_values_without_a_description_are_refused(value: object) -> None:
    with pytest.raises(TypeError):
        describe(value)


def test_files_count_by_content_not_by_place(tmp_path: Path) -> None:
    def placed(folder: str, content: str) -> Stage:
        path = tmp_path / folder / "a.npy"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        return stage(spec={"data": Outer(Inner(), path)}, files=(path,))

    assert placed("one", "same").key == placed("two", "same").key
    assert placed("one", "same").key != placed("three", "different").key


def test_the_digest_of_a_folder_sees_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    file = tmp_path / "sub" / "a"
    file.write_text("1")
    first = digest(tmp_path)
    assert digest(tmp_path) == first
    file.write_text("2")
    os.utime(file, ns=(1, 1))
    assert (second := digest(tmp_path)) != first
    file.rename(tmp_path / "sub" / "b")
    assert digest(tmp_path) not in (first, second)


PLUGIN = '''
"""A plug-in."""
from __future__ import annotations
from typing import TYPE_CHECKING
from dcdbench.harness.context import Outcome
if TYPE_CHECKING:
    import unused_neighbour
import random
from dcdbench.operators import register
def run(context):
    """Runs."""
    from neighbour import helper  # why not
    return Outcome({"x": helper(1)})
'''
NEIGHBOUR = "import deeper\ndef helper(x):\n    return x + deeper.one\n"


def closure_in(folder: Path, **files: str) -> dict[str, str]:
    """The closure of a plug-in with its neighbours, found by a fresh process."""
    folder.mkdir(exist_ok=True)
    texts = {"plug": PLUGIN, "neighbour": NEIGHBOUR, "deeper": "one = 1\n", "unused_neighbour": ""} | files
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
    program = (
        "import json, sys; from dcdbench.harness import code, plugins; from pathlib import Path;"
        "print(json.dumps(code.closure(plugins.load([Path(sys.argv[1])]))))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, folder / "plug.py"], capture_output=True, check=True, text=True
    )
    return dict(__import__("json").loads(answer.stdout))


def test_the_closure_follows_imports_to_first_party_modules(tmp_path: Path) -> None:
    found = closure_in(tmp_path / "a")
    assert {"dcdbench_plugin_plug", "neighbour", "deeper", "dcdbench.harness.context"} <= found.keys()
    # A package's __init__ counts, its members do not, nor do types and other people's packages.
    assert "dcdbench.operators" in found
    assert not any(name.startswith("dcdbench.operators.") for name in found)
    assert not {"unused_neighbour", "random", "typing", "__future__"} & found.keys()


def test_a_changed_helper_changes_the_key_and_a_comment_does_not(tmp_path: Path) -> None:
    first = closure_in(tmp_path / "a")
    assert closure_in(tmp_path / "b") == first
    commented = PLUGIN.replace('"""Runs."""', '"""Says more."""\n    # and more').replace('"x"', "'x'")
    assert commented != PLUGIN
    assert closure_in(tmp_path / "c", plug=commented) == first
    changed = closure_in(tmp_path / "d", deeper="one = 2\n")
    assert {name for name in first if changed[name] != first[name]} == {"deeper"}
    assert closure_in(tmp_path / "e", deeper="one = True\n") != first
    assert closure_in(tmp_path / "f", deeper="one = 1.0\n") != first


def test_the_classes_of_components_are_roots() -> None:
    noise = sys.modules["dcdbench_plugin_targets"].Noise()
    found = Stage("data", "dcdbench.streams:run", {"a": ({"b": noise},)}, {}, 0).identity["code"]
    assert {"dcdbench.streams", "dcdbench_plugin_targets"} <= found.keys()
    alone = Stage("data", "dcdbench.streams:run", {"a": 1.0}, {}, 0).identity["code"]
    assert "dcdbench_plugin_targets" not in alone


def test_code_without_source_is_refused() -> None:
    with pytest.raises(ValueError, match="__main__"):
        code.closure(["__main__"])


def test_plugins_load_once_and_clashes_name_both(tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "same_stem.py", tmp_path / "b" / "same_stem.py"
    for path in (first, second):
        path.parent.mkdir()
        path.write_text("import itertools\n")
    assert plugins.load([first]) == plugins.load([first]) == ("dcdbench_plugin_same_stem",)
    with pytest.raises(PluginError) as error:
        plugins.load([second])
    assert str(first) in str(error.value) and str(second) in str(error.value)
    with pytest.raises(PluginError, match="no such plug-in"):
        plugins.load([tmp_path / "none.py"])
    broken = tmp_path / "broken.py"
    broken.write_text("1 / 0")
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        plugins.load([broken])


def test_keys_of_a_large_plan_read_each_module_once(monkeypatch: pytest.MonkeyPatch) -> None:
    code._closure.cache_clear()
    code._source.cache_clear()
    reads: list[Path] = []
    read = code._read
    monkeypatch.setattr(code, "_read", lambda path: reads.append(path) or read(path))
    assert len({stage(spec={"number": number}).key for number in range(500)}) == 500
    assert 0 < len(reads) == len(set(reads))
