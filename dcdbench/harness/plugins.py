"""Plug-ins: components outside the package, in files given by path or in installed packages.

A file is imported as `dcdbench_plugin_<stem>`, so that its instances can be pickled between
processes and its source can be found. Modules next to a plug-in can be imported by it.

An installed package names a module of its own in the entry-point group `dcdbench.plugins`.
"""

from __future__ import annotations

__all__ = ["GROUP", "folders", "installed", "load", "source"]

import importlib
import importlib.util
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from dcdbench.harness.errors import PluginError

GROUP = "dcdbench.plugins"

_loaded: dict[str, Path] = {}  # module name -> file


def load(paths: Iterable[Path | str]) -> tuple[str, ...]:
    """Imports the files, each once, and returns the names of their modules.

    Raises:
        PluginError: A file is missing, fails to import, or shares its stem with another.
    """
    return tuple(_load(Path(path).resolve()) for path in paths)


@cache
def installed() -> tuple[str, ...]:
    """Imports the modules that installed packages name, once in a process, and returns their names.

    Raises:
        PluginError: A module fails to import.
    """
    from importlib import metadata

    points = sorted(metadata.entry_points(group=GROUP), key=lambda point: (point.name, point.value))
    for point in points:
        try:
            importlib.import_module(point.module)
        except Exception as error:
            package = point.dist.name if point.dist else "a package"
            raise PluginError(
                f"plug-in {point.name!r} of {package} ({point.module}): {type(error).__name__}: {error}"
            ) from error
    return tuple(dict.fromkeys(point.module for point in points))


def source(module: str) -> Path | None:
    """The file of a loaded plug-in's module."""
    return _loaded.get(module)


def folders() -> tuple[Path, ...]:
    """The folders whose modules plug-ins may import, in the order of the search."""
    return tuple(dict.fromkeys(path.parent for path in _loaded.values()))


def _load(path: Path) -> str:
    name = f"dcdbench_plugin_{path.stem}"
    known = _loaded.get(name)
    if known == path:
        return name
    if known is not None:
        raise PluginError(f"two plug-ins have the same name: {known} and {path}; rename one")
    if not path.is_file():
        raise PluginError(f"no such plug-in: {path}")
    if (module := _installed_as(path)) is not None:
        return module
    _import(name, path)
    return name


def _installed_as(path: Path) -> str | None:
    """The module that an installed plug-in has made of a file: its components are registered already."""
    packages = {name.partition(".")[0] for name in installed()}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and name.partition(".")[0] in packages and Path(file).resolve() == path:
            return name
    return None


def _import(name: str, path: Path) -> None:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"a plug-in is a Python file (.py), got {path}")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # last: a neighbour never hides an installed package
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    _loaded[name] = path
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name], _loaded[name]
        if isinstance(error, Exception):
            raise PluginError(f"plug-in {path}: {type(error).__name__}: {error}") from error
        raise
