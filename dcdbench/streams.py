"""Randomness as a function of position: an address hashes to a generator's seed."""

from __future__ import annotations

__all__ = ["Stream"]

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


@dataclass(frozen=True)
class Stream:
    """An address in the space of random numbers.

    The same address gives the same numbers, whatever was drawn before. A stream holds no
    generator: it makes a fresh one each time it is asked.

    Args:
        seed: The root of the address, any integer.
        path: The parts below the root.

    Example:
        >>> step = Stream(0) / "student" / "critic" / 12
        >>> str(step)
        '0/student/critic/12'
        >>> import torch
        >>> a = torch.randn(3, generator=step.rng())
        >>> b = torch.randn(3, generator=step.rng())
        >>> torch.equal(a, b)
        True
    """

    seed: int
    path: tuple[str, ...] = ()

    def __truediv__(self, part: str | int) -> Stream:
        text = str(part)
        if not text or "/" in text:
            raise ValueError(f"a part of an address is a non-empty text without '/', got {text!r}")
        return Stream(self.seed, (*self.path, text))

    def __str__(self) -> str:
        return "/".join((str(self.seed), *self.path))

    @classmethod
    def parse(cls, address: str) -> Stream:
        """The stream at a printed address: the inverse of `str`."""
        seed, *path = address.split("/")
        return cls(int(seed), tuple(path))

    def seed64(self) -> int:
        """The 63-bit seed at this address: blake2b of the printed address."""
        digest = hashlib.blake2b(str(self).encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") >> 1

    def rng(self, device: torch.device | str = "cpu") -> torch.Generator:
        """A fresh torch generator on `device`, seeded by this address."""
        import torch

        return torch.Generator(device).manual_seed(self.seed64())

    def numpy(self) -> np.random.Generator:
        """A fresh NumPy generator, seeded by this address."""
        import numpy as np

        return np.random.default_rng(self.seed64())
