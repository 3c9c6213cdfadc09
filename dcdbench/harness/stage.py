"""A stage: one keyed step of a plan. What is asked names the result."""

from __future__ import annotations

__all__ = ["Context", "Interrupted", "Outcome", "Parent", "Stage"]

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dcdbench.harness.code import closure
from dcdbench.harness.context import Context, Interrupted, Outcome, Parent
from dcdbench.harness.identity import classes, describe, digest, key_of


@dataclass(frozen=True)
class Stage:
    """One step of a plan.

    Args:
        kind: What it makes; a word that the harness does not interpret.
        target: The function that runs it, `"module:function"`.
        spec: The function's arguments: picklable values that `describe` can write.
        parents: Role to the key of the parent stage.
        seed: The root of the stage's randomness.
        files: Files and folders of the user whose content belongs to the key, not their place.
        label: For humans. Not in the key.
        modules: Modules that the target imports by name; their code belongs to the key as well.
    """

    kind: str
    target: str
    spec: Mapping[str, Any]
    parents: Mapping[str, str]
    seed: int
    files: tuple[Path, ...] = ()
    label: str = ""
    modules: tuple[str, ...] = ()

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that the result depends on, as JSON."""
        names = _names(self.files)
        roots = {cls.__module__ for cls in classes(self.spec)} | {self.target.partition(":")[0]}
        return {
            "kind": self.kind,
            "target": self.target,
            "params": describe(self.spec, names),
            "seed": self.seed,
            "parents": dict(sorted(self.parents.items())),
            "code": closure(roots | set(self.modules)),
            "files": {name: digest(path) for path, name in names.items()},
        }

    @cached_property
    def key(self) -> str:
        """The name of the result in the store."""
        return key_of(self.kind, self.identity)


def _names(files: tuple[Path, ...]) -> dict[Path, str]:
    """Short names of the files; the second `a.npy` of another folder is `a.npy#2`."""
    names: dict[Path, str] = {}
    for path in files:
        same = sum(other.name == path.name for other in names)
        names.setdefault(path, f"{path.name}#{same + 1}" if same else path.name)
    return names
