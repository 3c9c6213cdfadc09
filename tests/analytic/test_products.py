"""Products of laws, against the mixture of all combinations of their components."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dcdbench.analytic import Gaussian, GaussianMixture, Law, frechet
from dcdbench.products import Product


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mixture(seed: int, d: int, k: int) -> GaussianMixture:
    factors = 0.5 * normal(seed, k, d, d)
    return GaussianMixture(
        torch.softmax(normal(seed + 1, k), 0), 2 * normal(seed + 2, k, d), factors @ factors.mT
    )


def laws() -> tuple[Product, GaussianMixture]:
    single = Gaussian(normal(3, 1), torch.eye(1))
    product = Product((mixture(0, 2, 3), single, mixture(7, 1, 2)))
    return product, GaussianMixture(*product.components)


@pytest.mark.parametrize("sigma", [0.3, torch.linspace(0.1, 2.0, 9, dtype=torch.float64)])
def test_blocks_side_by_side_are_the_mixture(sigma: float | Tensor) -> None:
    product, whole = laws()
    x = 3 * normal(5, 9, 4)
    assert product.dim == 4 and len(whole.weights) == 6
    for name in ("log_prob", "score", "denoise"):
        torch.testing.assert_close(getattr(product, name)(x, sigma), getattr(whole, name)(x, sigma))
    torch.testing.assert_close(product.mean, whole.mean)
    torch.testing.assert_close(product.cov, whole.cov)
    swapped = Product(product.blocks[::-1])
    assert not torch.allclose(swapped.log_prob(x, sigma), whole.log_prob(x, sigma))  # control


def test_noise_and_maps() -> None:
    product, whole = laws()
    x, matrix = normal(5, 9, 4), normal(6, 2, 4)
    torch.testing.assert_close(product.noised(0.5).log_prob(x), whole.log_prob(x, 0.5))
    image = product.affine(matrix, sigma=0.1)
    torch.testing.assert_close(image.log_prob(x[:, :2]), whole.affine(matrix, sigma=0.1).log_prob(x[:, :2]))
    assert frechet(product, whole) < 1e-20


@pytest.mark.parametrize("sigma", [0.4, 0.0])
@pytest.mark.parametrize("rows", ["identity", "some", "mixed"])
def test_posteriors(rows: str, sigma: float) -> None:
    product, whole = laws()
    matrices = {
        "identity": torch.eye(4, dtype=torch.float64),
        "some": torch.eye(4, dtype=torch.float64)[[2, 0]],
        "mixed": normal(8, 2, 4),
    }
    A = matrices[rows]
    y = A @ product.sample(1, torch.Generator().manual_seed(0))[0]
    found, there = product.posterior(y, A, sigma), whole.posterior(y, A, sigma)
    torch.testing.assert_close(found.mean, there.mean, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(found.cov, there.cov, atol=1e-9, rtol=1e-9)
    assert isinstance(found, Product) == (rows != "mixed")


def test_many_blocks_have_no_list_of_components() -> None:
    block = mixture(0, 1, 2)
    law: Law = Product((block,) * 50)
    x = law.sample(20, torch.Generator().manual_seed(0))
    assert x.shape == (20, 50)
    each = sum(block.log_prob(x[:, i : i + 1]) for i in range(50))
    torch.testing.assert_close(law.log_prob(x), each)
    with pytest.raises(ValueError, match="not listed"):
        _ = law.components
    with pytest.raises(ValueError, match="flat vectors"):
        law.score(x[:, :4], 0.1)
    with pytest.raises(ValueError, match="at least one"):
        Product(())
