"""The harness's own errors, and the one place that turns the operating system's into them."""

from __future__ import annotations

__all__ = ["PluginError", "StaleCode", "StoreError", "disk_is_full", "guard"]

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ADVICE = {
    errno.ENOSPC: "the disk is full: free some space and run again, what was finished is kept",
    errno.EDQUOT: "the disk quota is used up: free some space and run again, what was finished is kept",
    errno.EROFS: "the file system is read-only: choose another store, or mount it writable",
    errno.EACCES: "no permission: choose a store that you may write to",
    errno.EPERM: "no permission: choose a store that you may write to",
    errno.ENOTDIR: "a part of the path is a file: choose another store",
    errno.EIO: "the device reports errors: check the disk",
}


class StoreError(Exception):
    """The store cannot be read or written. Its text names the path and what to do."""


class PluginError(Exception):
    """A plug-in cannot be loaded."""


class StaleCode(Exception):
    """Code or data that a stage's key covers was edited after the key was made."""


@contextmanager
def guard(path: Path | str) -> Iterator[None]:
    """Turns errors of the disk below `path` into one `StoreError`; others pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in _ADVICE:
            raise
        where = error.filename or path
        raise StoreError(f"store: {where}: {error.strerror}; {_ADVICE[error.errno]}") from error


def disk_is_full(error: BaseException) -> bool:
    """Whether an error, also one that a library made of it, says that nothing more can be written."""
    codes = (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "errno", None) in codes or any(os.strerror(code) in str(error) for code in codes)
