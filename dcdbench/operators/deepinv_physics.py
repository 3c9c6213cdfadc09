"""Operators of the library deepinv as laws of ours, and our draws as its physics.

deepinv (https://deepinv.github.io) is optional: `pip install -c constraints.txt "dcdbench[deepinv]"`. Nothing
of it is imported before it is used.
"""

from __future__ import annotations

__all__ = ["DeepInv", "PhysicsDraw", "as_physics", "from_physics"]

import functools
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from dcdbench.batch import expand
from dcdbench.operators import register
from dcdbench.operators.deepinv_library import Options, built, cast, frozen, kind, load, make, moved
from dcdbench.operators.gain import excess
from dcdbench.operators.identifiability import mean_has_full_rank
from dcdbench.operators.inverse import pseudo_inverse
from dcdbench.protocols import Operator, OperatorLaw

Source = Callable[[torch.device, torch.dtype], Any]


@dataclass(frozen=True)
class PhysicsDraw:
    """A physics of deepinv, with the parameters of each sample.

    Args:
        source: Gives the physics on a device and in a floating type.
        params: What it is called with, a row for each sample.
        signal: `(B, 0, *shape)`: no numbers, but the shape of signals; None where it is not known.
        linear: Whether it is linear.
        scale: What `back` is divided by, `(B,)`, so that it amplifies no signal; None for 1.
    """

    source: Source
    params: dict[str, Tensor] = field(default_factory=dict)
    signal: Tensor | None = None
    linear: bool = True
    scale: Tensor | None = None

    def _physics(self, t: Tensor) -> Any:
        return self.source(t.device, t.dtype)

    projects: ClassVar[bool] = False

    def __call__(self, x: Tensor) -> Tensor:
        """The noiseless measurement, by the physics' `A`."""
        return self._physics(x).A(x, **self.params)

    def adjoint(self, y: Tensor) -> Tensor:
        """By its `A_adjoint`."""
        return self._physics(y).A_adjoint(y, **self.params)

    def pinv(self, y: Tensor) -> Tensor:
        """To rounding, where `A_dagger` often is an approximation."""
        return pseudo_inverse(self, y)

    def restrict(self, y: Tensor) -> Tensor:
        """`y`: deepinv does not tell which entries were measured."""
        return y

    def back(self, y: Tensor) -> Tensor:
        """`A^T y`, scaled; for nonlinear physics `y`, which must have the shape of a signal."""
        if not self.linear:
            return y
        x = self.adjoint(y)
        return x if self.scale is None else x / expand(self.scale, x)

    def further(self, delta: float, rng: torch.Generator) -> None:
        """None: see `restrict`."""

    def condition(self) -> None:
        """None: see `restrict`."""

    def tensors(self) -> dict[str, Tensor]:
        """The parameters, the shape of signals, and the scale."""
        own = {"signal": self.signal, "scale": self.scale}
        return self.params | {name: t for name, t in own.items() if t is not None}

    def __getitem__(self, index: Tensor | slice) -> PhysicsDraw:
        signal, scale = (None if t is None else t[index] for t in (self.signal, self.scale))
        params = {k: t[index] for k, t in self.params.items()}
        return replace(self, params=params, signal=signal, scale=scale)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> PhysicsDraw:
        """The same draws on another device, or in another floating type."""
        own = (self.signal, self.scale)
        signal, scale = (None if t is None else moved(t, device, dtype) for t in own)
        params = {k: moved(t, device, dtype) for k, t in self.params.items()}
        return replace(self, params=params, signal=signal, scale=scale)


