"""Exact inversion of Cartesian multi-coil acquisition, row by row of the image."""

from __future__ import annotations

__all__ = ["NARROW", "unfold"]

import torch
from torch import Tensor

NARROW = 64  # entries of a row up to which matrices are faster than conjugate gradients to rounding
NUMBERS = 2**22  # of matrices at a time: 64 MiB


def unfold(lines: Tensor, maps: Tensor, y: Tensor) -> Tensor:
    r"""The least-norm least-squares images of `M F S`, `(B, H, W)`.

    Lines are sampled along the whole height, where the transform is unitary: what is left is one problem per
    row, `M F_W diag(s) x = F_H^H y` (Pruessmann et al., 1999), whose `C W` by `W` matrices have a
    pseudo-inverse each, by singular values.

    Args:
        lines: 1 where sampled, 0 elsewhere, `(B, W)`.
        maps: Sensitivities, complex, `(B or 1, C, H, W)`.
        y: The coils' lines, complex, `(B, C, H, W)`.
    """
    width = y.shape[-1]
    rows = _centred(y, inverse=True).movedim(1, 2)  # (B, H, C, W)
    basis = torch.eye(width, dtype=y.dtype, device=y.device)
    transform = _centred(basis, inverse=False)  # its columns are the transforms of units
    per = max(1, NUMBERS // (y[0].numel() * width))
    parts = []
    for k in range(0, len(y), per):
        s = maps if len(maps) == 1 else maps[k : k + per]
        seen = lines[k : k + per, None, :, None] * transform  # (b, 1, W, W)
        matrices = seen[:, None] * s.movedim(1, 2)[..., None, :]  # (b, H, C, W, W)
        parts.append(_solved(matrices.flatten(2, 3), rows[k : k + per].flatten(2)))
    return torch.cat(parts)


def _solved(a: Tensor, b: Tensor) -> Tensor:
    """`a^+ b`. torch 2.13's `pinv` of complex matrices is wrong while a `TorchDispatchMode` is entered."""
    u, s, vh = torch.linalg.svd(a, full_matrices=False)
    least = max(a.shape[-2:]) * torch.finfo(s.dtype).eps * s[..., :1]
    inverse = torch.where(s > least, 1 / torch.where(s > least, s, 1.0), 0.0)
    along = (u.mH @ b[..., None])[..., 0] * inverse
    return (vh.mH @ along[..., None])[..., 0]


def _centred(x: Tensor, *, inverse: bool) -> Tensor:
    """The orthonormal transform along the rows of the last two axes, zero frequency in the middle."""
    change = torch.fft.ifft if inverse else torch.fft.fft
    shifted = torch.fft.ifftshift(x, dim=-2)
    return torch.fft.fftshift(change(shifted, dim=-2, norm="ortho"), dim=-2)
