"""The store: a folder of finished stages, each checked by hashes, its record written last."""

from __future__ import annotations

__all__ = ["Damage", "Failure", "Record", "Store", "StoreError", "kind_of"]

import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcdbench.harness import files
from dcdbench.harness.errors import StoreError, guard
from dcdbench.harness.records import (
    ENDING,
    RECEIPT,
    RECORD,
    Damage,
    Failure,
    Record,
    faults,
    read,
    write_stage,
)

if TYPE_CHECKING:
    from filelock import BaseFileLock
    from torch import Tensor

    from dcdbench.harness.context import Outcome

_OWN = frozenset({"scratch", "locks", "failures", "runs", "damaged"})  # folders that hold no stages


class Store:
    """Finished stages below one folder, which is made at the first write."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).absolute()

    def folder(self, key: str) -> Path:
        """Where a stage's files are."""
        return self.root / kind_of(key) / key

    def scratch(self, key: str) -> Path:
        """Where a stage keeps unfinished work."""
        return self.root / "scratch" / key

    def check_writable(self) -> None:
        """Raises `StoreError` where the store cannot be written to."""
        path = self.root / "probe"
        with guard(path):
            self.root.mkdir(parents=True, exist_ok=True)
            files.replace(path, bytes(4096))
            path.unlink(missing_ok=True)

    def keys(self, kind: str | None = None) -> Iterator[str]:
        """The keys of all stages, or of those of one kind, sorted."""
        for name in [kind] if kind else self._kinds():
            yield from (key for key in sorted(_listed(self.root / name)) if key.startswith(f"{name}-"))

    def get(self, key: str) -> Record | None:
        """The record of a finished stage; None where there is none, or an unreadable one."""
        try:
            raw = read(f"{self.folder(key)}/{RECORD}")
            return None if raw is None else Record(**files.unseal(raw))
        except (ValueError, TypeError):
            return None

    def receipt(self, key: str) -> dict[str, Any]:
        """How a stage was made: versions, device, seconds and the like; empty if unknown."""
        raw = read(f"{self.folder(key)}/{RECEIPT}")
        try:
            return {} if raw is None else files.unseal(raw)
        except ValueError:
            return {}

    def tensors(self, key: str, name: str) -> dict[str, Tensor]:
        """The tensors of a stage's file `name` (without its ending), on the CPU."""
        from safetensors.torch import load_file

        return load_file(self.folder(key) / f"{name}{ENDING}")

    def inspect(self, key: str) -> tuple[Record | None, list[Damage]]:
        """The record, None where there is none that can be trusted, and all that is damaged."""
        kind = kind_of(key)
        folder = f"{self.root}/{kind}/{key}"
        try:
            raw = read(f"{folder}/{RECORD}")
            if raw is None:
                partial = os.path.isdir(folder)
                return None, [Damage(f"{kind}/{key}/{RECORD}", "missing")] if partial else []
            record = Record(**files.unseal(raw))
        except (ValueError, TypeError) as error:
            return None, [Damage(f"{kind}/{key}/{RECORD}", str(error))]
        damage = [Damage(f"{kind}/{key}/{name}", what) for name, what in faults(folder, record)]
        if record.key != key:
            damage.append(Damage(f"{kind}/{key}/{RECORD}", f"it belongs to {record.key}"))
        return (None if damage else record), damage

    def verify(self, key: str) -> list[Damage]:
        """What is damaged in a stage's files, and in its remembered failure."""
        damage = self.inspect(key)[1]
        try:
            self._failure(key)
        except (ValueError, TypeError) as error:
            damage.append(Damage(f"failures/{key}.json", str(error)))
        return damage

    def quarantine(self, key: str) -> Path:
        """Moves what is left of a damaged stage to `damaged/`. Nothing is deleted."""
        with guard(self.root):
            aside = self._aside(key)
            for path in (self.folder(key), self.root / "failures" / f"{key}.json"):
                if path.exists():
                    os.replace(path, aside / path.name)
        return aside

    def put(self, key: str, identity: dict[str, Any], outcome: Outcome, receipt: dict[str, Any]) -> Record:
        """Stores a finished stage. The caller holds its lock.

        Everything is written aside, and the folder then appears under its name at once.
        """
        aside = self.scratch(key) / ".put"
        with guard(self.root):
            try:
                record = write_stage(aside, key, identity, outcome, receipt)
                folder = self.folder(key)
                folder.parent.mkdir(parents=True, exist_ok=True)
                os.rename(aside, folder)
            except BaseException:
                shutil.rmtree(aside, ignore_errors=True)
                raise
            shutil.rmtree(self.scratch(key), ignore_errors=True)
        self.clear_failure(key)
        return record

    def lock(self, key: str) -> BaseFileLock | None:
        """The lock of a key, held until released or the process ends; None if another holds it."""
        from filelock import FileLock, Timeout

        path = self.root / "locks" / f"{key}.lock"
        with guard(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                return None
        return lock

    def fail(self, key: str, failure: Failure) -> None:
        """Remembers that a stage failed."""
        self._replace(self.root / "failures" / f"{key}.json", {"key": key, **asdict(failure)})

    def failure(self, key: str) -> Failure | None:
        """The remembered failure; None where there is none, or an unreadable one."""
        try:
            return self._failure(key)
        except (ValueError, TypeError):
            return None

    def clear_failure(self, key: str) -> None:
        """Forgets a failure."""
        path = self.root / "failures" / f"{key}.json"
        with guard(path):
            path.unlink(missing_ok=True)

    def write_run(self, name: str, manifest: dict[str, Any]) -> None:
        """Keeps the last plan of a suite. `manifest["stages"]` maps keys to identities."""
        self._replace(self.root / "runs" / f"{name}.json", manifest)

    def run(self, name: str) -> dict[str, Any] | None:
        """The last plan of a suite.

        Raises:
            StoreError: It is damaged.
        """
        path = self.root / "runs" / f"{name}.json"
        raw = read(str(path))
        try:
            return None if raw is None else files.unseal(raw)
        except ValueError as error:
            raise StoreError(f"store: {path}: {error}; delete it, the next run writes it anew") from error

    def runs(self) -> list[str]:
        """The names of the suites whose last plan is known."""
        names = _listed(self.root / "runs")
        return sorted(n.removesuffix(".json") for n in names if n.endswith(".json") and n[0] != ".")

    def _kinds(self) -> list[str]:
        names = sorted(set(_listed(self.root)) - _OWN)
        return [name for name in names if os.path.isdir(self.root / name)]

    def _failure(self, key: str) -> Failure | None:
        raw = read(f"{self.root}/failures/{key}.json")
        if raw is None:
            return None
        body = files.unseal(raw)
        return Failure(**{name: value for name, value in body.items() if name not in ("key", "sha256")})

    def _replace(self, path: Path, body: dict[str, Any]) -> None:
        with guard(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            files.replace(path, files.seal(body))

    def _aside(self, key: str) -> Path:
        for number in range(1, 1_000_000):
            path = self.root / "damaged" / f"{key}.{number}"
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                continue
            return path
        raise StoreError(f"store: {self.root / 'damaged'} is crowded; delete what is not needed")


def kind_of(key: str) -> str:
    """The kind of the stage that a key names."""
    return key.rpartition("-")[0]


def _listed(path: Path) -> list[str]:
    try:
        with guard(path):
            return os.listdir(path)
    except FileNotFoundError:
        return []
