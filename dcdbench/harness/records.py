"""What the store holds of one stage: a record, a receipt, tensors, or a failure."""

from __future__ import annotations

__all__ = ["ENDING", "RECEIPT", "RECORD", "Damage", "Failure", "Record", "faults", "read", "write_stage"]

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcdbench.harness import files
from dcdbench.harness.errors import guard

if TYPE_CHECKING:
    from torch import Tensor

    from dcdbench.harness.context import Outcome

SCHEMA = 1
RECORD, RECEIPT, ENDING = "record.json", "receipt.json", ".safetensors"


@dataclass(frozen=True)
class Record:
    """A finished stage. The same bits in every run on the same machine and thread count."""

    schema: int
    key: str
    identity: dict[str, Any]
    status: str  # "done" or "diverged"
    result: dict[str, Any]
    files: dict[str, dict[str, Any]]  # name -> {"sha256", "bytes"}
    sha256: str


@dataclass(frozen=True)
class Damage:
    """Something wrong with a stored file."""

    file: str  # relative to the store
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


@dataclass(frozen=True)
class Failure:
    """Why a stage has no result."""

    kind: str  # exception, crash or timeout
    text: str  # one line
    detail: str = ""  # the traceback
    log: str = ""  # the end of what it printed
    receipt: dict[str, Any] = field(default_factory=dict)  # who tried it, when and where


def faults(folder: str, record: Record) -> Iterator[tuple[str, str]]:
    """Names of damaged files beside a record, and what is wrong with each."""
    for name, entry in record.files.items():
        raw = read(f"{folder}/{name}")
        if raw is None:
            yield name, "missing"
        elif len(raw) != entry["bytes"]:
            yield name, f"{len(raw)} bytes instead of {entry['bytes']}"
        elif hashlib.sha256(raw).hexdigest() != entry["sha256"]:
            yield name, "its content does not match its sha256"
    try:
        raw = read(f"{folder}/{RECEIPT}")
        if raw is None:
            yield RECEIPT, "missing"
        else:
            files.unseal(raw)
    except ValueError as error:
        yield RECEIPT, str(error)


def write_stage(
    folder: Path, key: str, identity: dict[str, Any], outcome: Outcome, receipt: dict[str, Any]
) -> Record:
    """Writes a stage's files into a fresh folder, the record last."""
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed here
    folder.mkdir(parents=True)
    stored = {}
    for name, tensors in sorted(outcome.tensors.items()):
        data = _packed(tensors)
        stored[f"{name}{ENDING}"] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        files.write(folder / f"{name}{ENDING}", data)
    files.write(folder / RECEIPT, files.seal({"key": key, **receipt}))
    raw = files.seal(
        {
            "schema": SCHEMA,
            "key": key,
            "identity": identity,
            "status": outcome.status,
            "result": outcome.result,
            "files": stored,
        }
    )
    files.write(folder / RECORD, raw)
    return Record(**files.unseal(raw))


def _packed(tensors: dict[str, Tensor]) -> bytes:
    from safetensors.torch import save

    return save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})


def read(path: str) -> bytes | None:
    """The bytes of a file, None where there is none."""
    try:
        with guard(path), open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
