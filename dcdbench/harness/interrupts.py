"""Control-C as something to wait for."""

from __future__ import annotations

__all__ = ["Interrupts"]

import os
import signal
import threading
from types import FrameType
from typing import Any


class Interrupts:
    """Counts SIGINT and SIGTERM while it is open; `fd` can be read when one came.

    Outside of the main thread Python gives no signals, and the count stays 0.
    """

    def __init__(self) -> None:
        self.count = 0
        self.fd, self._write = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._write, False)
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self.fd)
        os.close(self._write)

    def drain(self) -> None:
        """Empties `fd`."""
        try:
            while os.read(self.fd, 64):
                pass
        except BlockingIOError:
            return

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        try:
            os.write(self._write, b"!")
        except BlockingIOError:
            return
