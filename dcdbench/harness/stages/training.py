"""The stage that trains one phase: it saves as it goes, compares candidates along the way, and chooses.

The last candidate, whose learning rate has come to its end, is the result, unless another one is nearer to
held-out measurements by more than the noise of that comparison. All are kept as samples, for the regret of
the choice.
"""

from __future__ import annotations

__all__ = ["load", "run"]

import math
import time
from copy import deepcopy
from dataclasses import asdict
from functools import cached_property
from typing import Any

from torch import Tensor

from dcdbench.harness.context import Context, Interrupted, Outcome, Parent
from dcdbench.harness.operations import Operations, restoring
from dcdbench.harness.stages import data as data_stage
from dcdbench.harness.stages import measurement
from dcdbench.harness.stages.candidates import Candidates
from dcdbench.harness.stages.journal import Journal
from dcdbench.phases.start import on_clean
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import Phase
from dcdbench.selection import Effort
from dcdbench.training import Diverged, State, train

SAVE_SECONDS = 15.0  # unfinished work is saved this often; it does not change any number


def run(
    context: Context,
    phase: Phase,
    before: Phase | None,
    corruption: Corruption,
    shape: tuple[int, ...],
    checkpoints: int,
    device: str,
) -> Outcome:
    """Trains, compares at most `checkpoints` candidates along the way, and keeps the last or a better one.

    The phase starts from the result of the one `before` it.
    """
    return Run(context, phase, before, corruption, shape, checkpoints).outcome()


def load(parent: Parent, phase: Phase) -> Any:
    """The network that the stage, which ran `phase`, chose: on the CPU, without gradients."""
    net = phase.empty(tuple(parent.result["shape"]), parent.result["form"])
    net.load_state_dict(parent.tensors("weights"))
    return net.requires_grad_(False)


class Run:
    """One training, from scratch or from where it was cut off."""

    def __init__(
        self,
        context: Context,
        phase: Phase,
        before: Phase | None,
        corruption: Corruption,
        shape: tuple[int, ...],
        checkpoints: int,
    ) -> None:
        self.context, self.phase = context, phase
        self.problem = self._problem(corruption, shape).to(context.device)
        self.state, self.start_flops = self._start(self._parent(before))
        self.total = max(1, math.ceil(1000 * phase.kimg / phase.batch))
        self.checkpoints = checkpoints
        self.kept = frozenset(self._parts(checkpoints))  # after these steps a state is kept for a replay
        self.candidates = Candidates(phase, self.problem, context.stream, context.device)
        self.saved = context.scratch / "state.safetensors"
        self.journal = Journal()
        self.before = clone(self.state.tensors())

    def _problem(self, corruption: Corruption, shape: tuple[int, ...]) -> Problem:
        problem = measurement.problem(self.context.parents["measurement"], corruption, shape)
        if self.phase.needs_clean:
            return on_clean(problem, data_stage.load(self.context.parents["data"]).train)
        return problem

    def _parent(self, before: Phase | None) -> Any:
        if before is None:
            return None
        return load(self.context.parents["trained"], before).to(self.context.device)

    def _start(self, parent: Any) -> tuple[State, int]:
        """The state before the first step, and the operations that it took.

        A restoration is not counted while it is made: counting would take as long as its small operations.
        """
        stream, restorer = self.context.stream / "init", getattr(self.phase, "restorer", None)
        known = restoring(restorer, parent, self.problem) if restorer is not None else None
        if known is not None:
            return self.phase.init(self.problem, parent, stream), known
        with Operations() as counter:
            state: State = self.phase.init(self.problem, parent, stream)
        return state, counter.total

    def outcome(self) -> Outcome:
        """Trains to the end of the budget, or until it diverges."""
        if self.saved.exists():
            self._resume()
        try:
            self._train()
        except Diverged as end:
            return self._diverged(end)
        except Interrupted:
            self._save()
            raise
        return self._done()

    def _train(self) -> None:
        last = time.monotonic()
        steps = train(self.phase, self.problem, self.state, self.context.stream / "step")
        while self.state.step < self.total:
            if self.journal.flops is None:
                self.journal.flops = self._flops()
                self.journal.effort = asdict(self._effort())
            stats = next(steps)
            self.journal.note(self.state.step, self.total, stats)
            while (
                len(self.journal.curve) < len(self.marks)
                and self.state.step >= self.marks[len(self.journal.curve)]
            ):
                self._evaluate()
            if self.state.step in self.kept:
                self.before = clone(self.state.tensors())
            self.context.tick(self.state.step / self.total, f"{self.state.nimg / 1000:.0f} kimg")
            if time.monotonic() - last > SAVE_SECONDS:
                self._save()
                last = time.monotonic()

    def _flops(self) -> int:
        """Floating-point operations of one step, counted on a copy: counting moves last bits."""
        with Operations() as counter:
            self.phase.step(deepcopy(self.state), self.problem, self.context.stream / "flops")
        return counter.total

    def _spent(self) -> int:
        return self.start_flops + self.state.step * (self.journal.flops or 0)

    def _effort(self) -> Effort:
        """How the candidates of the whole training are to be compared."""
        training = self.start_flops + self.total * (self.journal.flops or 0)
        return self.candidates.effort(self.phase.result(self.state), training, self.checkpoints)

    @cached_property
    def effort(self) -> Effort:
        """What the journal has noted of it."""
        return Effort(**self.journal.effort)

    @cached_property
    def marks(self) -> list[int]:
        """The steps after which there is a candidate."""
        return self._parts(self.effort.candidates)

    def _parts(self, n: int) -> list[int]:
        """The last steps of `n` equal parts of the training."""
        return [max(1, round(self.total * (k + 1) / n)) for k in range(n)]

    def _evaluate(self) -> None:
        """Compares the candidate at this step with held-out measurements."""
        found, x = self.candidates.candidate(self.state, self.effort)
        self.journal.candidate(self.state.nimg, found, x, self.phase.result(self.state).state_dict())

    def _save(self) -> None:
        self.journal.save(self.saved, {"state": self.state.tensors(), "before": self.before})

    def _resume(self) -> None:
        tensors = self.journal.load(self.saved)
        self.state.load(tensors["state"])
        self.before = tensors["before"]

    def _done(self) -> Outcome:
        net = self.phase.result(self.state)
        result = self.journal.result() | {
            "shape": list(self.problem.shape),
            "form": net.form(),
            "parameters": sum(p.numel() for p in net.parameters()),
            "steps": self.state.step,
            "flops": self._spent(),
        }
        if self.journal.chosen is None:
            return self._diverged(
                Diverged("no candidate has finite samples", str(self.context.stream / "candidates"))
            )
        weights = self.journal.chosen_weights()
        return Outcome(result, {"weights": weights, "candidates": self.journal.samples})

    def _diverged(self, end: Diverged) -> Outcome:
        """A result: why, the address that replays the step, and the last state before it."""
        result = self.journal.result() | {
            "reason": end.reason,
            "address": end.address,
            "step": self.state.step,
            "replay_from": self.before["counters"].tolist()[0],
            "flops": self._spent(),
        }
        return Outcome(result, {"before": self.before, "candidates": self.journal.samples}, status="diverged")


def clone(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A copy on the CPU."""
    return {name: t.detach().cpu().clone() for name, t in tensors.items()}
