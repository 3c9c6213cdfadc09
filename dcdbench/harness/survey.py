"""What the store already knows about a plan, every stored file checked."""

from __future__ import annotations

__all__ = ["Listener", "settle", "settle_cached", "survey"]

from collections.abc import Callable

from dcdbench.harness import events
from dcdbench.harness.schedule import Schedule, State
from dcdbench.harness.stage import Stage
from dcdbench.harness.store import Record, Store

Listener = Callable[[events.Event], None]


def survey(schedule: Schedule, store: Store, retry_failed: bool, listen: Listener) -> None:
    """Settles the stages that the store has, and those that failed before.

    Damaged stages are told and moved aside, so that they are made again.

    Raises:
        ValueError: A parent is neither in the plan nor in the store.
    """
    listen(events.Planned(tuple(schedule.stages.values())))
    missing = []
    for stage in schedule.stages.values():
        record = _sound(stage, store, listen)
        if record is None:
            missing.append(stage)
        else:
            settle_cached(stage, record.status, schedule, listen)
    for stage in missing:
        _check_parents(stage, schedule, store)
        failure = None if retry_failed else store.failure(stage.key)
        if failure is not None and schedule.states[stage.key] == "pending":
            settle(stage, "failed", events.Failed(stage, failure, remembered=True), schedule, listen)


def settle(stage: Stage, state: State, event: events.Event, schedule: Schedule, listen: Listener) -> None:
    """Notes how a stage ended, tells it, and tells what can no longer be made for that."""
    ended = schedule.settle(stage.key, state)
    listen(event)
    for child in ended:
        reason = f"{stage.kind} {stage.label or stage.key} {state}"
        listen(events.Blocked(child, schedule.states[child.key], reason))


def settle_cached(stage: Stage, status: str, schedule: Schedule, listen: Listener) -> None:
    """Notes and tells that the store has a stage."""
    state: State = "diverged" if status == "diverged" else "cached"
    settle(stage, state, events.Cached(stage, status), schedule, listen)


def _sound(stage: Stage, store: Store, listen: Listener) -> Record | None:
    record, damage = store.inspect(stage.key)
    if record is not None or not (damage or (damage := store.verify(stage.key))):
        return record
    lock = store.lock(stage.key)
    if lock is None:
        return None  # another run is mending it
    try:
        # Looked at again under the lock: another run may have mended it by now.
        damage = store.verify(stage.key)
        if damage:
            store.quarantine(stage.key)
            listen(events.Damaged(stage, tuple(damage)))
        return store.get(stage.key)
    finally:
        lock.release()


def _check_parents(stage: Stage, schedule: Schedule, store: Store) -> None:
    for role, key in stage.parents.items():
        if key not in schedule.stages and store.get(key) is None:
            raise ValueError(f"{stage.label or stage.key}: its {role}, {key}, is not in the plan, nor stored")
