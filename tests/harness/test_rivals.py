"""Every method goes through the harness: its stages count operations, save, and are sampled from."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from dcdbench.cli import cli
from dcdbench.methods import registry

SUITE = """
version: 1
name: rivals
seeds: [0]
tasks:
  dots:
    data: {{gaussian: {{dim: 4, rank: 2}}}}
    operator: {operator}
    sigma_y: 0.5
    train: 64
    heldout: 32
    network: {{mlp: {{width: 8, depth: 1}}}}
    budget: {{teacher_kimg: 0.128, student_kimg: 0.064, batch: 32}}
methods: {{{methods}}}
metrics: [frechet]
"""


def short(name: str) -> str:
    """The method, of two laps where it has laps: each is a training of its own."""
    return f"{{{name}: {{laps: 2}}}}" if hasattr(registry[name](), "laps") else name


OPERATORS = {"noise": "identity", "mask": "{coordinates: {count: 2}}"}


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
def test_every_method_is_done_or_skipped_with_a_reason(
    tmp_path: Path, operator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In processes of their own, as in any run."""
    methods = ", ".join(f"{name.replace('_', '-')}: {short(name)}" for name in sorted(registry))
    suite = tmp_path / "rivals.yaml"
    suite.write_text(SUITE.format(operator=operator, methods=methods), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(cli, ["run", str(suite), "-j", "2", "-q"])
    assert ran.exit_code == 0, ran.output
    told = CliRunner().invoke(cli, ["leaderboard", str(suite), "--format", "csv"]).output
    assert "failed" not in told and "crashed" not in told
