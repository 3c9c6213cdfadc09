"""Installed packages add components by the entry-point group `dcdbench.plugins`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import dcdbench

OPERATOR = '''
from dataclasses import dataclass

from dcdbench.operators import register
from dcdbench.operators.identity import Identity


@register("negation_of_a_test")
@dataclass(frozen=True)
class Negation(Identity):
    """The identity under another name."""
'''

SUITE = """\
seeds: [0]
network: mlp
budget: {teacher_kimg: 1, student_kimg: 1}
tasks: {a: {data: gaussian_mixture, operator: negation_of_a_test, sigma_y: 0.2}}
methods: {floor: observed}
metrics: [sliced_w2]
"""


def install(folder: Path, code: str, points: str) -> None:
    """Lays a package into `folder`, as an installer would."""
    info = folder / "some_operators-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-operators\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)
    (folder / "some_operators").mkdir()
    (folder / "some_operators" / "__init__.py").touch()
    (folder / "some_operators" / "laws.py").write_text(code)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH with an installed plug-in."""
    install(tmp_path / "site", OPERATOR, "[dcdbench.plugins]\nlaws = some_operators.laws\n")
    return tmp_path / "site"


def dcdbench_with(site: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line, where the packages in `site` are installed."""
    root = Path(dcdbench.__file__).parents[1]
    return subprocess.run(
        [sys.executable, "-m", "dcdbench", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=site.parent,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{site}"},
        check=False,
    )


def test_it_is_listed(site: Path) -> None:
    result = dcdbench_with(site, "ls", "--json")
    assert "negation_of_a_test" in [m["name"] for m in json.loads(result.stdout)["families"]["operators"]]


def test_without_its_entry_point_it_is_not(site: Path) -> None:
    (site / "some_operators-1.0.dist-info" / "entry_points.txt").write_text(
        "[other.group]\nx = some_operators.laws\n"
    )
    assert "negation_of_a_test" not in dcdbench_with(site, "ls").stdout


def test_its_code_belongs_to_the_keys_of_a_suite(site: Path, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(SUITE)

    def keys() -> dict[str, str]:
        result = dcdbench_with(site, "plan", "s.yaml", "--json")
        assert result.returncode == 0, result.stderr
        stages: dict[str, str] = json.loads(result.stdout)["rows"][0]["stages"]
        return stages

    before = keys()
    laws = site / "some_operators" / "laws.py"
    laws.write_text(OPERATOR + "\n# a comment\n")
    assert keys() == before
    laws.write_text(OPERATOR + "\nchanged = True\n")
    after = keys()
    assert after["data"] == before["data"] and after["measurement"] != before["measurement"]


def test_its_file_can_be_checked(site: Path) -> None:
    """The file is imported once, under the name that the package has for it."""
    result = dcdbench_with(site, "check", site / "some_operators" / "laws.py")
    assert result.returncode == 0, result.stderr
    assert "negation_of_a_test" in result.stdout


def test_a_broken_one_is_named(tmp_path: Path) -> None:
    install(tmp_path / "site", "1 / 0\n", "[dcdbench.plugins]\nbad = some_operators.laws\n")
    result = dcdbench_with(tmp_path / "site", "ls", "operators")
    assert result.returncode == 2 and "Traceback" not in result.stderr
    for part in ("'bad'", "some-operators", "some_operators.laws", "ZeroDivisionError"):
        assert part in result.stderr
