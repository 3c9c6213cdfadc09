"""The code that a stage runs: a static closure of imports, each module hashed without its comments."""

from __future__ import annotations

__all__ = ["Stamp", "closure", "edited", "stamps"]

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dcdbench.harness import plugins

_PACKAGE = __name__.partition(".")[0]
_SKIPPED = frozenset({"ctx", "kind", "type_comment"})  # say nothing that the code does not
_BODIES = ("body", "orelse", "finalbody", "handlers", "cases")


Stamp = tuple[str, int, int]  # file, size, time of change


@dataclass(frozen=True)
class _Source:
    stamp: Stamp
    digest: str
    imports: tuple[tuple[str, str | None], ...]  # (module, member or None)


def closure(roots: Iterable[str]) -> dict[str, str]:
    """The modules that `roots` run, themselves included, each with the hash of its code.

    Followed are imports of first-party modules: this package, plug-ins and their neighbours,
    and the packages of the roots. A package's `__init__` counts where a name is imported from
    it, and never pulls in the package's members.
    """
    return dict(_closure(tuple(sorted(set(roots)))))


def stamps(modules: Iterable[str]) -> dict[str, Stamp]:
    """What the files of hashed modules looked like when they were read."""
    return {name: _source(path).stamp for name in modules if (path := _locate(name)) is not None}


def edited(code: Mapping[str, str], seen: Mapping[str, Stamp]) -> str | None:
    """The first module whose code is no longer that of the hashes `code`, or None.

    Only a file that looks different from when it was `seen` is read again.
    """
    for name, stamp in seen.items():
        path = Path(stamp[0])
        if not path.is_file() or (_stamp(path) != stamp and _read(path).digest != code[name]):
            return name
    return None


@cache
def _closure(roots: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        path = _locate(name)
        if path is None:
            if name in roots:
                raise ValueError(f"the source of module {name!r} is not found; put it in a plug-in file")
            continue
        source = _source(path)
        found[name] = source.digest
        waiting += _followed(name, source, plugins.folders())
    return dict(sorted(found.items()))


@cache  # closures have most modules in common; those of plug-ins are found in `folders`
def _followed(name: str, source: _Source, folders: tuple[Path, ...]) -> tuple[str, ...]:
    package = name if Path(source.stamp[0]).name == "__init__.py" else name.rpartition(".")[0]
    targets = []
    for module, member in source.imports:
        target = importlib.util.resolve_name(module, package) if module.startswith(".") else module
        if _first_party(target, name):
            inner = f"{target}.{member}"
            targets.append(inner if member and _locate(inner) else target)
    return tuple(targets)


def _first_party(name: str, importer: str) -> bool:
    top, home = name.partition(".")[0], importer.partition(".")[0]
    if top in (_PACKAGE, home):
        return True
    # A plug-in sees its neighbours; the package itself sees none, whatever they are called.
    return home != _PACKAGE and top not in sys.stdlib_module_names and _neighbour(top) is not None


def _locate(name: str) -> Path | None:
    return plugins.source(name) or _find(name, plugins.folders())


@cache
def _find(name: str, folders: tuple[Path, ...]) -> Path | None:
    top, _, rest = name.partition(".")
    base = _neighbour(top) or _installed(top)
    if base is None:
        return None
    if not rest:
        return base if base.is_file() else None
    if base.name != "__init__.py":
        return None
    return _module_file(base.parent / rest.replace(".", "/"))


def _neighbour(top: str) -> Path | None:
    return next(filter(None, (_module_file(folder / top) for folder in plugins.folders())), None)


@cache
def _installed(top: str) -> Path | None:
    if top == _PACKAGE:
        return Path(__file__).parents[1] / "__init__.py"
    if top == "__main__":
        return None
    spec = importlib.util.find_spec(top)
    if spec is not None and spec.origin is None and spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)), "__init__.py")  # absent: a namespace
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


@cache
def _module_file(base: Path) -> Path | None:
    for path in (base.with_name(f"{base.name}.py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _source(path: Path) -> _Source:
    return _read(path)


def _stamp(path: Path) -> Stamp:
    info = path.stat()
    return str(path), info.st_size, info.st_mtime_ns


def _read(path: Path) -> _Source:
    stamp = _stamp(path)  # before the content, so that a later edit is seen
    tree = ast.parse(path.read_bytes(), str(path))
    imports = tuple(dict.fromkeys(_imports(tree)))
    parts: list[str] = []
    _normal(tree, parts.append)
    digest = hashlib.blake2b("".join(parts).encode(), digest_size=8).hexdigest()
    return _Source(stamp, digest, imports)


def _normal(node: object, emit: Callable[[str], None]) -> None:
    """Writes a tree without positions, docstrings and empty fields.

    Unlike `ast.dump` it does not depend on the fields that a version of Python adds.
    """
    if isinstance(node, list):
        for item in node:
            _normal(item, emit)
            emit(",")
    elif isinstance(node, ast.AST):
        emit(f"{type(node).__name__}(")
        for name in node._fields:
            value = getattr(node, name, None)
            if name == "body" and isinstance(value, list):
                value = _without_docstring(node, value)
            if name not in _SKIPPED and value is not None and value != []:
                emit(f"{name}=")
                _normal(value, emit)
        emit(")")
    else:
        emit(repr(node))


def _without_docstring(node: ast.AST, body: list[ast.stmt]) -> list[ast.stmt]:
    documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    if documented and body and isinstance(body[0], ast.Expr):
        value = body[0].value
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return body[1:]
    return body


def _imports(node: ast.AST) -> Iterator[tuple[str, str | None]]:
    """The imports among the statements below `node`, also inside functions."""
    if isinstance(node, ast.Import):
        yield from ((alias.name, None) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        yield from ((module, alias.name) for alias in node.names)
    for field in _BODIES:
        if field == "body" and isinstance(node, ast.If) and _type_checking(node.test):
            continue
        children = getattr(node, field, ())
        for child in children if isinstance(children, list) else ():
            yield from _imports(child)


def _type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"
