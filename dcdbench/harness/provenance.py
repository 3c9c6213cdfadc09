"""Where a result comes from: versions, commit, machine and device."""

from __future__ import annotations

__all__ = ["peak_memory_mb", "provenance"]

import os
import platform
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

# What computes numbers, and what draws letters.
_PACKAGES = ("torch", "numpy", "scipy", "pot", "pillow", "matplotlib", "dcdbench")


@cache
def provenance(device: str) -> dict[str, Any]:
    """What does not change while a process runs. Asked once by the coordinator of a run."""
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "commit": _commit(Path(__file__).parents[2]),
        "machine": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "device": device,
    }


def peak_memory_mb() -> float:
    """The most memory that this process has held, in MB; NaN where the system does not tell."""
    try:
        import resource
    except ImportError:
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _commit(folder: Path) -> str | None:
    """The commit that the package's folder is at, with `+dirty` after it; None outside of git."""
    if _git(folder, "rev-parse", "--show-toplevel") != str(folder):
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return None
    return f"{commit}+dirty" if _git(folder, "status", "--porcelain") else commit


def _git(folder: Path, *arguments: str) -> str:
    try:
        answer = subprocess.run(
            ("git", "-C", str(folder), *arguments), capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()


def _cpu() -> str:
    """The processor's name and the number of its cores."""
    name = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{name or platform.machine()}, {os.cpu_count()} cores"
