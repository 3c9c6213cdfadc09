"""The layout of a suite file: which keys stand where, and what they become."""

from __future__ import annotations

__all__ = ["CLAIM_KEYS", "SUITE_KEYS", "TASK_KEYS", "build", "load_suite"]

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dcdbench.harness import include, yamlfile
from dcdbench.harness import plugins as loader
from dcdbench.harness.board import Claim
from dcdbench.harness.claimed import claim_names
from dcdbench.harness.grid import expand_grids
from dcdbench.harness.mistakes import ABSENT, Keys, Mistake, SuiteError
from dcdbench.harness.resolve import Desk, component, fields_of, plain, record
from dcdbench.harness.suite import Suite, Task, matching

SUITE_KEYS = [
    "version",
    "name",
    "include",
    "seeds",
    "network",
    "budget",
    "tasks",
    "methods",
    "controls",
    "reference",
    "equal_flops",
    "metrics",
    "primary",
    "claims",
]  # the keys of a file, in the order in which they are usually written
TASK_KEYS = [key for key in fields_of(Task) if key != "name"]
CLAIM_KEYS = list(fields_of(Claim))


def load_suite(path: str | Path, overrides: Sequence[str] = (), plugins: Sequence[str | Path] = ()) -> Suite:
    """Reads a suite file.

    Args:
        path: The file.
        overrides: `a.b=value` texts that replace values of the file; values are YAML.
        plugins: Files of components to import first.

    Raises:
        SuiteError: With every mistake in the file.
    """
    loader.load([Path(plugin) for plugin in plugins])
    return build(Path(path), overrides)


def build(path: Path, overrides: Sequence[str] = ()) -> Suite:
    """The suite in a file, or a `SuiteError` with every mistake."""
    document = include.read(path)
    desk = Desk(path.parent, document.lines, document.files, mistakes=document.mistakes)
    top = document.value
    if not isinstance(top, dict):
        raise SuiteError(path, [Mistake("", "a suite is a mapping with the keys " + ", ".join(SUITE_KEYS))])
    for override in overrides:
        _override(desk, top, override)
    suite = _Builder(desk, path, top, document.left_out).suite()
    if desk.mistakes:
        raise SuiteError(path, sorted(desk.mistakes, key=_place))
    return suite


def _place(mistake: Mistake) -> tuple[str, int]:
    """Where a mistake stands in a list of them: those of the suite file itself come first."""
    return str(mistake.file or ""), mistake.line or 0


def _override(desk: Desk, top: dict[str, Any], text: str) -> None:
    """Sets one value; a bare name on the way becomes `{name: {}}`."""
    name, equals, value = text.partition("=")
    parts = name.strip().split(".")
    if not equals or not all(parts):
        desk.mistakes.append(Mistake(text, "expected path=value", line=0))
        return
    at: Any = top
    keys: Keys = ()
    for i, part in enumerate(parts):
        key = _step(desk, at, keys, part, last=i == len(parts) - 1)
        if key is None:
            return
        keys = (*keys, key)
        if i < len(parts) - 1:
            at = _enter(at, key, parts[i + 1])
    at[keys[-1]] = yamlfile.value_of(value)
    desk.lines = {path: line for path, line in desk.lines.items() if path[: len(keys)] != keys}
    desk.files = {path: file for path, file in desk.files.items() if path[: len(keys)] != keys}
    desk.lines[keys] = 0


def _step(desk: Desk, at: Any, keys: Keys, part: str, *, last: bool) -> str | int | None:
    """The key that `part` names in `at`, or None with the mistake noted."""
    if isinstance(at, dict):
        if keys in (("tasks",), ("methods",)) and part not in at and not last:
            desk.lines[(*keys, part)] = 0
            desk.wrong((*keys, part), f"--set finds no such name; there are: {', '.join(at)}", known=at)
            return None
        return part
    if isinstance(at, list) and part.isdigit() and int(part) < len(at):
        return int(part)
    desk.lines[(*keys, part)] = 0
    desk.wrong((*keys, part), "--set finds no mapping or list entry here", at)
    return None


def _enter(at: Any, key: str | int, following: str) -> Any:
    """What is under `key`, made a mapping where it is empty or the bare name `following`."""
    inside = at[key] if isinstance(key, int) else at.get(key)
    if inside is None or inside == following:
        inside = at[key] = {} if inside is None else {following: {}}
    return inside


