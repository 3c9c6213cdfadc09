"""The command line: quick to answer, data on stdout, messages on stderr, exit codes that mean something."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import dcdbench
from dcdbench.cli import VERBS, cli
from dcdbench.commands.options import configuration, parse_seeds, selection, store_folder

WRITTEN = [verb for verb in VERBS if importlib.util.find_spec(f"dcdbench.commands.{verb}")]

SUITE = """\
seeds: [0, 1]
network: mlp
budget: {teacher_kimg: 1, student_kimg: 1}
tasks: {a: {data: gaussian_mixture, operator: identity, sigma_y: 0.2}}
methods: {floor: observed}
metrics: [sliced_w2]
"""


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "s.yaml").write_text(SUITE)
    return tmp_path / "s.yaml"


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    root = Path(dcdbench.__file__).parents[1]
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
    )


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from dcdbench.cli import cli; cli(['--help'], standalone_mode=False);"
        "print(len(sys.modules), sorted({m.partition('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    result = python("-c", code)
    assert "Verbs" in result.stdout
    assert int(result.stderr.split()[0]) < 300, "modules; torch alone has more than 1000"
    for name in ("torch", "pydantic", "numpy", "scipy", "yaml", "rich", "matplotlib"):
        assert f"'{name}'" not in result.stderr
    assert "'click'" in result.stderr, "the list of modules was read"


@pytest.mark.parametrize("verb", WRITTEN)
def test_the_table_of_verbs_says_what_the_verbs_say(verb: str) -> None:
    command = importlib.import_module(f"dcdbench.commands.{verb}").command
    assert isinstance(command, click.Command)
    assert command.get_short_help_str(limit=200) == VERBS[verb]


@pytest.mark.parametrize("verb", WRITTEN)
def test_help_of_a_verb_imports_no_torch(verb: str) -> None:
    code = (
        f"import sys; from dcdbench.cli import cli; cli(['{verb}', '--help'], standalone_mode=False);"
        "assert 'torch' not in sys.modules and 'pydantic' not in sys.modules"
    )
    assert python("-c", code).returncode == 0


def test_every_module_of_commands_is_in_the_table() -> None:
    folder = Path(dcdbench.__file__).parent / "commands"
    found = {path.stem for path in folder.glob("*.py")} - {"__init__", "options"}
    members = {n for n in found if hasattr(importlib.import_module(f"dcdbench.commands.{n}"), "command")}
    assert members <= set(VERBS)


def test_an_unknown_verb() -> None:
    result = invoke("valdate")
    assert result.exit_code == 2
    assert "Did you mean 'validate'?" in result.stderr and not result.stdout


def test_an_unknown_option() -> None:
    assert invoke("validate", "--qick", "x").exit_code == 2


def test_validate_a_sound_suite(suite: Path) -> None:
    result = invoke("validate", suite)
    assert result.exit_code == 0
    assert "1 task x 1 method x 2 seeds = 2 cells" in result.stdout and not result.stderr


def test_validate_tells_the_mistakes_of_all_files(suite: Path, tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(SUITE.replace("identity", "identiti").replace("metrics", "metric"))
    result = invoke("validate", suite, tmp_path / "t.yaml", tmp_path / "none.yaml")
    assert result.exit_code == 2
    assert "s.yaml: valid" in result.stdout
    assert "t.yaml:4: tasks.a.operator: " in result.stderr and "did you mean 'metrics'" in result.stderr
    assert "none.yaml: cannot be read" in result.stderr


def test_validate_as_json(suite: Path) -> None:
    result = invoke("validate", "--json", "--set", "tasks.a.sigma_y=-1", suite)
    report = json.loads(result.stdout)
    assert result.exit_code == 2 and report["schema"] == "dcdbench.validate/1"
    assert report["suites"][0]["mistakes"][0]["path"] == "tasks.a.sigma_y"


def test_ls_tells_names_summaries_and_defaults() -> None:
    text = invoke("ls", "operators")
    assert text.exit_code == 0 and "inpainting" in text.stdout and "keep: a number = 0.5" in text.stdout
    report = json.loads(invoke("ls", "--json").stdout)
    assert all(member["summary"] for family in report["families"].values() for member in family)
    assert invoke("ls", "operator").exit_code == 2


def test_schema_is_json() -> None:
    assert json.loads(invoke("schema").stdout)["title"] == "A suite of dcdbench"


def test_doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = json.loads(invoke("doctor", "--json", "--store", tmp_path / "new").stdout)
    assert report["store"]["writable"] and report["problems"] == []
    assert invoke("doctor", "--store", tmp_path).exit_code == 0
    from dcdbench.harness import environment

    monkeypatch.setitem(environment.REQUIRED, "no-such-package", "nothing")
    broken = invoke("doctor", "--store", tmp_path)
    assert broken.exit_code == 1 and "no-such-package is missing" in broken.stderr


def test_doctor_sees_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert invoke("doctor", "--store", tmp_path / "file" / "store").exit_code == 1


def test_colour_follows_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert "\x1b" not in invoke("ls", "operators").stdout, "no terminal"
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" in invoke("ls", "operators").stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in invoke("ls", "operators").stdout


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), 130), (click.UsageError("x"), 2), (click.ClickException("x"), 1)],
)
def test_exit_codes(monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int) -> None:
    def fail(*args: object) -> None:
        raise error

    monkeypatch.setattr("dcdbench.harness.environment.report", fail)
    assert invoke("doctor").exit_code == code


def test_a_broken_plug_in_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "broken_plugin.py").write_text("import no_such_module")
    result = invoke("check", tmp_path / "broken_plugin.py")
    assert result.exit_code == 2 and "no_such_module" in result.stderr


def test_control_a_programming_error_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcdbench.harness.environment.report", lambda store: 1 / 0)
    assert isinstance(invoke("doctor").exception, ZeroDivisionError)


def test_shared_options_have_one_spelling() -> None:
    @click.command()
    @selection
    @configuration
    @store_folder
    def verb(**given: object) -> None:
        click.echo(json.dumps(given, default=str))

    arguments = ["-m", "a", "-t", "b", "-t", "c", "-s", "0-2,5", "--set", "x=1", "--quick", "--store", "r"]
    given = json.loads(CliRunner().invoke(verb, arguments).stdout)
    assert given["methods"] == ["a"] and given["tasks"] == ["b", "c"] and given["seeds"] == [0, 1, 2, 5]
    assert given["overrides"] == ["x=1"] and given["quick"] is True and given["store"] == "r"
    assert CliRunner().invoke(verb, ["-s", "x"]).exit_code == 2


def test_seeds_once_each() -> None:
    context = click.Context(cli)
    assert parse_seeds(context, click.Option(["-s"]), ("1-3", "2,0")) == (1, 2, 3, 0)
