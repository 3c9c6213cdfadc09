"""A stored stage, or a cell, in words: parameters, parents, results, curves, provenance."""

from __future__ import annotations

__all__ = ["cell_lines", "document", "regret_of", "sparkline", "stage_lines"]

import math
from collections.abc import Iterator, Mapping
from typing import Any

from dcdbench.harness.census import state_of
from dcdbench.harness.lookup import Place, labels, places
from dcdbench.harness.store import Store

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 60  # points of a sparkline
# Told elsewhere.
DROP = ("curve", "history", "chosen", "choice", "reason", "address", "regret", "scores", "skipped")


def document(store: Store, key: str) -> dict[str, Any]:
    """Everything known of a stage, as JSON."""
    record, failure = store.get(key), store.failure(key)
    return {
        "key": key,
        "label": labels(store).get(key, ""),
        "used_by": [place.label for place in _users(store, key)],
        "record": dict(vars(record)) if record else None,
        "receipt": store.receipt(key),
        "failure": dict(vars(failure)) if failure and not record else None,
        "regret": regret_of(store, key),
    }


def stage_lines(store: Store, key: str) -> Iterator[str]:
    """A stage for a reader."""
    record, failure = store.get(key), store.failure(key)
    state = record.status if record else "failed" if failure else "missing"
    yield f"{key}: {state}"
    if label := labels(store).get(key):
        yield f"  {label}"
    if users := _users(store, key):
        yield f"  used by {_few([place.label for place in users])}"
    identity = record.identity if record else _planned(store, key)
    yield from _identity(identity)
    if record:
        yield from _result(store, key, record.result, record.status)
        yield from _receipt(store.receipt(key))
        yield from (f"file {name}: {entry['bytes']} bytes" for name, entry in record.files.items())
    elif failure:
        yield f"{failure.kind}: {failure.text}"
        yield from _indented(failure.detail)
        if failure.log:
            yield "log"
            yield from _indented(failure.log)
    else:
        yield "not in the store; `dcdbench why` says what it is nearest to"


def cell_lines(store: Store, place: Place) -> Iterator[str]:
    """A cell for a reader: its stages, its scores."""
    state = state_of(store, place)
    yield f"{place.suite}: {place.label}: {state.status}"
    if state.reason:
        yield f"  {state.reason}"
    for role, key in place.chain.items():
        record, receipt = store.get(key), store.receipt(key)
        seconds = f"{receipt.get('seconds', math.nan):9.2f} s" if record else "        - "
        status = record.status if record else state.status if key == state.key else "not made"
        yield f"  {role:<12} {key:<30} {status:<9}{seconds}"
    record = store.get(place.stages["scores"]) if place.stages else None
    if record is None:
        return
    floor = store.get(place.stages["floor"]) if "floor" in place.stages else None
    yield from _scores(record.result, floor.result if floor else {})


def regret_of(store: Store, key: str) -> dict[str, list[Any]]:
    """The clean scores of a training's candidates, where a stage has scored them after the fact."""
    for place in places(store):
        if place.trained and place.trained[-1] == key:
            record = store.get(place.stages["scores"])
            if record is not None and record.result.get("regret"):
                found: dict[str, list[Any]] = record.result["regret"]
                return found
    return {}


def sparkline(values: list[Any]) -> str:
    """Numbers as a line of blocks, in log scale where they are positive and span a decade."""
    finite = [v for v in values if isinstance(v, int | float) and math.isfinite(v)]
    if not finite:
        return ""
    step = max(1, math.ceil(len(values) / WIDTH))
    thin = values[::step]
    log = min(finite) > 0 and max(finite) > 10 * min(finite)
    low, high = (math.log(v) if log else v for v in (min(finite), max(finite)))

    def block(value: Any) -> str:
        if not isinstance(value, int | float) or not math.isfinite(value):
            return "!"
        share = ((math.log(value) if log else value) - low) / (high - low) if high > low else 0.0
        return BLOCKS[round(share * (len(BLOCKS) - 1))]

    return "".join(map(block, thin))


