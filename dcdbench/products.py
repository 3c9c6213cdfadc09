"""Products of analytic laws: independent blocks of coordinates, without all combinations of their components.

A product of d mixtures of K components is a mixture of $K^d$; its density, score, denoiser and samples
are those of the blocks, side by side.
"""

from __future__ import annotations

__all__ = ["Product"]

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from dcdbench.analytic import GaussianMixture, Law

MOST_COMPONENTS = 2**16


@dataclass(frozen=True, eq=False)
class Product(Law):
    """The joint law of independent blocks.

    Args:
        blocks: Their laws, in the order of the coordinates.

    Example:
        >>> from dcdbench.analytic import Gaussian
        >>> one = Gaussian(torch.zeros(1), torch.eye(1))
        >>> Product((one,) * 3).denoise(torch.ones(1, 3), sigma=1.0)
        tensor([[0.5000, 0.5000, 0.5000]])
    """

    blocks: tuple[Law, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", tuple(self.blocks))
        if not self.blocks:
            raise ValueError("a product needs at least one block")

    @property
    def dim(self) -> int:
        """The dimension `d`, summed over blocks."""
        return sum(self._sizes)

    @cached_property
    def mean(self) -> Tensor:  # type: ignore[override]
        """The mean, `(d,)`."""
        return torch.cat([block.mean for block in self.blocks])

    @cached_property
    def cov(self) -> Tensor:  # type: ignore[override]
        """The covariance, `(d, d)`."""
        return torch.block_diag(*[block.cov for block in self.blocks])

    @cached_property
    def components(self) -> tuple[Tensor, Tensor, Tensor]:
        """All combinations of components, if these are not too many."""
        count = math.prod(len(block.components[0]) for block in self.blocks)
        if count > MOST_COMPONENTS:
            raise ValueError(f"the product has {count} components, which are not listed: use its blocks")
        weights, means, covs = self.blocks[0].components
        for block in self.blocks[1:]:
            others = block.components
            k, m = len(weights), len(others[0])
            weights = (weights[:, None] * others[0]).flatten()
            means = torch.cat([means.repeat_interleave(m, 0), others[1].repeat(k, 1)], 1)
            covs = torch.stack([torch.block_diag(a, b) for a in covs for b in others[2]])
        return weights, means, covs

    @property
    def has_density(self) -> bool:
        """Whether all blocks have one."""
        return all(block.has_density for block in self.blocks)

    def noised(self, sigma: float) -> Product:
        r"""The law convolved with $N(0, \sigma^2 I)$, for `sigma >= 0`."""
        return Product(tuple(block.noised(sigma) for block in self.blocks))

    def affine(self, matrix: Tensor, offset: Tensor | None = None, sigma: float = 0.0) -> Law:
        """The law of `matrix x + offset + sigma n`; by all components, as it mixes blocks."""
        return GaussianMixture(*self.components).affine(matrix, offset, sigma)

    def posterior(self, y: Tensor, A_matrix: Tensor, sigma_y: float) -> Law:
        """The law of `x` given one measurement, `(m,)`.

        Again a product, if each row of `A` sees one block; else by all components.
        """
        seen = torch.stack([part.abs().amax(1) > 0 for part in A_matrix.split(self._sizes, 1)])  # (blocks, m)
        if (seen.sum(0) > 1).any():
            return GaussianMixture(*self.components).posterior(y, A_matrix, sigma_y)
        parts = zip(self.blocks, A_matrix.split(self._sizes, 1), seen, strict=True)
        return Product(
            tuple(
                block.posterior(y[rows], A[rows], sigma_y) if rows.any() else block
                for block, A, rows in parts
            )
        )

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """`n` independent draws, `(n, d)`, float64 on `rng.device`."""
        return torch.cat([block.sample(n, rng) for block in self.blocks], 1)

    def log_prob(self, x: Tensor, sigma: float | Tensor = 0.0) -> Tensor:
        """The log-density, `(B,)`, of the law convolved with noise `sigma`, a number or `(B,)`."""
        return torch.stack(self._each(lambda block, part: block.log_prob(part, sigma), x)).sum(0)

    def score(self, x_t: Tensor, sigma: float | Tensor) -> Tensor:
        """The gradient of `log_prob`, `(B, d)`."""
        return torch.cat(self._each(lambda block, part: block.score(part, sigma), x_t), 1)

    def denoise(self, x_t: Tensor, sigma: float | Tensor) -> Tensor:
        """The posterior mean `E[x | x_t]`, `(B, d)`, for noise `sigma`, a number or `(B,)`."""
        return torch.cat(self._each(lambda block, part: block.denoise(part, sigma), x_t), 1)

    @cached_property
    def _sizes(self) -> list[int]:
        return [block.dim for block in self.blocks]

    def _each(self, ask: Callable[[Law, Tensor], Tensor], x: Tensor) -> list[Tensor]:
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise ValueError(f"expected flat vectors of shape (B, {self.dim}), got {tuple(x.shape)}")
        return [ask(block, part) for block, part in zip(self.blocks, x.split(self._sizes, 1), strict=True)]
