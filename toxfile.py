"""A runner for tox whose environments may share a folder, so that torch is installed once.

tox remembers in a folder which environment it belongs to, and makes it anew for another one.
Here all environments of the runner `shared` give the same name, and differ in their commands only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tox.plugin import impl
from tox.tox_env.info import Info
from tox.tox_env.python.virtual_env.runner import VirtualEnvRunner
from tox.tox_env.register import ToxEnvRegister


class SharedInfo(Info):
    """What tox remembers in a folder, whichever environment asks."""

    @contextmanager
    def compare(
        self, value: Any, section: str, sub_section: str | None = None
    ) -> Iterator[tuple[bool, Any | None]]:
        """Compares with what is remembered, the name of the environment aside."""
        if section == "ToxEnv":
            value = {**value, "name": SharedRunner.id()}
        with super().compare(value, section, sub_section) as answer:
            yield answer


class SharedRunner(VirtualEnvRunner):
    """A virtual environment in a folder that others of this runner use too."""

    @staticmethod
    def id() -> str:
        """The name for `runner =`."""
        return "shared"

    @property
    def cache(self) -> Info:
        """What tox remembers in the folder."""
        return SharedInfo(self.env_dir)


@impl
def tox_register_tox_env(register: ToxEnvRegister) -> None:
    """Tells tox of the runner."""
    register.add_run_env(SharedRunner)
