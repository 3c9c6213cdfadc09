"""What may run next: the state of a plan, without processes and files."""

from __future__ import annotations

__all__ = ["Schedule", "State"]

import heapq
from collections.abc import Iterable
from typing import Literal

from dcdbench.harness.stage import Stage

State = Literal["pending", "cached", "done", "diverged", "failed", "blocked", "skipped", "interrupted"]
_GOOD = frozenset({"cached", "done"})
_BAD = frozenset({"failed", "diverged"})


class Schedule:
    """Stages that wait for their parents, and are handed out in the order of the plan.

    Args:
        stages: The plan, in any order; parents outside of it count as finished.
    """

    def __init__(self, stages: Iterable[Stage]) -> None:
        self.stages: dict[str, Stage] = {}
        for stage in stages:
            self.stages.setdefault(stage.key, stage)
        self.states: dict[str, State] = dict.fromkeys(self.stages, "pending")
        self._order = {key: number for number, key in enumerate(self.stages)}
        self._children: dict[str, list[str]] = {key: [] for key in self.stages}
        self._missing: dict[str, int] = {}
        for key, stage in self.stages.items():
            inside = {parent for parent in stage.parents.values() if parent in self.stages}
            self._missing[key] = len(inside)
            for parent in inside:
                self._children[parent].append(key)
        self._ready = [number for key, number in self._order.items() if not self._missing[key]]
        self._keys = list(self.stages)

    def take(self) -> Stage | None:
        """The next stage that can run; None if all wait. It is handed out once."""
        while self._ready:
            key = self._keys[heapq.heappop(self._ready)]
            if self.states[key] == "pending":
                return self.stages[key]
        return None

    def pending(self) -> list[Stage]:
        """The stages that have not ended, those that run among them."""
        return [stage for key, stage in self.stages.items() if self.states[key] == "pending"]

    def give_back(self, stage: Stage) -> None:
        """Lets a stage be taken again."""
        heapq.heappush(self._ready, self._order[stage.key])

    def settle(self, key: str, state: State) -> list[Stage]:
        """Notes how a stage ended, and returns the stages that can no longer be made."""
        self.states[key] = state
        if state in _GOOD:
            self._release(key)
        if state not in _BAD:
            return []
        return self._end(key, "skipped" if state == "diverged" else "blocked")

    def _release(self, key: str) -> None:
        for child in self._children[key]:
            self._missing[child] -= 1
            if not self._missing[child] and self.states[child] == "pending":
                heapq.heappush(self._ready, self._order[child])

    def _end(self, key: str, state: State) -> list[Stage]:
        ended: list[Stage] = []
        waiting = list(self._children[key])
        while waiting:
            child = waiting.pop(0)
            if self.states[child] == "pending":
                self.states[child] = state
                ended.append(self.stages[child])
                waiting += self._children[child]
        return ended
