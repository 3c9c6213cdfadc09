"""The layers: imports point down, families do not know each other, the harness names no component.

Imports are read from the source, those inside functions and those for type checkers included.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FAMILIES = ("datasets", "distillers", "metrics", "networks", "noises", "objectives", "operators")
LAYERS = (
    ("batch", "registry", "streams"),  # no domain
    ("problem", "protocols"),  # the nouns
    # pure mathematics
    ("adam", "analytic", "diffusion", "linalg", "masked", "prediction", "products", "selection"),
    FAMILIES,  # siblings: each imports itself and what is below
    ("classifier", "phases", "restorers", "samplers", "training"),
    ("methods",),
    ("harness",),
    ("commands",),
    ("__main__", "cli"),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
SHELL = ("harness", "commands", "cli", "__main__")  # what names no component
THEORY = LEVEL["operators"]  # the highest layer that the theory may import

# Imports of a component's file by the harness, each for something in it that is no component.
EXCEPTIONS = {
    ("dcdbench.harness.stages.candidates", "dcdbench.metrics.measurement"): (
        "the comparison in measurement space chooses checkpoints; it is a function, and no suite selects it"
    ),
}
# Names of components that are words of the harness too, where they mean something else.
HOMONYMS = {
    "array": "a type of JSON",
    "deepinv": "an optional package, in a report of versions",
    "folder": "a place of files, in a report",
    "identity": "what a key is the hash of, in a record",
    "letters": "marks of methods that are not told apart, in tables",
    "measurement": "a kind of stage, and a role of parents",
    "teacher": "a kind of stage, and a side of a comparison",
}


def sources() -> dict[str, str]:
    """The text of each module of the two packages, by its dotted name."""
    return {
        _dotted(path): path.read_text(encoding="utf-8")
        for package in ("dcdbench", "theory")
        for path in (ROOT / package).rglob("*.py")
    }


def _dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def nodes(text: str) -> tuple[ast.AST, ...]:
    """The nodes of a module's tree."""
    return tuple(ast.walk(ast.parse(text)))


