"""What an operator is, in a few words, with its default arguments."""

from __future__ import annotations

__all__ = ["traits"]

from dcdbench.harness.conformance import SHAPES, fits

SHOWN = ((2, 12, 12), (3, 12, 12), (1, 12, 12), (12,), *SHAPES)


def traits(cls: type) -> dict[str, bool]:
    """Whether it is linear, masks, random and identifiable; empty where it is not made, or fits no shape."""
    try:
        law = cls()
    except (TypeError, ValueError, OSError):
        return {}
    shape = next((shape for shape in SHOWN if fits(law, shape)), None)
    if shape is None:
        return {}
    found = {name: bool(getattr(law, name)) for name in ("linear", "masks", "random")}
    return found | {"identifiable": bool(law.identifiable(shape))}
