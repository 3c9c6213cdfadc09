"""The store keeps what was finished, and notices when it is no longer that."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
import torch

from dcdbench.harness import files
from dcdbench.harness.context import Outcome
from dcdbench.harness.store import Failure, Store, StoreError

KEY = "data-0123456789abcdef"
IDENTITY = {"kind": "data", "seed": 0, "code": {"a": "1"}}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store that holds one stage."""
    store = Store(tmp_path / "store")
    put(store)
    return store


def put(store: Store, key: str = KEY) -> None:
    """Stores a small stage."""
    outcome = Outcome({"a": 0.1, "nan": float("nan")}, {"x": {"x": torch.arange(6.0).reshape(2, 3).T}})
    store.put(key, IDENTITY, outcome, {"seconds": 1.0})


def test_what_is_put_is_got(store: Store) -> None:
    record = store.get(KEY)
    assert record is not None
    assert (record.status, record.identity, record.result["a"]) == ("done", IDENTITY, 0.1)
    assert torch.equal(store.tensors(KEY, "x")["x"], torch.arange(6.0).reshape(2, 3).T)
    assert store.receipt(KEY)["seconds"] == 1.0
    assert json.loads((store.folder(KEY) / "record.json").read_text())["schema"] == 1
    assert list(store.keys()) == list(store.keys("data")) == [KEY] and not list(store.keys("teacher"))
    assert store.verify(KEY) == [] and not store.scratch(KEY).exists()


def test_what_else_lies_in_the_folder_is_no_stage(store: Store) -> None:
    (store.root / "notes.txt").write_text("")
    (store.root / ".hidden").write_text("")
    store.check_writable()
    (store.root / "data" / ".DS_Store").write_text("")
    assert list(store.keys()) == [KEY] and not list(store.keys("none"))


def test_an_absent_stage_is_not_damaged_and_reading_makes_no_folder(tmp_path: Path) -> None:
    store = Store(tmp_path / "none")
    assert store.get(KEY) is None and store.verify(KEY) == [] and list(store.keys()) == []
    assert store.failure(KEY) is None and store.run("a") is None and store.runs() == []
    assert not store.root.exists()


def test_records_are_the_same_bits_and_receipts_may_differ(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    put(other)
    for name in ("record.json", "x.safetensors"):
        assert (store.folder(KEY) / name).read_bytes() == (other.folder(KEY) / name).read_bytes()


@pytest.mark.parametrize("name", ["record.json", "receipt.json", "x.safetensors"])
def test_every_flipped_byte_is_noticed_and_named(store: Store, name: str) -> None:
    path = store.folder(KEY) / name
    sound = path.read_bytes()
    for position in range(len(sound)):
        path.write_bytes(sound[:position] + bytes([sound[position] ^ 1]) + sound[position + 1 :])
        assert [damage.file for damage in store.verify(KEY)] == [f"data/{KEY}/{name}"], position
    path.write_bytes(sound)
    assert store.verify(KEY) == []


@pytest.mark.parametrize("name", ["record.json", "receipt.json", "x.safetensors"])
@pytest.mark.parametrize("how", ["missing", "cut", "longer", "empty"])
def test_lost_and_cut_files_are_noticed(store: Store, name: str, how: str) -> None:
    path = store.folder(KEY) / name
    raw = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes({"cut": raw[:-1], "longer": raw + b"\n", "empty": b""}[how])
    (damage,) = store.verify(KEY)
    assert damage.file.endswith(name) and damage.what


def test_a_record_under_another_key_is_damage(store: Store) -> None:
    moved = "data-ffffffffffffffff"
    os.rename(store.folder(KEY), store.folder(moved))
    assert "belongs to" in str(store.verify(moved)[0])


def test_quarantine_moves_and_never_deletes(store: Store) -> None:
    for _ in range(2):
        (store.folder(KEY) / "record.json").write_bytes(b"{}")
        aside = store.quarantine(KEY)
        assert (aside / KEY / "record.json").read_bytes() == b"{}" and (
            aside / KEY / "x.safetensors"
        ).exists()
        assert store.get(KEY) is None and store.verify(KEY) == []
        put(store)
    assert len(list((store.root / "damaged").iterdir())) == 2 and list(store.keys()) == [KEY]


def test_failures_are_remembered_checked_and_forgotten(store: Store) -> None:
    other = "data-1111111111111111"
    failure = Failure("crash", "SIGKILL", log="last words", receipt={"device": "cpu"})
    store.fail(other, failure)
    assert store.failure(other) == failure and store.verify(other) == []
    path = store.root / "failures" / f"{other}.json"
    path.write_bytes(path.read_bytes().replace(b"SIGKILL", b"SIGKILT"))
    assert store.failure(other) is None and store.verify(other)[0].file == f"failures/{other}.json"
    store.clear_failure(other)
    store.clear_failure(other)
    assert store.verify(other) == []


def test_manifests_are_kept_and_checked(store: Store) -> None:
    manifest = {"cells": [], "stages": {KEY: IDENTITY}}
    store.write_run("quick", manifest)
    assert store.runs() == ["quick"] and store.run("quick")["stages"] == manifest["stages"]
    path = store.root / "runs" / "quick.json"
    path.write_bytes(path.read_bytes().replace(b"cells", b"cellz"))
    with pytest.raises(StoreError, match=r"quick\.json"):
        store.run("quick")


def test_a_lock_is_held_by_one(store: Store) -> None:
    lock = store.lock(KEY)
    assert lock is not None and store.lock(KEY) is None
    lock.release()
    again = store.lock(KEY)
    assert again is not None
    again.release()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("call", ["write", "open", "rename"])
def test_a_disk_that_refuses_gives_one_clear_error(
    store: Store, monkeypatch: pytest.MonkeyPatch, code: int, call: str
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(code, os.strerror(code))

    before = sorted(path for path in store.root.rglob("*") if path.is_file())
    other = "data-2222222222222222"
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(StoreError, match=r"store: .*(store|data).*; ") as error:
            put(store, other)
        assert "\n" not in str(error.value) and str(store.root) in str(error.value)
    assert sorted(path for path in store.root.rglob("*") if path.is_file()) == before
    assert store.verify(KEY) == [] and store.get(other) is None
    put(store, other)  # the disk has space again
    assert store.get(other) is not None


def test_other_errors_pass_unchanged(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "rename", interrupt)
    with pytest.raises(OSError, match="Too many open files") as error:
        put(store, "data-3333333333333333")
    assert not isinstance(error.value, StoreError)


def test_a_store_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="a part of the path is a file"):
        Store(tmp_path / "file" / "store").check_writable()


def test_the_record_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    write = files.write
    monkeypatch.setattr(files, "write", lambda path, data: written.append(path.name) or write(path, data))
    put(Store(tmp_path / "s"))
    assert written == ["x.safetensors", "receipt.json", "record.json"]