@register("deepinv")
@dataclass(frozen=True)
class DeepInv:
    """Any physics of the library deepinv (an extra), by the name of its class; its noise is not used.

    `img_size` and `rng` are given where the constructors take them and the options do not hold them.

    Args:
        physics: A class in `deepinv.physics`.
        options: Arguments of its constructor. Lists of lists of numbers become tensors.
        generator: A class in `deepinv.physics.generator` that draws parameters for each sample; None for
            one operator that all samples share.
        generator_options: Arguments of the generator's constructor.
        seed: Seeds what the physics itself draws when it is made, once for all samples.
    """

    physics: str = "Inpainting"
    options: dict[str, Any] = field(default_factory=lambda: {"mask": 0.5})
    generator: str | None = None
    generator_options: dict[str, Any] = field(default_factory=dict)
    seed: int = 0

    masks: ClassVar[bool] = False
    differentiable: ClassVar[bool] = True

    @property
    def linear(self) -> bool:
        """Whether the physics is; true where deepinv is not installed."""
        if importlib.util.find_spec("deepinv") is None:
            return True
        return issubclass(kind("physics", self.physics), load().physics.LinearPhysics)

    @property
    def random(self) -> bool:
        """Whether a generator draws the parameters of each sample."""
        return self.generator is not None

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> PhysicsDraw:
        """`n` independent draws of the generator's parameters, or the one operator there is."""
        self.measured_shape(shape)
        signal = torch.empty(n, 0, *shape, device=rng.device)
        draws = PhysicsDraw(self._source(shape), self._params(shape, n, rng), signal, self.linear)
        return replace(draws, scale=self._scale(draws, signal)) if self.linear and n else draws

    def _scale(self, draws: PhysicsDraw, signal: Tensor) -> Tensor:
        if self.random:
            return excess(draws, signal)
        common = _common_scale(self.physics, frozen(self.options), self.seed, tuple(signal.shape[2:]))
        return torch.full((len(signal),), common, device=signal.device)

    def _params(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> dict[str, Tensor]:
        if self.generator is None:
            return {}
        made = make("physics.generator", self.generator, frozen(self.generator_options), shape, rng)
        return {name: t for name, t in made.step(batch_size=n).items() if isinstance(t, Tensor)}

    def _source(self, shape: tuple[int, ...]) -> Source:
        return functools.partial(built, self.physics, frozen(self.options), self.seed, shape)

    def restore(self, tensors: dict[str, Tensor]) -> PhysicsDraw:
        """The draws that were stored."""
        params = dict(tensors)
        signal, scale = params.pop("signal"), params.pop("scale", None)
        return PhysicsDraw(self._source(tuple(signal.shape[2:])), params, signal, self.linear, scale)

    def measured_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """That of the physics' answer to a signal of zeros.

        Raises:
            ValueError: deepinv is missing, or the physics does not take such signals.
        """
        key = frozen(self.options), frozen(self.generator_options)
        return _measured(self.physics, key[0], self.generator, key[1], self.seed, tuple(shape))

    def identifiable(self, shape: tuple[int, ...]) -> bool:
        """By draws, on a small version of large signals; never for nonlinear physics."""
        return self.linear and mean_has_full_rank(self, shape)


@functools.lru_cache(maxsize=64)
def _measured(
    physics: str, options: Options, generator: str | None, drawn: Options, seed: int, shape: tuple[int, ...]
) -> tuple[int, ...]:
    law = DeepInv(physics, dict(options), generator, dict(drawn), seed)
    params = law._params(shape, 2, torch.Generator().manual_seed(seed))
    draws, x = PhysicsDraw(law._source(shape), params, linear=law.linear), torch.zeros(2, *shape)
    try:
        y = draws(x)
        there = draws.back(y)
    except Exception as error:
        raise ValueError(f"deepinv's {physics} does not take signals of shape {shape}: {error}") from error
    if not isinstance(y, Tensor) or y.is_complex():
        kind = "complex numbers" if isinstance(y, Tensor) else type(y).__name__
        raise ValueError(f"deepinv's {physics} measures {kind}, it must be one tensor of real numbers")
    if len(y) != 2 or there.shape != x.shape:
        shapes = f"measures {tuple(x.shape)} as {tuple(y.shape)}, and gives back {tuple(there.shape)}"
        raise ValueError(f"deepinv's {physics} does not take signals of shape {shape}: it {shapes}")
    return tuple(y.shape[1:])


@functools.lru_cache(maxsize=64)
def _common_scale(physics: str, options: Options, seed: int, shape: tuple[int, ...]) -> float:
    """The scale of the one operator that all samples share; its power iteration is run once per process."""
    law, signal = DeepInv(physics, dict(options), seed=seed), torch.empty(1, 0, *shape)
    return float(excess(PhysicsDraw(law._source(shape), signal=signal), signal))


class _Given:
    """Copies of one physics, by device and type."""

    def __init__(self, physics: Any) -> None:
        self.physics = physics
        self.copies: dict[tuple[torch.device, torch.dtype], Any] = {}

    def __call__(self, device: torch.device, dtype: torch.dtype) -> Any:
        if (device, dtype) not in self.copies:
            with torch.inference_mode(False):  # it outlives the caller's mode
                self.copies[device, dtype] = cast(self.physics.clone(), device, dtype)
        return self.copies[device, dtype]


def from_physics(physics: Any, **params: Tensor) -> PhysicsDraw:
    """A physics of deepinv as a draw.

    Args:
        physics: An instance; it is copied.
        params: What it is called with, a row for each sample.
    """
    return PhysicsDraw(_Given(physics), params, linear=isinstance(physics, load().physics.LinearPhysics))


def as_physics(
    operator: Operator | OperatorLaw,
    shape: tuple[int, ...] | None = None,
    n: int = 1,
    rng: torch.Generator | None = None,
) -> Any:
    """Our draws as a `deepinv.physics.LinearPhysics`, or as a `Physics` where they are not linear.

    Args:
        operator: Draws; or a law, which is drawn from now.
        shape: For a law, the shape of one signal.
        n: For a law, how many samples.
        rng: For a law, where draws come from.
    """
    if isinstance(operator, OperatorLaw):
        if shape is None or rng is None:
            raise ValueError("a law becomes a physics with the shape of a signal and an rng to draw from")
        operator = operator.draw(shape, n, rng)
    return _ours(operator.linear)(operator)


@functools.cache
def _ours(linear: bool) -> Any:
    base = load().physics.LinearPhysics if linear else load().physics.Physics

    class Ours(base):  # type: ignore[misc, valid-type]
        """Draws of a dcdbench operator."""

        def __init__(self, draws: Operator) -> None:
            super().__init__()
            self.draws = draws

        def A(self, x: Tensor, **params: Any) -> Tensor:
            """`A x`."""
            return self.draws.to(x.device, x.dtype)(x)

        if linear:

            def A_adjoint(self, y: Tensor, **params: Any) -> Tensor:
                """`A^T y`."""
                return self.draws.to(y.device, y.dtype).adjoint(y)

            def A_dagger(self, y: Tensor, **params: Any) -> Tensor:
                """`A^+ y`."""
                return self.draws.to(y.device, y.dtype).pinv(y)

    return Ours
