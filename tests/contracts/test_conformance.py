"""The conformance kit: a sound operator passes, and each way to be wrong fails its own law."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor

from dcdbench.cli import cli
from dcdbench.harness.conformance import check_operator
from dcdbench.harness.resolve import FAMILIES, registry
from dcdbench.operators.clip import Clip
from dcdbench.operators.inpainting import Inpainting, Mask
from dcdbench.operators.quantise import Quantise

SHAPES = ((4,), (2, 3, 5))


def failures(law: object) -> set[str]:
    return {finding.name for finding in check_operator(law, SHAPES, seeds=2) if not finding.passed}


class WrongAdjoint(Mask):
    def adjoint(self, y: Tensor) -> Tensor:
        return y


class Affine(Mask):
    def __call__(self, x: Tensor) -> Tensor:
        return self.mask * (x + 1)


class Leaks(Mask):
    def __call__(self, x: Tensor) -> Tensor:
        return self.mask * (x - x.mean(0, keepdim=True))


class Doubles(Mask):
    def pinv(self, y: Tensor) -> Tensor:
        return 2 * self.mask * y


class RestrictsLess(Mask):
    def restrict(self, y: Tensor) -> Tensor:
        return 0.5 * self.mask * y


class Regrows(Mask):
    def further(self, delta: float, rng: torch.Generator) -> Mask:
        kept = torch.rand(self.mask.shape, generator=rng) >= delta
        return replace(self, mask=kept.to(self.mask))


class DropsMore(Mask):
    def further(self, delta: float, rng: torch.Generator) -> Mask:
        return super().further(delta**0.5, rng)


class DropsAtLeastHalf(Mask):
    exact_share = False

    def further(self, delta: float, rng: torch.Generator) -> DropsAtLeastHalf:
        return replace(self, mask=super().further(max(delta, 0.5), rng).mask)


class DropsNothing(Mask):
    exact_share = False

    def further(self, delta: float, rng: torch.Generator) -> DropsNothing:
        return self


class Rolls(Mask):
    def adjoint(self, y: Tensor) -> Tensor:
        return (self.mask * y).roll(1, -1)


class AmplifiesSums(Mask):
    """As a mask on each entry by itself, and more on all of them."""

    def __call__(self, x: Tensor) -> Tensor:
        return self.mask * x * (1 + x.flatten(1).sum(1).square()).sqrt().reshape(-1, *(1,) * (x.ndim - 1))


class FindsOneEntry(Mask):
    def adjoint(self, y: Tensor) -> Tensor:
        seen = torch.zeros_like(y).flatten(1)
        seen[:, 0] = 1
        return seen.reshape(y.shape) * super().adjoint(y)


class Explodes(Mask):
    def __call__(self, x: Tensor) -> Tensor:
        return self.mask * x * 1e300


class ShowsNothing(Mask):
    def back(self, y: Tensor) -> Tensor:
        return torch.zeros_like(y)


class ShowsSquares(Mask):
    def back(self, y: Tensor) -> Tensor:
        return self.mask * y.square()


class ShowsFlat(Mask):
    def back(self, y: Tensor) -> Tensor:
        return self.adjoint(y).flatten(1)[:, 1:]


class ShowsTwice(Mask):
    def back(self, y: Tensor) -> Tensor:
        return 2 * self.mask * y


class Stays(Mask):
    def to(self, device: object = None, dtype: torch.dtype | None = None) -> Mask:
        return super().to(None, dtype)


class MovesItself(Mask):
    def to(self, device: object = None, dtype: torch.dtype | None = None) -> Mask:
        moved = super().to(device, dtype)
        if dtype == torch.float16:
            object.__setattr__(self, "mask", moved.mask.to(self.mask) + 1)
        return moved


@dataclass(frozen=True)
class CastsWholeNumbers(Mask):
    which: Tensor = field(default_factory=lambda: torch.arange(5))

    def to(self, device: str | None = None, dtype: torch.dtype | None = None) -> Mask:
        return replace(super().to(device, dtype), which=self.which.to(device, dtype))


class SharedTensors(Mask):
    def tensors(self) -> dict[str, Tensor]:
        return super().tensors() | {"kernel": torch.ones(3, 3)}


class NothingToShow(Mask):
    def condition(self) -> None:
        return None


class Reverses(Mask):
    def __getitem__(self, index: Tensor | slice) -> Mask:
        return replace(self, mask=self.mask.flip(0)[index])


class Float32(Mask):
    def __call__(self, x: Tensor) -> Tensor:
        return (self.mask * x).float().to(x.dtype) if x.dtype == torch.float32 else (self.mask * x).float()


class InPlace(Mask):
    def __call__(self, x: Tensor) -> Tensor:
        return x.detach().mul_(self.mask)


class GlobalNoise(Mask):
    def __call__(self, x: Tensor) -> Tensor:
        return self.mask * x + 0 * torch.rand(1)


class NumpyNoise(Mask):
    def __call__(self, x: Tensor) -> Tensor:
        return self.mask * x + 0 * np.random.rand()


class PythonNoise(Mask):
    def __call__(self, x: Tensor) -> Tensor:
        return self.mask * x + 0 * random.random()


@dataclass(frozen=True)
class Wrapped(Inpainting):
    """Masks of another class."""

    draws: type[Mask] = Mask

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> Mask:
        return self.draws(super().draw(shape, n, rng).mask)

    def restore(self, tensors: dict[str, Tensor]) -> Mask:
        return self.draws(tensors["mask"])


@dataclass(frozen=True)
class GlobalDraw(Inpainting):
    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> Mask:
        return super().draw(shape, n, torch.default_generator)


@dataclass(frozen=True)
class Forgets(Inpainting):
    def restore(self, tensors: dict[str, Tensor]) -> Mask:
        return Mask(torch.ones_like(tensors["mask"]))


@dataclass(frozen=True)
class Denies(Inpainting):
    def identifiable(self, shape: tuple[int, ...]) -> bool:
        return False


@dataclass(frozen=True)
class Claims(Inpainting):
    """Never sees the first entry, and says that all can be learned."""

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> Mask:
        mask = super().draw(shape, n, rng).mask
        mask.flatten(1)[:, 0] = 0
        return Mask(mask)


@dataclass(frozen=True)
class Same(Inpainting):
    """One mask for all samples, and says that they are random."""

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> Mask:
        mask = super().draw(shape, 1, rng).mask
        return Mask(mask.repeat(n, *(1,) * (mask.ndim - 1)))


@dataclass(frozen=True)
class CallsItFixed(Inpainting):
    random = False


@dataclass(frozen=True)
class CallsItRough(Inpainting):
    differentiable = False


@dataclass(frozen=True)
class Curved(Clip):
    """Nonlinear, with a gradient that is wrong, or none."""

    gradient: str = "wrong"

    def read(self, x: Tensor) -> Tensor:
        y = torch.sin(x)
        return (
            y.detach() if self.gradient == "none" else 2 * y - y.detach() if self.gradient == "wrong" else y
        )


@dataclass(frozen=True)
class OtherShape(Inpainting):
    def measured_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape, 1)


def test_sound_operators_pass() -> None:
    assert failures(Inpainting()) == set()
    assert failures(Wrapped()) == set()
    assert failures(Wrapped(draws=DropsAtLeastHalf)) == set()
    assert failures(Clip()) == failures(Quantise()) == failures(Curved(gradient="right")) == set()


@pytest.mark.parametrize(
    ("draws", "broken"),
    [
        (WrongAdjoint, {"adjointness", "gradient"}),
        (Affine, {"linearity", "adjointness"}),
        (Leaks, {"batch independence", "slicing"}),
        (Doubles, {"pseudo-inverse"}),
        (RestrictsLess, {"restriction"}),
        (Regrows, {"further corruption"}),
        (DropsMore, {"further corruption"}),
        (DropsNothing, {"further corruption"}),
        (Rolls, {"norm", "adjointness"}),
        (AmplifiesSums, {"norm", "linearity"}),
        (FindsOneEntry, {"norm", "adjointness"}),
        (Explodes, {"norm"}),
        (ShowsNothing, {"back"}),
        (ShowsSquares, {"back"}),
        (ShowsFlat, {"back"}),
        (ShowsTwice, {"back", "amplification"}),
        (Stays, {"moves"}),
        (MovesItself, {"moves"}),
        (CastsWholeNumbers, {"moves"}),
        (SharedTensors, {"store and restore"}),
        (NothingToShow, {"condition"}),
        (Reverses, {"slicing"}),
        (Float32, {"dtypes"}),
        (InPlace, {"determinism", "gradient"}),
        (GlobalNoise, {"no global randomness"}),
        (NumpyNoise, {"no global randomness"}),
        (PythonNoise, {"no global randomness"}),
    ],
)
def test_each_wrong_draw_fails_its_law(draws: type[Mask], broken: set[str]) -> None:
    assert broken <= failures(Wrapped(draws=draws))


@pytest.mark.parametrize(
    ("law", "broken"),
    [
        (GlobalDraw(), {"determinism", "no global randomness"}),
        (Forgets(), {"store and restore"}),
        (Denies(), {"identifiability"}),
        (Claims(), {"identifiability"}),
        (OtherShape(), {"measured shape"}),
        (Same(), {"randomness"}),
        (CallsItFixed(), {"randomness"}),
        (CallsItRough(), {"gradient"}),
        (Curved(gradient="wrong"), {"gradient"}),
        (Curved(gradient="none"), {"gradient"}),
    ],
)
def test_each_wrong_law_fails(law: Inpainting | Clip, broken: set[str]) -> None:
    assert broken <= failures(law)


def test_what_does_not_concern_a_law_is_told() -> None:
    told = {finding.name: finding.text for finding in check_operator(Quantise(), SHAPES)}
    assert told["adjointness"] == "not checked: the operator is not linear"
    assert told["gradient"] == "not checked: the operator is not differentiable"
    assert "not checked" not in told["measured shape"]


def test_checks_leave_the_global_generators_alone() -> None:
    before = (torch.get_rng_state().tolist(), random.getstate())
    failures(Wrapped(draws=GlobalNoise))
    assert (torch.get_rng_state().tolist(), random.getstate()) == before


PLUGIN = '''\
"""An operator of one's own."""

