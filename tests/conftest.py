"""What all tests share: Hypothesis without deadlines, one thread, and the folder of real data."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported: small tensors, many processes

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

# A deadline measures the machine, not the code. Continuous integration tries the same examples
# each time, so that a failure there is a change's and can be repeated; elsewhere new ones are tried,
# and with `--hypothesis-profile=nightly` many of them.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("nightly", deadline=None, max_examples=1000)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    """A test that sets the number of threads sets it for itself alone."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data that `DCDBENCH_DATA` names; tests that need it are skipped without it."""
    folder = os.environ.get("DCDBENCH_DATA")
    if not folder:
        pytest.skip("DCDBENCH_DATA is not set: it names the folder of real data")
    if not Path(folder).is_dir():
        pytest.skip(f"DCDBENCH_DATA names no folder: {folder}")
    return Path(folder)
