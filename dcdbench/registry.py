"""Names of components. Each family of components (operators, metrics, ...) has one registry."""

from __future__ import annotations

__all__ = ["Registry", "UnknownComponent"]

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import TypeVar

C = TypeVar("C", bound=type)


class UnknownComponent(KeyError):
    """A name that no component of the family has. Its text suggests the nearest ones."""

    def __init__(self, family: str, name: str, known: list[str]) -> None:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        self.message = f"no {family} named {name!r}{hint} (known: {', '.join(known)})"
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


class Registry:
    """The components of one family, by name.

    A component is a frozen dataclass in a file of the family's folder, or in a plug-in,
    that registers itself on import. The folder's files are imported at the first question.

    Args:
        family: The family's name, which is that of its folder in the package.
    """

    def __init__(self, family: str) -> None:
        self.family = family
        self._members: dict[str, type] = {}
        self._scanned = False

    def register(self, name: str) -> Callable[[C], C]:
        """A class decorator that enters the class under `name`; a name is given once."""

        def enter(cls: C) -> C:
            other = self._members.get(name)
            if other is not None and (other.__module__, other.__qualname__) != (
                cls.__module__,
                cls.__qualname__,
            ):
                raise ValueError(
                    f"{self.family}: the name {name!r} is taken by {other.__module__}."
                    f"{other.__qualname__}, so {cls.__module__}.{cls.__qualname__} needs another"
                )
            self._members[name] = cls
            return cls

        return enter

    def __getitem__(self, name: str) -> type:
        self._scan()
        try:
            return self._members[name]
        except KeyError:
            raise UnknownComponent(self.family, name, list(self)) from None

    def __contains__(self, name: object) -> bool:
        self._scan()
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        self._scan()
        return iter(sorted(self._members))

    def __len__(self) -> int:
        self._scan()
        return len(self._members)

    def name_of(self, cls: type) -> str:
        """The name under which `cls` is registered."""
        self._scan()
        return next(name for name, member in self._members.items() if member is cls)

    def _scan(self) -> None:
        if self._scanned:
            return
        self._scanned = True
        package = importlib.import_module(f"dcdbench.{self.family}")
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
