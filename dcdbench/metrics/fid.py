r"""The Frechet inception distance, with weights from a file of the user's (Heusel et al., 2017).

https://arxiv.org/abs/1706.08500. Nothing is downloaded: the network is a TorchScript file. Any network will
do that maps images `(B, 3, H, W)` to features `(B, F)`; its content belongs to the key of the scores. Export
one where its weights are, for example Inception-v3 (2048 features; input in [-1, 1], `size: 299`):

    from torchvision.models import inception_v3

    net = inception_v3(weights="IMAGENET1K_V1", transform_input=False).eval()
    net.fc = torch.nn.Identity()
    torch.jit.trace(net, torch.zeros(2, 3, 299, 299)).save("inception.pt")

These are torchvision's weights, so numbers compare among runs with the same file, and not with papers that
use the weights of the original FID. For DINOv2 (Stein et al., 2023, https://arxiv.org/abs/2306.04675;
`size: 224`), whose input is normalised by ImageNet's mean and standard deviation, put this in front of it:

    class Normalised(torch.nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, x):  # in [-1, 1]
            mean, std = x.new_tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, None, None]
            return self.net(((x + 1) / 2 - mean) / std)

    net = Normalised(torch.hub.load("facebookresearch/dinov2", "dinov2_vitb14")).eval()
    torch.jit.trace(net, torch.zeros(2, 3, 224, 224)).save("dinov2.pt")
"""

from __future__ import annotations

__all__ = ["FID"]

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from dcdbench.metrics import register
from dcdbench.metrics.frechet import empirical_frechet
from dcdbench.metrics.pairs import clean_pair, clean_reason
from dcdbench.problem import Reference

BLOCK = 64  # images at a time, which bounds the memory


@register("fid")
@dataclass(frozen=True)
class FID:
    """The squared Frechet distance in the features of a network from a file.

    Signals are grey or colour images in [-1, 1]. Samples are clipped to that range, as they would be in files
    of images; grey ones are repeated in three channels; all are resized bilinearly, without aliasing.

    Args:
        weights: A TorchScript file of a network from images `(B, 3, size, size)` to features `(B, F)`.
        size: The side of the network's input, in pixels, `>= 1`.
        range: The range of the network's input: `signed` for [-1, 1], `unit` for [0, 1].
    """

    weights: Path
    size: int = 299
    range: Literal["signed", "unit"] = "signed"

    needs: ClassVar[str] = "clean"
    sampling_unit: ClassVar[str] = "generated and clean samples"
    values: ClassVar[dict[str, tuple[str, str]]] = {"fid": ("lower", "feature unit^2")}

    def __post_init__(self) -> None:
        if not self.weights.is_file():
            raise ValueError(
                f"weights must be a TorchScript file of a network, there is none at {self.weights}"
            )
        if self.size < 1:
            raise ValueError(f"size must be >= 1, got {self.size}")

    def supports(self, reference: Reference) -> str | None:
        """None, or the reason why the metric cannot be computed against this reference."""
        if (reason := clean_reason(reference, least=2)) or reference.clean is None:
            return reason
        shape = tuple(reference.clean.shape[1:])
        if len(shape) != 3 or shape[0] not in (1, 3):
            return f"needs grey or colour images, and signals have the shape {shape}"
        if (most := reference.clean.abs().max().item()) > 1:
            return f"needs images in [-1, 1], and the references reach {most:.3g}"
        return None

    def __call__(self, samples: Tensor, reference: Reference, rng: torch.Generator) -> dict[str, float]:
        """The score of `samples`, `(n, C, H, W)`."""
        net = torch.jit.load(self.weights, map_location=samples.device).eval()
        shape = samples.shape[1:]
        x, y = (self._features(net, part.reshape(-1, *shape)) for part in clean_pair(samples, reference))
        return {"fid": empirical_frechet(x, y)}

    @torch.no_grad()
    def _features(self, net: Any, x: Tensor) -> Tensor:
        found = torch.cat([net(self._prepared(part)) for part in x.split(BLOCK)])
        if found.ndim != 2 or found.shape[1] < 1:
            shape = tuple(found.shape[1:])
            raise ValueError(f"weights must give features (B, F), and {self.weights} gives (B, *{shape})")
        return found.double()

    def _prepared(self, x: Tensor) -> Tensor:
        """Images as the network takes them, float32."""
        x = x.float().clamp(-1, 1).expand(-1, 3, -1, -1)
        size = (self.size, self.size)
        x = torch.nn.functional.interpolate(x, size, mode="bilinear", antialias=True, align_corners=False)
        return x if self.range == "signed" else (x + 1) / 2
