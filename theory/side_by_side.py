"""Many claims, decided by several processes, and told of as they are."""

from __future__ import annotations

__all__ = ["decide_all"]

import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from theory.claim import Claim, Decision, Identity, Trial, decide

FEW = 8  # claims for which other processes would take longer to start than they save


def decide_all(
    claims: Mapping[str, Claim | Identity], names: Sequence[str], *, quick: bool = False, jobs: int = 1
) -> list[Decision]:
    """The decisions, in the order of the names; on a terminal, with a count of what is done.

    Args:
        claims: All claims by name.
        names: Those to decide.
        quick: Whether controls are left out.
        jobs: How many processes, >= 1; one, this one, for a few claims.
    """
    decisions = []
    for decision in _decisions(claims, names, quick, jobs):
        decisions.append(decision)
        if sys.stderr.isatty():
            done = f"{len(decisions)} of {len(names)}: {decision.name}"
            print(f"\r{done:<72.72}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(f"\r{'':<72}\r", end="", file=sys.stderr, flush=True)
    return decisions


def _decisions(
    claims: Mapping[str, Claim | Identity], names: Sequence[str], quick: bool, jobs: int
) -> Iterator[Decision]:
    if jobs == 1 or len(names) <= FEW:
        yield from (decide(name, claims[name], quick=quick) for name in names)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), _alone) as pool:
        for name, trials in zip(names, pool.map(_trials, names, [quick] * len(names)), strict=True):
            yield Decision(name, claims[name], *trials)


def _alone() -> None:
    """One thread for each process: the same numbers as one process gives, and no more work than cores."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)


def _trials(name: str, quick: bool) -> tuple[Trial, Trial | None]:
    found = decide(name, importlib.import_module(f"theory.claims.{name}").CLAIM, quick=quick)
    return found.trial, found.control