from dataclasses import dataclass

from dcdbench.metrics import register as register_metric
from dcdbench.operators import register
from dcdbench.operators.clip import Clip
from dcdbench.operators.inpainting import Inpainting, Mask
from dcdbench.operators.quantise import Quantise


class Draw(Mask):
    def adjoint(self, y):
        return {adjoint}


@register("{name}")
@dataclass(frozen=True, kw_only=True)
class Own(Inpainting):
    """Own masks."""

    weight: float{default}

    def draw(self, shape, n, rng):
        return Draw(super().draw(shape, n, rng).mask)


@register_metric("{name}_score")
@dataclass(frozen=True)
class Unfinished:
    """A metric without members."""
'''


@pytest.fixture
def registries() -> Iterator[None]:
    """Puts the registries back, so that nobody else meets the plug-ins' components."""
    kept = {family: (len(registry(family)), dict(registry(family)._members))[1] for family in FAMILIES}
    yield
    for family, members in kept.items():
        registry(family)._members.clear()
        registry(family)._members.update(members)


def check(
    folder: Path, name: str, *arguments: str, adjoint: str = "self.mask * y", default: str = " = 0.5"
) -> Result:
    file = folder / f"{name}.py"
    file.write_text(PLUGIN.format(name=name, adjoint=adjoint, default=default))
    return CliRunner().invoke(cli, ["check", str(file), *arguments])


def lines(result: Result) -> list[str]:
    return [" ".join(line.split()[:2]) for line in result.stdout.splitlines()]


@pytest.mark.usefixtures("registries")
def test_check_passes_a_sound_operator_and_names_an_unfinished_metric(tmp_path: Path) -> None:
    result = check(tmp_path, "sound_masks")
    assert "PASS adjointness" in lines(result)
    operators, _, metric = result.stdout.partition("metrics sound_masks_score")
    assert "FAIL" not in operators and "FAIL  has all members" in metric
    assert result.exit_code == 1


@pytest.mark.usefixtures("registries")
def test_check_fails_a_wrong_adjoint_with_its_numbers(tmp_path: Path) -> None:
    result = check(tmp_path, "wrong_masks", "--json", adjoint="2 * y")
    assert result.exit_code == 1
    findings = {f["name"]: f for f in json.loads(result.stdout)["findings"] if f["family"] == "operators"}
    assert (
        not findings["adjointness"]["passed"]
        and "greatest relative difference" in findings["adjointness"]["text"]
    )
    assert findings["slicing"]["passed"]


@pytest.mark.usefixtures("registries")
def test_check_takes_fields_and_tells_missing_ones(tmp_path: Path) -> None:
    assert "the field 'weight' is missing" in check(tmp_path, "needy_masks", default="").stdout
    given = CliRunner().invoke(
        cli, ["check", str(tmp_path / "needy_masks.py"), "--set", "needy_masks.weight=0.9"]
    )
    assert "weight=0.9" in given.stdout and "PASS adjointness" in lines(given)


def test_check_of_a_file_without_components(tmp_path: Path) -> None:
    (tmp_path / "nothing_here.py").write_text("x = 1\n")
    assert CliRunner().invoke(cli, ["check", str(tmp_path / "nothing_here.py")]).exit_code == 3
