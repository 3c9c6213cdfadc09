"""Every command of README and CONTRIBUTING is executed, in order, in a copy of the repository.

A block whose first line is a comment with a file's name (`# noisy.yaml`) is that file.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from dcdbench.cli import VERBS

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs/predictor.md")

# What is executed in place of what is written: (pattern, replacement, reason).
SUBSTITUTIONS = (
    (
        r"pip install (.*)",
        r"pip install --dry-run --quiet \1",
        "the environment is there, and must satisfy it",
    ),
    (
        r"tox( -e \w+)?",
        r"tox list",
        "these tests run inside of tox, which is not entered again",
    ),
    (
        r"(.*dcdbench (?:run|leaderboard|gallery|front) suites/all\.yaml)(.*)",
        r"\1 --quick --set 'methods.em={em: {laps: 2, prior: {laps: 4}}}'\2",
        "as below, and the shortest EM that has both its posteriors",
    ),
    (
        r"(.*dcdbench run (?!suites/all)\S+\.yaml)(.*)",
        r"\1 --quick\2",
        "the first seed, a fiftieth of the budgets, few signals",
    ),
    (
        r"python -m theory",
        r"python -m theory early_stopping full_capacity_tie noise_threshold ring",
        "the tests decide every claim",
    ),
)
# Long commands are executed for some methods after others; what one part has made, the next ones find.
PARTS = {
    "python -m dcdbench run suites/all.yaml": (
        " -m observed -m oracle -m mixture-em -m pca",
        " -m 'ambient-diffusion*'",
        " -m dcd -m ambient-gan",
        " -m em -m sfbd",
        "",
    ),
    "dcdbench run noisy.yaml": (" -m teacher", ""),
}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# (\S+\.(?:py|yaml))\n")


@dataclass(frozen=True)
class Command:
    """One command of a document."""

    document: str
    text: str
    part: str = ""

    @property
    def executed(self) -> str:
        """The command after the substitutions."""
        for pattern, replacement, _ in SUBSTITUTIONS:
            if match := re.fullmatch(pattern, self.text):
                return match.expand(replacement) + self.part
        return self.text + self.part


def blocks(document: str) -> list[tuple[str, str]]:
    """The fenced blocks of a document, each with its language."""
    return BLOCK.findall((ROOT / document).read_text(encoding="utf-8"))


def commands(document: str) -> list[Command]:
    """The commands of a document in order; `a && b` are two."""
    lines = [line for language, text in blocks(document) if language == "sh" for line in text.splitlines()]
    texts = [text for line in lines for text in line.split(" && ")]
    return [Command(document, text, part) for text in texts for part in PARTS.get(text, ("",))]


COMMANDS = [command for document in DOCUMENTS for command in commands(document)]


def noisy_photos(folder: Path) -> None:
    """200 small images with noise: what README calls `photos`."""
    import numpy as np
    from PIL import Image

    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(200):
        x = np.tanh(rng.normal() + np.linspace(-2, 2, 12) * rng.normal(size=(12, 1)))
        y = np.clip(x + 0.2 * rng.normal(size=x.shape), -1, 1)
        Image.fromarray(np.uint8(127.5 * (y + 1))).save(folder / f"{i}.png")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository, with the files that the documents describe."""
    folder = tmp_path_factory.mktemp("documents") / "dcdbench"
    unused = shutil.ignore_patterns(".*", "__pycache__", "results", "tests", "*.egg-info", "build", "dist")
    shutil.copytree(ROOT, folder, ignore=unused)
    (folder / "docs").mkdir(exist_ok=True)
    noisy_photos(folder / "photos")
    for document in DOCUMENTS:
        for _, text in blocks(document):
            if named := NAMED.match(text):
                (folder / named[1]).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", COMMANDS, ids=lambda command: f"{command.document}: {command.text}{command.part}"
)
def test_the_command_works(command: Command, copy: Path) -> None:
    """It ends with status 0. The programs are those next to this Python, the code is that of the copy."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    result = subprocess.run(
        ["bash", "-euc", command.executed],
        cwd=copy,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(copy)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"$ {command.executed}\n{result.stdout[-4000:]}\n{result.stderr[-4000:]}"


def test_commands_are_found() -> None:
    texts = {command.text for command in COMMANDS}
    assert {
        "pip install -c constraints.txt -e .",
        "python -m dcdbench run suites/all.yaml",
        "pip install tox",
        "tox",
        "python -m theory",
    } <= texts
    for document in DOCUMENTS:
        others = {language for language, _ in blocks(document)} - {"sh", "yaml", "python", "toml", ""}
        assert not others, f"{document}: commands stand in blocks of `sh`, where they are found"


def test_substitutions_are_needed() -> None:
    """Each is used, and changes nothing that it is not meant for."""
    for pattern, _, reason in SUBSTITUTIONS:
        assert any(re.fullmatch(pattern, command.text) for command in COMMANDS), reason
    assert Command("", "dcdbench check erasing.py").executed == "dcdbench check erasing.py"
    assert Command("", "python -m theory show ring").executed == "python -m theory show ring"
    long = Command("", "python -m dcdbench run suites/quick.yaml -j 4").executed
    assert long == "python -m dcdbench run suites/quick.yaml --quick -j 4"
    assert Command("", "dcdbench plan suites/all.yaml").executed == "dcdbench plan suites/all.yaml"


def test_parts_end_with_the_whole() -> None:
    texts = {command.text for command in COMMANDS}
    for text, parts in PARTS.items():
        assert text in texts and parts[-1] == ""


def test_every_verb_is_in_the_readme() -> None:
    told = re.findall(r"^\| `dcdbench (\w+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(told) == sorted(VERBS)


def test_the_table_has_its_place() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("<!-- leaderboard:begin -->") == text.count("<!-- leaderboard:end -->") == 1
