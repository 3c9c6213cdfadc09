"""Files of real data: in the folder that `DCDBENCH_DATA` names, or downloaded where that is asked for."""

from __future__ import annotations

__all__ = ["DOWNLOAD", "VARIABLE", "RealFile", "lacking"]

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "DCDBENCH_DATA"
DOWNLOAD = "DCDBENCH_DOWNLOAD"  # nothing is downloaded unless it is 1


@dataclass(frozen=True)
class RealFile:
    """A file whose content is known, so that results need not name it.

    Args:
        name: Its path in the folder, and in the cache.
        sha256: The digest of its content.
        size: Its length in bytes.
        url: Where it was published; None for files that cannot be downloaded.
    """

    name: str
    sha256: str
    size: int
    url: str | None = None

    def missing(self) -> str | None:
        """None, or the reason why it cannot be read."""
        return lacking([self])

    def found(self) -> Path | None:
        """Where it is on this machine: the folder comes before the cache."""
        folder = os.environ.get(VARIABLE)
        places = [Path(folder, self.name)] if folder else []
        places += [self._cached()] if self.url else []
        return next((path for path in places if path.is_file()), None)

    def path(self) -> Path:
        """Where it is, after a download where `DCDBENCH_DOWNLOAD` is 1 and there is none yet.

        Raises:
            FileNotFoundError: It is missing, or cannot be downloaded.
            ValueError: Its content is another.
        """
        if reason := self.missing():
            raise FileNotFoundError(f"{reason}; {VARIABLE} is {os.environ.get(VARIABLE)!r}")
        path = self.found() or self._downloaded()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != self.sha256:
            raise ValueError(
                f"{path} is another file than the benchmark's: its sha256 must begin with "
                f"{self.sha256[:12]}, got {digest[:12]}; get it again, or read yours as an array"
            )
        return path

    def _cached(self) -> Path:
        import pooch

        return Path(pooch.os_cache("dcdbench"), self.name)

    def _downloaded(self) -> Path:
        """Pooch keeps a file only if its content is the one that is known."""
        import pooch

        path = self._cached()
        try:
            pooch.retrieve(str(self.url), f"sha256:{self.sha256}", path.name, path.parent)
        except (OSError, ValueError) as error:
            raise FileNotFoundError(
                f"{self.name} ({self.size} bytes) cannot be downloaded from {self.url}: {error}; "
                f"put it into the folder {VARIABLE}"
            ) from error
        return path


def lacking(files: Sequence[RealFile]) -> str | None:
    """None, or the reason why some of `files` cannot be read, with their sizes and how to get them."""
    asked = os.environ.get(DOWNLOAD, "")
    absent = [file for file in files if file.found() is None and not (file.url and asked == "1")]
    if not absent:
        return None
    named = ", ".join(f"{file.name} ({file.size} bytes)" for file in absent)
    unset = "" if os.environ.get(VARIABLE) else ", which is not set"
    reason = f"needs {named} in the folder {VARIABLE}{unset}"
    if absent[0].url is None:
        return reason
    now = f", which is {asked!r}," if asked not in ("", "0") else ""
    return f"{reason}, or {DOWNLOAD}=1{now} to download from {absent[0].url.rpartition('/')[0]}"