def number(value: Any) -> str:
    """Four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _users(store: Store, key: str) -> list[Place]:
    return [place for place in places(store) if key in place.stages.values() or key in place.trained]


def _planned(store: Store, key: str) -> dict[str, Any]:
    for name in store.runs():
        identity: dict[str, Any] | None = (store.run(name) or {}).get("stages", {}).get(key)
        if identity is not None:
            return identity
    return {}


def _identity(identity: Mapping[str, Any]) -> Iterator[str]:
    yield "parameters"
    yield from _tree(identity.get("params", {}), "  ")
    yield f"  seed: {identity.get('seed')}"
    if parents := identity.get("parents"):
        yield "parents"
        yield from (f"  {role}: {key}" for role, key in parents.items())
    if files := identity.get("files"):
        yield "files"
        yield from (f"  {name}: sha256 {digest[:16]}..." for name, digest in files.items())
    code = identity.get("code", {})
    yield f"code: {len(code)} modules ({_few(list(code), 3)}); `dcdbench why` lists them with their hashes"


def _tree(value: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, item in value.items():
        if name == "class":
            continue
        if isinstance(item, Mapping):
            yield f"{indent}{name}: {str(item.get('class', '')).rpartition(':')[2]}"
            yield from _tree(item, indent + "  ")
        elif isinstance(item, list) and any(isinstance(entry, Mapping) for entry in item):
            yield f"{indent}{name}:"
            for entry in item:
                yield f"{indent}  - {str(entry.get('class', '')).rpartition(':')[2]}"
                yield from _tree(entry, indent + "    ")
        else:
            yield f"{indent}{name}: {'none' if item is None else item}"


def _result(store: Store, key: str, result: Mapping[str, Any], status: str) -> Iterator[str]:
    if status == "diverged":
        yield f"diverged: {result.get('reason')}"
        yield f"  at the address {result.get('address')}; to see it happen again: dcdbench replay {key}"
    if plain := {name: value for name, value in result.items() if name not in DROP}:
        yield "result"
        yield from _tree(plain, "  ")
    if "scores" in result:
        yield from _scores(result, {})
    if result.get("curve"):
        yield from _curve(result, regret_of(store, key))
    if result.get("history"):
        yield from _history(result["history"])


def _scores(result: Mapping[str, Any], floor: Mapping[str, Any]) -> Iterator[str]:
    below = floor.get("scores", {})
    yield f"scores of {result.get('n')} samples" + (", and the floor: clean against clean" if below else "")
    for name, value in result.get("scores", {}).items():
        yield f"  {name:<24} {number(value):>12}" + (
            f"  (floor {number(below[name])})" if name in below else ""
        )
    for name, reason in result.get("skipped", {}).items():
        yield f"  {name:<24} {'n/a':>12}  {reason}"


def _curve(result: Mapping[str, Any], regret: Mapping[str, list[Any]]) -> Iterator[str]:
    """One line per checkpoint, the chosen one marked."""
    yield (
        "checkpoints: the last is the result, unless another is nearer to held-out measurements "
        "by more than noise"
    )
    yield (
        "  "
        + "".join(f"{name:>14}" for name in ("kimg", "distance", *regret))
        + ("   (clean scores, computed after the choice)" if regret else "")
    )
    for i, row in enumerate(result["curve"]):
        clean = [number(values[i]) if i < len(values) else "" for values in regret.values()]
        entries = [f"{row['nimg'] / 1000:.1f}", number(row["distance"]), *clean]
        mark = "  <- chosen" if i == result.get("chosen") else ""
        yield "  " + "".join(f"{entry:>14}" for entry in entries) + mark
    if "gain" in (choice := result.get("choice", {})):
        yield (
            f"  checkpoint {choice['best'] + 1} is nearer than the last by {number(choice['gain'])} ± "
            f"{number(choice['error'])}; it is chosen beyond {number(choice['threshold'])} standard errors"
        )


def _history(history: list[dict[str, Any]]) -> Iterator[str]:
    yield f"training, {history[0]['step']} to {history[-1]['step']} steps, each statistic from low to high"
    names = [name for name in dict.fromkeys(n for row in history for n in row) if name != "step"]
    for name in names:
        values = [row[name] for row in history if name in row]  # some are not taken at each step
        ends = [number(v) for v in (values[0], values[-1])]
        yield f"  {name:<24} {ends[0]:>10} {sparkline(values)} {ends[1]}"


def _receipt(receipt: Mapping[str, Any]) -> Iterator[str]:
    if not receipt:
        return
    yield "made"
    versions = ", ".join(f"{name} {version}" for name, version in receipt.get("versions", {}).items())
    entries = {
        name: receipt.get(name) for name in ("finished", "seconds", "threads", "device", "cpu", "machine")
    }
    entries |= {"peak memory": f"{receipt['peak_memory_mb']:.0f} MB"} if "peak_memory_mb" in receipt else {}
    entries |= {"commit": receipt.get("commit"), "versions": versions}
    entries |= receipt.get("cost", {})
    yield from (f"  {name}: {number(value)}" for name, value in entries.items() if value not in (None, ""))
    if log := str(receipt.get("log", "")).strip():
        yield "log"
        yield from _indented(log)


def _indented(text: str) -> Iterator[str]:
    yield from (f"  {line}" for line in text.rstrip().splitlines())


def _few(names: list[str], count: int = 4) -> str:
    more = len(names) - count
    return ", ".join(names[:count]) + (f" and {more} more" if more > 0 else "")
