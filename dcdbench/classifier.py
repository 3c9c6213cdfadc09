"""A small classifier of clean signals, whose features and classes metrics compare. No method is given one."""

from __future__ import annotations

__all__ = ["LEAST", "Network", "accuracy", "build", "fit", "unfit"]

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from dcdbench.batch import randn_like
from dcdbench.networks.edm import seeded
from dcdbench.streams import Stream
from dcdbench.training import adam, learning_rate

LEAST = 10  # labelled signals for each class, on average
STEPS, BATCH, LR, DECAY = 500, 64, 2e-3, 0.6
NOISE = 0.1  # the most noise that is added in training, in units of the data's standard deviation
FEATURES = 128
CHANNELS = (32, 64)
BLOCK = 512  # signals at a time, which bounds the memory


class Network(nn.Module):
    """Two convolutions, each with pooling, for images; a layer for vectors; then features and classes.

    Args:
        shape: The shape of one signal: an image where it has three axes, else a vector.
        classes: How many classes, `>= 2`.
    """

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.trunk = _convolutions(shape) if len(shape) == 3 else _layer(math.prod(shape))
        with torch.no_grad():
            size = self.trunk(torch.zeros(1, *shape)).shape[1]
        self.hidden = nn.Linear(size, FEATURES)
        self.last = nn.Linear(FEATURES, classes)

    def penultimate(self, x: Tensor) -> Tensor:
        """Features, `(B, FEATURES)`, of signals `(B, *shape)`."""
        return nn.functional.silu(self.hidden(self.trunk(x)))

    def forward(self, x: Tensor) -> Tensor:
        """Logits, `(B, classes)`, of signals `(B, *shape)`."""
        return self.last(self.penultimate(x))

    def features(self, x: Tensor) -> Tensor:
        """The same as `penultimate`, in float64 and without gradients, on the device of `x`."""
        return self._blockwise(self.penultimate, x)

    def classes(self, x: Tensor) -> Tensor:
        """The most probable class, `(B,)`, int64, of signals `(B, *shape)`."""
        return self._blockwise(self.forward, x).argmax(1)

    @torch.no_grad()
    def _blockwise(self, call: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """In float64, so that scores do not depend on a processor's order of sums."""
        self.double().eval()
        here = self.last.weight.device
        return torch.cat([call(part.detach().to(here).double()) for part in x.split(BLOCK)]).to(x.device)


def _convolutions(shape: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, channels in zip((shape[0], *CHANNELS), CHANNELS, strict=False):
        layers += [nn.Conv2d(before, channels, 3, padding=1), nn.SiLU(), nn.MaxPool2d(2, ceil_mode=True)]
    return nn.Sequential(*layers, nn.Flatten())


def _layer(size: int) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(size, FEATURES), nn.SiLU())


def build(shape: tuple[int, ...], classes: int, rng: torch.Generator) -> Network:
    """A fresh network, its weights drawn from `rng` alone."""
    return seeded(lambda: Network(shape, classes), rng)


def unfit(labels: Tensor | None) -> str | None:
    """None where a classifier can be trained on these labels, `(n,)`, else the reason why not."""
    if labels is None or not len(labels):
        return "needs labels of the clean references, and there are none"
    if (least := int(labels.min())) < 0:
        return f"needs labels that are counted from 0, got {least}"
    classes = len(labels.unique())
    if classes < 2:
        return "needs two classes or more, and the clean references have one"
    if len(labels) < LEAST * classes:
        return f"needs {LEAST} labelled references for each of {classes} classes, has {len(labels)} in all"
    return None


def fit(
    x: Tensor, labels: Tensor, stream: Stream, tick: Callable[[float, str], None] = lambda share, text: None
) -> Network:
    """A network trained on signals `x`, `(n, *shape)`, with `labels`, `(n,)`, counted from 0.

    Adam with a falling learning rate minimises the cross-entropy. In each step images are shifted by at most
    one pixel, and noise of a random level is added, so that few signals suffice.
    """
    net = build(tuple(x.shape[1:]), int(labels.max()) + 1, (stream / "weights").rng()).train()
    optimizer = adam(net, LR, 0.9)
    scale = x.std().item() or 1.0
    for step in range(STEPS):
        tick(step / STEPS, "classifier")
        learning_rate(optimizer, LR, step / STEPS, 0.0, DECAY)
        rng = (stream / "step" / step).rng()
        chosen = torch.randint(len(x), (BATCH,), generator=rng)
        loss = nn.functional.cross_entropy(net(_augmented(x[chosen], scale, rng)), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


def _augmented(x: Tensor, scale: float, rng: torch.Generator) -> Tensor:
    level = NOISE * scale * torch.rand(len(x), *(1,) * (x.ndim - 1), generator=rng)
    return (_shifted(x, rng) if x.ndim == 4 else x) + level * randn_like(x, rng)


def _shifted(x: Tensor, rng: torch.Generator) -> Tensor:
    """Images, each moved by -1, 0 or 1 pixel along both axes; what was at the border is repeated."""
    h, w = x.shape[2:]
    down, right = torch.randint(-1, 2, (2, len(x), 1), generator=rng)
    rows = (torch.arange(h) + down).clamp(0, h - 1)
    columns = (torch.arange(w) + right).clamp(0, w - 1)
    return x[torch.arange(len(x))[:, None, None], :, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)


def accuracy(net: Network, x: Tensor, labels: Tensor) -> float:
    """The share of signals `x`, `(n, *shape)`, whose class is found."""
    return (net.classes(x) == labels).double().mean().item()
