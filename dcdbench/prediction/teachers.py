r"""Teachers that are fitted on `n` measurements, and their students of rank k.

Data are Gaussian, $x \sim N(0, \Lambda)$, and $y = x + \sigma_y n$. The teacher samples the law that it was
fitted to, $N(0, \hat C)$, in which errors of sampling are as large along the data as across. An unaware
student keeps the `k` largest directions of $\hat C$; an aware one takes $\sigma_y^2$ off them as well.
"""

from __future__ import annotations

__all__ = ["Teachers"]

from dataclasses import dataclass

import numpy as np

from dcdbench.prediction.spectrum import Array


@dataclass(frozen=True)
class Teachers:
    """Sample covariances of measurements, in the eigenbasis of the clean law.

    Args:
        clean: Eigenvalues of the clean law, `(*, d)`, at least 0.
        noise: `sigma_y` squared, `(*)`.
        values: Eigenvalues of the sample covariances, `(*, d)`, from the largest.
        vectors: Their eigenvectors, as columns, `(*, d, d)`.
    """

    clean: Array
    noise: Array
    values: Array
    vectors: Array

    @classmethod
    def fitted(cls, clean: Array, noise: Array, factors: Array) -> Teachers:
        """Teachers of a law, one for each factor by `bartlett`: `factors` is `(*, d, d)`."""
        roots = np.sqrt(clean + noise[..., None])[..., :, None] * factors
        values, vectors = np.linalg.eigh(roots @ np.swapaxes(roots, -1, -2))
        return cls(clean, noise, values[..., ::-1].clip(0.0), vectors[..., ::-1])

    def distance(self) -> Array:
        """The squared W2 distance of the teachers to the clean law."""
        return self._w2(self.values)

    def student(self, kept: Array, aware: bool) -> Array:
        """That of the students that keep the directions where `kept`, `(*, d)`, is 1 and not 0."""
        off = self.noise[..., None] if aware else 0.0
        return self._w2(np.maximum(self.values - off, 0.0) * kept)

    def _w2(self, values: Array) -> Array:
        """The Bures distance of a covariance with these eigenvalues, and the teacher's eigenvectors."""
        half = np.sqrt(self.clean)[..., :, None] * self.vectors * np.sqrt(values)[..., None, :]
        overlap = np.linalg.eigvalsh(half @ np.swapaxes(half, -1, -2)).clip(0.0)
        total: Array = values.sum(-1) + self.clean.sum(-1) - 2 * np.sqrt(overlap).sum(-1)
        return total
