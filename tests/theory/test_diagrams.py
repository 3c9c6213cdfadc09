"""Phase diagrams show the verdicts of claims, the same bytes each time, and can be asked for by a claim."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from theory import load_claims
from theory.__main__ import main
from theory.claim import Verdict
from theory.diagrams import diagram_of, load_diagrams
from theory.panels import Axis, Phase, bracketed, contrast
from theory.plots import Diagram, figure, save

DIAGRAMS = load_diagrams()
X, Y = Axis("$x$ / m", 0.0, 4.0), Axis("$y$", 0.1, 10.0, log=True)


def halves(x: float, y: float) -> Verdict:
    return Verdict.HOLDS if x < 1 else Verdict.FAILS if x < 3 else Verdict.UNDECIDED


SMALL = Diagram((Phase("$W_2^2$", X, Y, halves),), columns=1, cells=4, quick=2, claims=())


def test_diagrams_belong_to_claims_and_name_metrics_and_axes() -> None:
    claims = load_claims()
    assert {"contamination", "two_modes", "capacity", "ring", "thresholds", "blur", "early_stopping"} == set(
        DIAGRAMS
    )
    for name, diagram in DIAGRAMS.items():
        assert diagram.claims and set(diagram.claims) <= set(claims), name
        assert all(diagram_of(claim) == name for claim in diagram.claims)
        assert len(diagram.panels) % diagram.columns == 0 and diagram.quick < diagram.cells
        for panel in diagram.panels:
            assert panel.x.label and panel.y.label
            assert "W_2" in panel.title or "KL}" in panel.title
    assert diagram_of("umegaki") is None


def test_cells_have_the_verdicts_of_their_centres() -> None:
    found, _ = SMALL.panels[0].verdicts(4)  # type: ignore[union-attr]
    assert found == [[Verdict.HOLDS, Verdict.FAILS, Verdict.FAILS, Verdict.UNDECIDED]] * 4
    np.testing.assert_allclose(X.centres(4), [0.5, 1.5, 2.5, 3.5])
    np.testing.assert_allclose(Y.centres(1), [1.0])


@pytest.mark.parametrize(
    ("teacher", "student", "expected"),
    [
        ((1.0, 1.2), (0.2, 0.9), Verdict.HOLDS),
        ((1.0, 1.2), (1.3, 1.5), Verdict.FAILS),
        ((1.0, 1.0), (1.0, 1.0), Verdict.FAILS),  # a tie
        ((1.0, 1.2), (1.1, 1.1), Verdict.UNDECIDED),
        ((1.0, 1.2), (0.5, 1.5), Verdict.UNDECIDED),
    ],
)
def test_bounds_decide_only_what_is_certain(
    teacher: tuple[float, float], student: tuple[float, float], expected: Verdict
) -> None:
    assert bracketed(teacher, student) == expected


def test_the_boundary_is_where_a_claim_begins_to_hold() -> None:
    def line(x: float, y: float) -> object:
        return contrast((1.0, 1.0), (0.99 * x, 0.99 * x))

    panel = Phase("$W_2^2$", Axis("$x$", 0.5, 1.5), Y, line)  # type: ignore[arg-type]
    axes = figure(replace(SMALL, panels=(panel,), cells=8)).axes[0]
    (contour,) = axes.collections
    (path,) = contour.get_paths()
    np.testing.assert_allclose(path.vertices[:, 0], 1.0, atol=0.01)
    assert not figure(SMALL).axes[0].collections  # verdicts alone tell of no boundary


def test_a_figure_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        save(figure(SMALL), tmp_path / "new" / name)
    first, second = ((tmp_path / "new" / name).read_text() for name in ("a.svg", "b.svg"))
    assert first == second
    assert all(str(each) in first for each in Verdict)
    assert len(set(figure(SMALL, quick=True).axes[0].patches)) < len(figure(SMALL).axes[0].patches)


@pytest.mark.parametrize("name", ["early_stopping", "blur"])
def test_diagrams_are_drawn_small(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = replace(DIAGRAMS[name], quick=3)
    monkeypatch.setattr("theory.diagrams.load_diagrams", lambda: {name: small})
    assert main(["plot", "--quick", "-o", str(tmp_path), name]) == 0
    path = tmp_path / f"{name}.svg"
    assert capsys.readouterr().out.strip() == str(path) and "HOLDS" in path.read_text()
    assert main(["plot", "nothing"]) == 2 and name in capsys.readouterr().err


def test_a_claim_draws_its_diagram(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "figure.svg"
    assert main(["show", "early_stopping", "--quick", "-o", str(path)]) == 0
    assert path.exists() and "show early_stopping -o early_stopping.svg" in capsys.readouterr().out
    for wrong in (["early_stopping"], ["show", "umegaki"], ["show", "early_stopping", "umegaki"]):
        with pytest.raises(SystemExit) as stopped:
            main([*wrong, "-o", str(path)])
        assert stopped.value.code == 2
    with pytest.raises(SystemExit):
        main(["show", "early_stopping", "-o", "figure.gif"])