def imports(name: str, texts: dict[str, str]) -> set[str]:
    """The first-party modules that a module imports."""
    found = set()
    for node in nodes(texts[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}: imports are absolute"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & texts.keys()) or {str(node.module)}
    return {target for target in found if target.partition(".")[0] in ("dcdbench", "theory")}


def registered(text: str) -> set[str]:
    """The names under which a module registers components."""
    return {
        call.args[0].value
        for node in nodes(text)
        if isinstance(node, ast.ClassDef)
        for call in node.decorator_list
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "register"
        if isinstance(call.args[0], ast.Constant)
    }


def part(name: str) -> str:
    """The part of `dcdbench` that a module belongs to: `metrics` for `dcdbench.metrics.w2`."""
    return f"{name}.".split(".")[1]


def upward(texts: dict[str, str]) -> Iterator[str]:
    """Imports that do not point down, or that reach a sibling."""
    for name in texts:
        for target in sorted(imports(name, texts)):
            if name.startswith("theory"):
                allowed = target.startswith("theory") or LEVEL.get(part(target), THEORY + 1) <= THEORY
            elif target.startswith("theory"):
                allowed = False
            else:
                allowed = target == "dcdbench" or _below(part(name), part(target))
            if not allowed:
                yield f"{name} imports {target}"


def _below(importer: str, target: str) -> bool:
    if importer in FAMILIES and target in FAMILIES:
        return importer == target
    return LEVEL[target] <= LEVEL[importer]


def unplaced(texts: dict[str, str]) -> Iterator[str]:
    """Modules that are in no layer."""
    for name in texts:
        if name.startswith("dcdbench.") and part(name) not in LEVEL:
            yield f"{name} is in no layer"


def heavy_stages(texts: dict[str, str]) -> Iterator[str]:
    """Stages whose code reaches the harness, an edit of which would then recompute them."""
    stages, light = "dcdbench.harness.stages", {"dcdbench.harness.context", "dcdbench.harness.operations"}
    for name in texts:
        if name.startswith(stages):
            for target in sorted(imports(name, texts)):
                if part(target) in SHELL and target not in light and not target.startswith(stages):
                    yield f"{name} imports {target}"


def named(texts: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Where the harness imports a component's file, or holds a component's name as a text."""
    files = {name: found for name in texts if (found := registered(texts[name]))}
    names = set().union(*files.values())
    for name in texts:
        if part(name) not in SHELL or not name.startswith("dcdbench."):
            continue
        yield from ((name, target) for target in sorted(imports(name, texts) & files.keys()))
        for node in nodes(texts[name]):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names:
                yield name, node.value


def misnamed(texts: dict[str, str]) -> Iterator[str]:
    """The same, without the exceptions."""
    for name, what in named(texts):
        if (name, what) not in EXCEPTIONS and what not in HOMONYMS:
            yield f"{name} names {what}"


Rule = Callable[[dict[str, str]], Iterator[str]]

RULES: tuple[Rule, ...] = (upward, unplaced, heavy_stages, misnamed)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_layers_hold(rule: Rule) -> None:
    assert not list(rule(sources()))


def test_exceptions_are_needed() -> None:
    found = set(named(sources()))
    assert set(EXCEPTIONS) <= found
    assert set(HOMONYMS) <= {what for _, what in found}


def test_components_are_found() -> None:
    """Control: were none found, nothing could be misnamed."""
    names = set().union(*map(registered, sources().values()))
    assert {"inpainting", "sid", "dcd", "w2"} <= names


WRONG = [
    (upward, "dcdbench.objectives.x", "from dcdbench.networks.mlp import MLP"),
    (upward, "dcdbench.objectives.x", "from dcdbench.networks import registry"),
    (upward, "dcdbench.metrics.x", "def f():\n    import dcdbench.datasets.digits"),
    (upward, "dcdbench.streams", "from dcdbench.problem import Problem"),
    (upward, "dcdbench.streams", "from dcdbench import training"),
    (upward, "dcdbench.linalg", "if TYPE_CHECKING:\n    from dcdbench.operators.identity import Identity"),
    (upward, "dcdbench.training", "import dcdbench.methods.dcd"),
    (upward, "dcdbench.methods.x", "from dcdbench.harness.store import Store"),
    (upward, "dcdbench.harness.x", "from dcdbench.commands.run import command"),
    (upward, "dcdbench.commands.x", "from theory.claim import decide"),
    (upward, "theory.claims.x", "from dcdbench.phases import Teach"),
    (upward, "theory.claims.x", "from dcdbench.harness.suitefile import load_suite"),
    (unplaced, "dcdbench.helpers", ""),
    (heavy_stages, "dcdbench.harness.stages.x", "from dcdbench.harness.store import Store"),
    (misnamed, "dcdbench.harness.x", "from dcdbench.distillers.sid import SiD"),
    (misnamed, "dcdbench.harness.x", "def f(row):\n    return row.method == 'dcd'"),
    (misnamed, "dcdbench.commands.x", "DEFAULTS = {'metrics': ['sliced_w2']}"),
]


@pytest.mark.parametrize(("rule", "module", "text"), WRONG)
def test_a_breach_is_seen(rule: Rule, module: str, text: str) -> None:
    """Controls: one line more, and the rule says which."""
    breaches = list(rule(sources() | {module: text}))
    assert breaches and all(breach.startswith(module) for breach in breaches)


RIGHT = [
    ("dcdbench.methods.x", "from dcdbench.methods.dcd import DCD\nfrom dcdbench.distillers.sid import SiD"),
    ("dcdbench.metrics.x", "from dcdbench.metrics.w2 import W2\nfrom dcdbench.analytic import Gaussian"),
    ("dcdbench.harness.x", "from dcdbench.networks.edm import Preconditioned\nkind = 'student'"),
    ("theory.claims.x", "from theory.claim import Claim\nfrom dcdbench.distillers.sid import SiD"),
]


@pytest.mark.parametrize(("module", "text"), RIGHT)
def test_what_is_allowed_is_no_breach(module: str, text: str) -> None:
    assert not [breach for rule in RULES for breach in rule(sources() | {module: text})]
