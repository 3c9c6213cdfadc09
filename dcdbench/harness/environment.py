"""What the machine and its Python offer: the report behind `dcdbench doctor`."""

from __future__ import annotations

__all__ = ["OPTIONAL", "REQUIRED", "report"]

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

REQUIRED = {
    "torch": "tensors and training",
    "numpy": "arrays",
    "scipy": "statistics",
    "azula": "the U-Net",
    "pot": "exact optimal transport",
    "click": "the command line",
    "pydantic": "the checks of suite files",
    "pyyaml": "suite files",
    "safetensors": "stored weights and samples",
    "filelock": "two runs of one suite at once",
    "tabulate": "tables",
    "scikit-learn": "handwritten digits, photographs",
    "pillow": "folders of images, letters, pictures of samples",
    "pooch": "downloads that are asked for",
    "matplotlib": "plots, and the fonts of letters",
}
OPTIONAL = {
    "deepinv": "operators of deepinv (extra `deepinv`)",
    "pytest": "the tests (extra `test`)",
    "hypothesis": "property tests (extra `test`)",
    "pytest-benchmark": "benchmarks (extra `test`)",
    "tox": "all checks at once (extra `dev`)",
}


def report(store: Path) -> dict[str, Any]:
    """The environment as one JSON-able value; `problems` lists what would stop a run."""
    from dcdbench import __version__

    packages = [_package(name, purpose, True) for name, purpose in REQUIRED.items()]
    packages += [_package(name, purpose, False) for name, purpose in OPTIONAL.items()]
    missing = [p["name"] for p in packages if p["required"] and p["version"] is None]
    data = os.environ.get("DCDBENCH_DATA")
    writable = _writable(store)
    problems = [f"the package {name} is missing: pip install -c constraints.txt {name}" for name in missing]
    if not writable:
        problems.append(f"the store {store} is not writable: choose another with --store DIR")
    return {
        "dcdbench": __version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        **_torch("torch" in missing),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": _memory(),
        "data": {"folder": data, "exists": data is None or Path(data).is_dir()},
        "store": {"folder": str(store), "writable": writable},
        "packages": packages,
        "problems": problems,
    }


def _package(name: str, purpose: str, required: bool) -> dict[str, Any]:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        version = None
    return {"name": name, "version": version, "required": required, "purpose": purpose}


def _torch(missing: bool) -> dict[str, Any]:
    if missing:
        return {"torch": None, "devices": [], "threads": None}
    import torch

    devices = ["cpu"]
    for i in range(torch.cuda.device_count()):
        devices.append(f"cuda:{i} ({torch.cuda.get_device_name(i)})")
    if torch.backends.mps.is_available():
        devices.append("mps")
    return {"torch": torch.__version__, "devices": devices, "threads": torch.get_num_threads()}


def _memory() -> float | None:
    """The machine's memory in GB, as far as the system tells."""
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)
    except (AttributeError, OSError, ValueError):
        return None


def _writable(folder: Path) -> bool:
    """Whether files can be made in `folder`, or where it would be made."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)
