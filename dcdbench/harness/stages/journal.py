"""What a training notes as it goes: its statistics, its candidates, and the best of them so far."""

from __future__ import annotations

__all__ = ["Journal"]

import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

POINTS = 100  # of the history, however long the training


@dataclass
class Journal:
    """The notes of one training. They are saved and loaded with its state.

    Args:
        flops: Floating-point operations of one step, matrix products and convolutions.
        history: Per point: the step, and the mean of each statistic over the steps since the point before
            that gave it.
        curve: Per candidate: images seen, and the distance of its corrupted samples to held-out measurements.
        samples: Per candidate: its samples, by index.
        best: The index of the candidate with the least distance; None before the first finite one.
        weights: Those of the best candidate.
    """

    flops: int | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    curve: list[dict[str, float]] = field(default_factory=list)
    samples: dict[str, Tensor] = field(default_factory=dict)
    best: int | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)
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

    def candidate(self, nimg: int, distance: float, x: Tensor, weights: dict[str, Tensor]) -> None:
        """Takes in a candidate; its weights are kept if it is the best so far."""
        index = len(self.curve)
        self.curve.append({"nimg": nimg, "distance": distance})
        self.samples[str(index)] = x
        if math.isfinite(distance) and (self.best is None or distance < self.curve[self.best]["distance"]):
            self.best = index
            self.weights = {name: w.detach().cpu().clone() for name, w in weights.items()}

    def result(self) -> dict[str, Any]:
        """What the record holds of the notes: numbers that are not finite become texts."""
        return {"curve": _plain(self.curve), "chosen": self.best, "history": _plain(self.history)}

    def save(self, path: Path, groups: dict[str, dict[str, Tensor]]) -> None:
        """Writes the notes and groups of tensors into one file, aside first."""
        from safetensors.torch import save

        named = groups | {"samples": self.samples, "weights": self.weights}
        flat = {f"{group}//{name}": t.contiguous() for group, ts in named.items() for name, t in ts.items()}
        notes = {k: getattr(self, k) for k in ("flops", "history", "curve", "best", "_sums", "_counts")}
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".aside")
        aside.write_bytes(save(flat, {"notes": json.dumps(notes)}))
        os.replace(aside, path)

    def load(self, path: Path) -> dict[str, dict[str, Tensor]]:
        """Reads what `save` wrote, the groups of tensors as the answer."""
        from safetensors import safe_open

        groups: dict[str, dict[str, Tensor]] = {"samples": {}, "weights": {}}
        with safe_open(path, "pt") as file:
            for name, value in json.loads(file.metadata()["notes"]).items():
                setattr(self, name, value)
            for key in file.keys():
                group, _, name = key.partition("//")
                groups.setdefault(group, {})[name] = file.get_tensor(key)
        self.samples, self.weights = groups.pop("samples"), groups.pop("weights")
        return groups


def _plain(rows: list[dict[str, float]]) -> list[dict[str, float | str]]:
    return [{k: v if math.isfinite(v) else str(v) for k, v in row.items()} for row in rows]
