"""From records back to what made them: components, trained networks, problems."""

from __future__ import annotations

__all__ = ["Sampled", "Unrevivable", "parent", "revive", "sampled", "spec_of"]

import dataclasses
import importlib
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcdbench.harness.context import Parent
from dcdbench.harness.resolve import fields_of
from dcdbench.harness.store import Record, Store
from dcdbench.problem import Problem
from dcdbench.protocols import Denoiser, Sampler
from dcdbench.streams import Stream


class Unrevivable(Exception):
    """Something stored whose code, or whose parents, are not there. Its text says what to do."""

    exit_code = 1


def revive(described: Any) -> Any:
    """The value that `identity.describe` described.

    Raises:
        Unrevivable: The code of a component is not there, or has other fields by now.
    """
    if isinstance(described, list):
        return tuple(revive(item) for item in described)
    if not isinstance(described, Mapping):
        return described
    if "class" not in described:
        return {name: revive(item) for name, item in described.items()}
    name = described["class"]
    cls = _class(name)
    given = {field: revive(value) for field, value in described.items() if field != "class"}
    known = {field.name for field in dataclasses.fields(cls)}
    if known != given.keys():
        odd = ", ".join(sorted(known ^ given.keys()))
        raise Unrevivable(
            f"{name} has other fields now than when this was stored ({odd}): check out its version"
        )
    return cls(**{n: _typed(given[n], hint) for n, (hint, _) in fields_of(cls).items()})


def _typed(value: Any, hint: Any) -> Any:
    """Paths were described as texts."""
    return Path(value) if isinstance(value, str) and Path in (hint, *typing.get_args(hint)) else value


def _class(name: str) -> type:
    module, _, qualname = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        plugin = module.removeprefix("dcdbench_plugin_")
        hint = (
            f"name its file: --plugins {plugin}.py"
            if plugin != module
            else "check out the version that made it"
        )
        raise Unrevivable(f"{name} is not there: {hint}") from error
    made: type = found
    return made


def spec_of(record: Record) -> dict[str, Any]:
    """The live arguments of the stage that made a record."""
    spec: dict[str, Any] = revive(record.identity["params"])
    return spec


def parent(store: Store, key: str) -> Parent:
    """A stored stage as its children see it.

    Raises:
        Unrevivable: It is missing or damaged.
    """
    record, damage = store.inspect(key)
    if record is None:
        what = f"is damaged ({'; '.join(map(str, damage))})" if damage else "is missing"
        raise Unrevivable(f"{key} {what} in {store.root}: run the suite again")
    return Parent(dict(vars(record)), lambda name: store.tensors(key, name))


@dataclass(frozen=True)
class Sampled:
    """A sampler with what it samples from, as a stage of samples had them."""

    sampler: Sampler
    net: Denoiser | None
    problem: Problem

    def draw(self, n: int, stream: Stream) -> Any:
        """`n` fresh samples (`protocols.Samples`), on the CPU's numbers."""
        device = self.problem.train.y.device
        return self.sampler.sample(self.net, self.problem, n, stream.rng(device))


def sampled(store: Store, record: Record, device: str = "cpu") -> Sampled:
    """What a stage of samples, or a training, samples with.

    A training is sampled as its checkpoints were.

    Raises:
        Unrevivable: A part of it is not there.
    """
    from dcdbench.harness.stages import measurement, training

    spec, parents = spec_of(record), record.identity["parents"]
    if "phase" not in spec:
        raise Unrevivable(
            f"{record.key} holds nothing to sample from: choose samples, a teacher or a student"
        )
    corruption, phase = spec["corruption"], spec["phase"]
    problem = measurement.problem(parent(store, parents["measurement"]), corruption, spec["shape"]).to(device)
    if "sampler" in spec:
        sampler, trained = spec["sampler"], parents.get("trained")
    else:
        sampler, trained = phase.preview(corruption.sigma_y), record.key
    if trained is None:
        return Sampled(sampler, None, problem)
    made = parent(store, trained)
    if made.record["status"] != "done":
        raise Unrevivable(
            f"{trained} has diverged, and has no weights; `dcdbench replay {trained}` shows how"
        )
    return Sampled(sampler, training.load(made, phase).to(device).eval(), problem)
