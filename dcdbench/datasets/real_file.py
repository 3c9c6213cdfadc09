"""Files of real data, in the folder that the environment variable `DCDBENCH_DATA` names."""

from __future__ import annotations

__all__ = ["VARIABLE", "RealFile"]

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "DCDBENCH_DATA"


@dataclass(frozen=True)
class RealFile:
    """A file whose content is known, so that results need not name it.

    Args:
        name: Its path in the folder.
        sha256: The digest of its content.
    """

    name: str
    sha256: str

    def missing(self) -> str | None:
        """None, or the reason why it cannot be read."""
        folder = os.environ.get(VARIABLE)
        if not folder:
            return f"needs {self.name}, and {VARIABLE} is not set"
        return None if Path(folder, self.name).is_file() else f"needs {self.name} in the folder {VARIABLE}"

    def path(self) -> Path:
        """Where it is.

        Raises:
            FileNotFoundError: It is missing.
            ValueError: Its content is another.
        """
        reason, folder = self.missing(), os.environ.get(VARIABLE)
        if reason or not folder:
            raise FileNotFoundError(f"{reason}: set {VARIABLE} to the folder that holds it, got {folder!r}")
        path = Path(folder, self.name)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != self.sha256:
            raise ValueError(
                f"{path} is another file than the benchmark's: its sha256 must begin with "
                f"{self.sha256[:12]}, got {digest[:12]}; get it again, or read yours as an array"
            )
        return path