class _Builder:
    """Builds a suite from its mapping, section by section; mistakes go to the desk."""

    def __init__(self, desk: Desk, path: Path, top: dict[str, Any], left_out: Mapping[str, set[str]]) -> None:
        self.desk, self.path, self.top, self.left_out = desk, path, top, left_out

    def suite(self) -> Suite:
        for key in self.top:
            if key not in SUITE_KEYS:
                self.desk.unknown((key,), SUITE_KEYS)
        if "include" in self.top:  # files have been included by now
            self.desk.wrong(("include",), "is read from files alone: --set replaces values of what they give")
        if (version := self.top.get("version", 1)) != 1 or isinstance(version, bool):
            self.desk.wrong(("version",), "this dcdbench reads version 1 of suite files", version)
        package = self.package()
        if package and not {"tasks", "methods", "metrics"} & self.top.keys():
            return Suite(self.name(), self.path, self.seeds(), {}, {}, {}, (), package=package)
        tasks = self.members("tasks", self.task)
        methods = self.members("methods", lambda keys, spec: component(self.desk, keys, spec, "methods"))
        metrics = self.metrics()
        values = _values(metrics)
        self.own_primary(tasks, values)
        return Suite(
            name=self.name(),
            path=self.path,
            seeds=self.seeds(),
            tasks=tasks,
            methods=methods,
            metrics={name: metric for name, metric in metrics.items() if metric is not None},
            primary=self.primary(values),
            claims=self.claims(list(tasks), list(methods), list(values)),
            package=package,
            reference=self.reference(tasks, methods),
            equal_flops=self.named("equal_flops", methods),
            controls=self.named("controls", methods),
        )

    def reference(self, tasks: Mapping[str, Any], methods: Mapping[str, Any]) -> Any:
        """The method whose operations the others are given; needed where a task asks for equal operations."""
        name = plain(self.desk, ("reference",), self.top.get("reference", ""), str)
        matched = [key for key, task in tasks.items() if task is not None and task.budget.match == "flops"]
        if name == "" and (matched or self.top.get("equal_flops")):
            keys: Keys = ("tasks", matched[0]) if matched else ("equal_flops",)
            what = "a budget with match: flops" if matched else "equal_flops"
            message = f"{what} needs `reference`, the name of a method whose operations others are given"
            self.desk.wrong(keys, message, known=methods)
        elif name and name not in methods:
            self.no_such(("reference",), "method", name, methods)
        return methods.get(name or "")

    def named(self, key: str, methods: Mapping[str, Any]) -> tuple[str, ...]:
        """The methods that a key lists: by name, by pattern, or all variants of a grid."""
        given = self.top.get(key, [])
        names = plain(self.desk, (key,), [given] if isinstance(given, str) else given, tuple[str, ...]) or ()
        found: dict[str, None] = {}
        for i, name in enumerate(names):
            matches = matching(name, methods)
            if not matches and methods:
                self.no_such((key, i), "method", name, methods)
            found |= dict.fromkeys(matches)
        return tuple(name for name in methods if name in found)

    def no_such(self, keys: Keys, kind: str, name: str, known: Iterable[str]) -> None:
        """Notes a name of nothing that the suite has."""
        message = f"no such {kind}; there are: {', '.join(known)}"
        if name in self.left_out.get(f"{kind}s", ()):
            message = f"names a {kind} that null leaves out: give `{keys[0]}` without it"
        self.desk.wrong(keys, message, name, known)

    def name(self) -> str:
        name = plain(self.desk, ("name",), self.top.get("name", self.path.stem), str)
        if name is not None and (not name.strip() or "/" in name or name.startswith(".")):
            self.desk.wrong(("name",), "a name is a text without '/' and does not begin with '.'", name)
        return name or ""

    def seeds(self) -> tuple[int, ...]:
        given = self.top.get("seeds", [0])
        seeds = plain(self.desk, ("seeds",), [given] if isinstance(given, int) else given, tuple[int, ...])
        if seeds is None:
            return ()
        if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
            self.desk.wrong(("seeds",), "expected different integers >= 0, at least one", given)
        return tuple(seeds)

    def members(self, section: str, make: Callable[[Keys, Any], Any]) -> dict[str, Any]:
        """The tasks, or the methods, by name; a broken one is None, so that its name is still known."""
        given = self.top.get(section)
        if not isinstance(given, dict) or not given:
            message = f"a suite needs {section}: a mapping from names to specs, with at least one"
            self.desk.wrong((section,), message, self.top.get(section, ABSENT))
            return {}
        for name in given:
            if not name.strip() or set(name) & set("/[]*?"):
                self.desk.wrong((section, name), "a name is a text without any of / [ ] * ?")
        specs = expand_grids(self.desk, (section,), given)
        return {name: None if spec is ABSENT else make((section, name), spec) for name, spec in specs.items()}

    def task(self, keys: Keys, spec: Any) -> Task | None:
        if not isinstance(spec, Mapping):
            self.desk.wrong(keys, "a task is a mapping with the keys " + ", ".join(TASK_KEYS), spec)
            return None
        for key in [key for key in spec if key not in TASK_KEYS]:
            self.desk.unknown((*keys, key), TASK_KEYS)
        merged = {key: value for key, value in spec.items() if key in TASK_KEYS}
        for key in ("network", "budget"):
            self.inherit(keys, merged, key)
        made: Task | None = record(self.desk, keys, {"name": str(keys[-1]), **merged}, Task)
        return made

    def inherit(self, keys: Keys, task: dict[str, Any], key: str) -> None:
        """A suite's default goes to the tasks that give none; budgets merge field by field."""
        default = self.top.get(key)
        if isinstance(own := task.get(key), Mapping) and key == "budget" and isinstance(default, Mapping):
            task[key] = {**default, **own}
            for name in set(default) - set(own):
                self.desk.aliases[(*keys, key, name)] = (key, name)
        elif key not in task and key in self.top:
            task[key] = default
            self.desk.aliases[(*keys, key)] = (key,)

    def metrics(self) -> dict[str, Any]:
        given = self.top.get("metrics")
        if not isinstance(given, list) or not given:
            message = "a suite needs metrics: a list of names or {name: {field: value}}, at least one"
            self.desk.wrong(("metrics",), message, self.top.get("metrics", ABSENT))
            return {}
        made: dict[str, Any] = {}
        for i, spec in enumerate(given):
            metric = component(self.desk, ("metrics", i), spec, "metrics")
            name = next(iter(spec), "") if isinstance(spec, dict) else str(spec)
            if name in made:
                self.desk.wrong(("metrics", i), "the metric stands twice", name)
                continue
            for value in set(_values({name: metric})) & set(_values(made)):
                self.desk.wrong(("metrics", i), "another metric gives a value of this name too", value)
            made[name] = metric
        return made

    def primary(self, values: dict[str, str]) -> tuple[str, ...]:
        """The primary values; the first two that have a better direction where the file gives none."""
        if "primary" not in self.top:
            return tuple(_ranked(values)[:2])
        given = self.top["primary"]
        names = plain(self.desk, ("primary",), [given] if isinstance(given, str) else given, tuple[str, ...])
        self.known(("primary",), names or (), values)
        return tuple(names or ())

    def own_primary(self, tasks: dict[str, Any], values: dict[str, str]) -> None:
        """Checks the primary values of the tasks that name their own."""
        for name, task in tasks.items():
            if task is not None and task.primary is not None:
                self.known(("tasks", name, "primary"), task.primary, values)

    def known(self, keys: Keys, names: Sequence[str], values: dict[str, str]) -> None:
        """Notes each name of no value that can be ranked, where there are values at all."""
        ranked = _ranked(values)
        for i, name in enumerate(names):
            if values and name not in ranked:
                message = (
                    f"no metric gives a value of this name that can be ranked; there are: {', '.join(ranked)}"
                )
                self.desk.wrong((*keys, i), message, name, ranked)

    def package(self) -> str:
        """The package that `claims` names, instead of claims of the suite's own."""
        given = self.top.get("claims")
        if not isinstance(given, Mapping):
            return ""
        for key in [key for key in given if key != "package"]:
            self.desk.unknown(("claims", key), ["package"])
        name = plain(self.desk, ("claims", "package"), given.get("package", ABSENT), str)
        try:
            return name if name and claim_names(name) else ""
        except ValueError as error:
            self.desk.wrong(("claims", "package"), str(error), name)
            return ""

    def claims(self, tasks: list[str], methods: list[str], values: list[str]) -> tuple[Claim, ...]:
        given = self.top.get("claims") or []
        if isinstance(given, Mapping):
            return ()  # `package` has read it
        if not isinstance(given, list):
            self.desk.wrong(("claims",), "expected a list of claims, or {package: NAME}", given)
            return ()
        made = [record(self.desk, ("claims", i), spec, Claim) for i, spec in enumerate(given)]
        return tuple(
            self.claim(("claims", i), claim, tasks, methods, values) for i, claim in enumerate(made) if claim
        )

    def claim(
        self, keys: Keys, claim: Claim, tasks: list[str], methods: list[str], values: list[str]
    ) -> Claim:
        """Checks the names in a claim, and puts a grid's variants for the grid's own name."""
        for field, known in (("better", methods), ("than", methods), ("metric", values)):
            if known and (name := getattr(claim, field)) not in known:
                kind = "value of a metric" if field == "metric" else "method"
                self.no_such((*keys, field), kind, name, known)
        if claim.tasks is None or not tasks:
            return claim
        found: list[str] = []
        for i, name in enumerate(claim.tasks):
            if not (matches := matching(name, tasks)):
                self.no_such((*keys, "tasks", i), "task", name, tasks)
            found += [match for match in matches if match not in found]
        return Claim(claim.name, claim.better, claim.than, claim.metric, tuple(found), claim.alpha)


def _values(metrics: Mapping[str, Any]) -> dict[str, str]:
    """The names of the values that metrics give, with their directions."""
    return {
        name: direction
        for metric in metrics.values()
        if metric is not None
        for name, (direction, *_) in metric.values.items()
    }


def _ranked(values: Mapping[str, str]) -> list[str]:
    """The names of the values that have a better direction."""
    return [name for name, direction in values.items() if direction != "neither"]
