"""Files that are written whole or not at all, and JSON that notices a flipped byte."""

from __future__ import annotations

__all__ = ["replace", "seal", "unseal", "write"]

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from dcdbench.harness.identity import canonical

_MARK = b',"sha256":"'
_END = b'"}\n'


def seal(body: dict[str, Any]) -> bytes:
    """Canonical JSON of a non-empty `body` with, as its last entry, the sha256 of the rest."""
    text = canonical(body).encode()
    return text[:-1] + _MARK + hashlib.sha256(text).hexdigest().encode() + _END


def unseal(raw: bytes) -> dict[str, Any]:
    """What `seal` wrote.

    Raises:
        ValueError: Says what is wrong with the bytes.
    """
    head, mark, tail = raw.rpartition(_MARK)
    if not mark or tail[64:] != _END:
        raise ValueError("unreadable JSON")
    # The text itself is hashed, not what it parses to: that is faster, and hides nothing.
    if hashlib.sha256(head + b"}").hexdigest().encode() != tail[:64]:
        raise ValueError("its content does not match its sha256")
    body: dict[str, Any] = json.loads(raw)
    return body


def write(path: Path, data: bytes) -> None:
    """Writes a file. A power cut may lose it: its hash tells, and its stage is made again."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
    finally:
        os.close(fd)


def replace(path: Path, data: bytes) -> None:
    """Puts a file in place at once: a reader sees the old or the new one, never a part."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(aside, data)
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
