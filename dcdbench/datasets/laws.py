"""What data sources with an analytic law share."""

from __future__ import annotations

__all__ = ["draw_splits"]

from torch import Tensor

from dcdbench.analytic import Gaussian, GaussianMixture
from dcdbench.protocols import Data
from dcdbench.streams import Stream


def draw_splits(
    law: Gaussian | GaussianMixture, train: int | None, heldout: int | None, stream: Stream
) -> Data:
    """Independent draws for every split: `train` (by default 20 000), `heldout` each (by default 2 000)."""
    sizes = {"train": 20_000 if train is None else train}
    sizes |= dict.fromkeys(("val", "test", "reference", "floor"), 2_000 if heldout is None else heldout)
    drawn = {name: _draw(law, n, stream / name) for name, n in sizes.items()}
    return Data(drawn["train"], drawn["val"], drawn["test"], drawn["reference"], drawn["floor"])


def _draw(law: Gaussian | GaussianMixture, n: int, stream: Stream) -> Tensor:
    return law.sample(n, stream.rng()).float()
