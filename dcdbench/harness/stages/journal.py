"""What a training notes as it goes: its statistics, its candidates, and which of them is the result."""

from __future__ import annotations

__all__ = ["Journal"]

import json
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from dcdbench.selection import Advantage, Comparison, advantage

POINTS = 100  # of the history, however long the training
TENSORS = ("samples", "terms", "weights", "last")


@dataclass
class Journal:
    """The notes of one training. They are saved and loaded with its state.

    Args:
        flops: Floating-point operations of one step, matrix products and convolutions.
        effort: How many candidates there are, of how many fakes, and what their comparison takes; see
            `selection.Effort`. Empty before the first step.
        history: Per point: the step, and the mean of each statistic over the steps since the point before
            that gave it.
        curve: Per candidate: images seen, and the energy distance of its fakes to held-out measurements.
        samples: Per candidate: its samples, by index.
        terms: Per candidate: the terms of its comparison with held-out measurements, by index and name.
        best: The index of the candidate with the least distance; None before the first finite one.
        weights: The weights of the best candidate.
        last: The weights of the last candidate.
    """

    flops: int | None = None
    effort: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    curve: list[dict[str, float]] = field(default_factory=list)
    samples: dict[str, Tensor] = field(default_factory=dict)
    terms: dict[str, Tensor] = field(default_factory=dict)
    best: int | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)
    last: dict[str, Tensor] = field(default_factory=dict)
    _sums: dict[str, float] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)

    def note(self, step: int, total: int, stats: dict[str, float]) -> None:
        """Takes in the statistics of a step."""
        for name, value in stats.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1
        if step * POINTS // total > (step - 1) * POINTS // total:
            self.history.append({"step": step} | {k: v / self._counts[k] for k, v in self._sums.items()})
            self._sums, self._counts = {}, {}

    def candidate(self, nimg: int, found: Comparison | None, x: Tensor, weights: dict[str, Tensor]) -> None:
        """Takes in a candidate; `found` is None where its samples are not finite."""
        index, distance = len(self.curve), found.distance if found else math.inf
        self.curve.append({"nimg": nimg, "distance": distance})
        self.samples[str(index)] = x
        self.last = {name: w.detach().cpu().clone() for name, w in weights.items()}
        if found is None or not math.isfinite(distance):  # finite samples may be too large to be compared
            return
        self.terms |= {f"{index}/points": found.points.cpu(), f"{index}/fakes": found.fakes.cpu()}
        if self.best is None or distance < self.curve[self.best]["distance"]:
            self.best, self.weights = index, {name: w.clone() for name, w in self.last.items()}

    def advantage(self) -> Advantage | None:
        """The advantage of the best candidate over the last; None where these are one, or one has failed."""
        last = len(self.curve) - 1
        if self.best in (None, last) or f"{last}/points" not in self.terms:
            return None
        assert self.best is not None
        return advantage(self._comparison(self.best), self._comparison(last), last)

    def _comparison(self, index: int) -> Comparison:
        points, fakes = (self.terms[f"{index}/{name}"] for name in ("points", "fakes"))
        return Comparison(self.curve[index]["distance"], points, fakes)

    @property
    def chosen(self) -> int | None:
        """The last candidate, unless the best one is better by more than the noise of their comparison."""
        last = len(self.curve) - 1
        if self.best is None or f"{last}/points" not in self.terms:  # the last one has no finite samples
            return self.best
        found = self.advantage()
        return self.best if found is not None and found.clear else last

    def chosen_weights(self) -> dict[str, Tensor]:
        """The weights of the chosen candidate."""
        return self.weights if self.chosen == self.best else self.last

    def result(self) -> dict[str, Any]:
        """What the record holds of the notes: numbers that are not finite become texts."""
        found = self.advantage()
        choice = {"best": self.best} | (asdict(found) if found else {})
        return {
            "curve": _plain(self.curve),
            "chosen": self.chosen,
            "choice": choice,
            "comparison": self.effort,
            "history": _plain(self.history),
        }

    def save(self, path: Path, groups: dict[str, dict[str, Tensor]]) -> None:
        """Writes the notes and groups of tensors into one file, aside first."""
        from safetensors.torch import save

        named = groups | {name: getattr(self, name) for name in TENSORS}
        flat = {f"{group}//{name}": t.contiguous() for group, ts in named.items() for name, t in ts.items()}
        notes = {
            k: getattr(self, k) for k in ("flops", "effort", "history", "curve", "best", "_sums", "_counts")
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".aside")
        aside.write_bytes(save(flat, {"notes": json.dumps(notes)}))
        os.replace(aside, path)

    def load(self, path: Path) -> dict[str, dict[str, Tensor]]:
        """Reads what `save` wrote, the groups of tensors as the answer."""
        from safetensors import safe_open

        groups: dict[str, dict[str, Tensor]] = {name: {} for name in TENSORS}
        with safe_open(path, "pt") as file:
            for name, value in json.loads(file.metadata()["notes"]).items():
                setattr(self, name, value)
            for key in file.keys():
                group, _, name = key.partition("//")
                groups.setdefault(group, {})[name] = file.get_tensor(key)
        for name in TENSORS:
            setattr(self, name, groups.pop(name))
        return groups


def _plain(rows: list[dict[str, float]]) -> list[dict[str, float | str]]:
    return [{k: v if math.isfinite(v) else str(v) for k, v in row.items()} for row in rows]
