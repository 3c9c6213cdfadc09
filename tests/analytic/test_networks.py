"""The preconditioning, and what networks are at their initialisation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from azula.nn.unet import UNet as AzulaUNet
from torch import Tensor, nn

from dcdbench.diffusion import edm_weight
from dcdbench.networks.edm import Preconditioned, seeded
from dcdbench.networks.mlp import MLP
from dcdbench.networks.unet import ImageUNet, UNet
from dcdbench.operators.inpainting import Mask
from dcdbench.operators.super_resolution import SuperResolution

LOCATION, SCALE = -0.4, 0.7


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=rng(seed), dtype=torch.float64)


class Noting(nn.Module):
    """Notes what it is called with, and answers what it is told to."""

    def __init__(self, answer: Tensor | None = None) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor, c: Tensor, condition: Tensor | None = None) -> Tensor:
        self.x, self.c, self.condition = x, c, condition
        return torch.zeros_like(x) if self.answer is None else self.answer


def coefficients(sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """EDM's `c_skip`, `c_out` and `c_in`."""
    total = sigma**2 + SCALE**2
    return SCALE**2 / total, sigma * SCALE / total.sqrt(), 1 / total.sqrt()


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4)])
def test_preconditioning_is_that_of_edm_around_the_location(shape: tuple[int, ...]) -> None:
    answer, x_t = normal(0, 5, *shape), normal(1, 5, *shape)
    sigma = torch.tensor([0.002, 0.1, 0.5, 3.0, 80.0], dtype=torch.float64)
    skip, out, scale = (c.reshape(-1, *[1] * len(shape)) for c in coefficients(sigma))
    net = Noting(answer)
    got = Preconditioned(net, LOCATION, SCALE)(x_t, sigma)
    torch.testing.assert_close(got, LOCATION + skip * (x_t - LOCATION) + out * answer)
    torch.testing.assert_close(net.x, scale * (x_t - LOCATION))
    torch.testing.assert_close(net.c, (sigma / SCALE).log() / 4)
    assert net.condition is None


@pytest.mark.parametrize("level", [0.01, 0.3, 0.7, 5.0, 80.0])
@pytest.mark.parametrize("factor", [1.0, 1.3])
def test_input_and_target_of_the_network_have_unit_variance(level: float, factor: float) -> None:
    """The promise of the preconditioning for data of the stated scale; for others it is not kept."""
    n = 200_000
    sigma = torch.full((n,), level, dtype=torch.float64)
    skip, out, _ = coefficients(sigma)
    x = LOCATION + factor * SCALE * normal(0, n)
    x_t = x + sigma * normal(1, n)
    net = Noting()
    Preconditioned(net, LOCATION, SCALE)(x_t[:, None], sigma)
    target = (x - LOCATION - skip * (x_t - LOCATION)) / out
    share = SCALE**2 / (SCALE**2 + level**2)  # of the data in the total variance
    tight = 5 * (2 / n) ** 0.5 * factor**2
    assert float(net.x.var()) == pytest.approx(factor**2 * share + 1 - share, abs=tight)
    assert float(target.var()) == pytest.approx(factor**2 * (1 - share) + share, abs=tight)
    off = max(abs(float(v.var()) - 1) for v in (net.x, target))
    assert (off < tight) is (factor == 1)


def test_the_weighted_loss_of_a_fresh_network_is_one_at_every_level() -> None:
    """Its output is zero, so its error is the target's variance: what `EXPLODED` refers to."""
    n = 100_000
    x = LOCATION + SCALE * normal(0, n, 1)
    denoiser = Preconditioned(MLP(8, 1).build((1,), 0, rng()).double(), LOCATION, SCALE)
    for level in (0.01, 0.5, 80.0):
        sigma = torch.full((n,), level, dtype=torch.float64)
        with torch.no_grad():
            error = denoiser(x + level * normal(1, n, 1), sigma) - x
        loss = edm_weight(sigma, SCALE) * error[:, 0] ** 2
        assert float(loss.mean()) == pytest.approx(1, abs=0.03)


LEVELS = torch.tensor([0.002, 0.1, 0.7, 80.0], dtype=torch.float64)


def test_through_a_mask_unseen_entries_are_the_networks_own() -> None:
    """Seen entries are those of EDM; the others have no skip, and weigh alike at all levels."""
    mask, answer = (normal(1, 4, 3) > 0).double(), normal(2, 4, 3)
    x_t = mask * normal(0, 4, 3)
    net = Noting(answer)
    got = Preconditioned(net, LOCATION, SCALE, 3)(x_t, LEVELS, Mask(mask))
    skip, out, scale = (c[:, None] for c in coefficients(LEVELS))
    torch.testing.assert_close(net.x, mask * scale * (x_t - LOCATION))
    assert torch.equal(net.condition, mask)
    seen = LOCATION + skip * (x_t - LOCATION) + out * answer
    torch.testing.assert_close(got, torch.where(mask > 0, seen, LOCATION + SCALE * answer))


def test_through_any_operator_what_is_seen_has_the_coefficients_of_edm() -> None:
    """`D = location + c_skip B (x - location) + c_out B F + d (1 - B) F`, where `B = A.back(A(.))`."""
    draw = SuperResolution(2).draw((1, 4, 4), 4, rng()).to(dtype=torch.float64)
    x, answer = normal(0, 4, 1, 4, 4), normal(2, 4, 1, 4, 4)
    net = Noting(answer)
    got = Preconditioned(net, LOCATION, SCALE)(draw.back(draw(x)), LEVELS, draw)
    skip, out, scale = (c[:, None, None, None] for c in coefficients(LEVELS))
    centred, seen = (draw.back(draw(t)) for t in (x - LOCATION, answer))
    torch.testing.assert_close(got, LOCATION + skip * centred + out * seen + SCALE * (answer - seen))
    torch.testing.assert_close(net.x, scale * centred)
    assert net.condition is None


def test_the_weighted_loss_through_a_mask_is_one_at_every_level() -> None:
    """What the weights of Ambient Diffusion refer to: seen entries by EDM's, others by `1/d^2`."""
    n = 100_000
    x, mask = LOCATION + SCALE * normal(0, n, 2), (normal(1, n, 2) > 0).double()
    denoiser = Preconditioned(MLP(8, 1).build((2,), 2, rng()).double(), LOCATION, SCALE, 2)
    for level in (0.01, 0.5, 80.0):
        sigma = torch.full((n,), level, dtype=torch.float64)
        with torch.no_grad():
            error = denoiser(mask * (x + level * normal(2, n, 2)), sigma, Mask(mask)) - x
        seen, hidden = (float(error[mask == k].square().mean()) for k in (1, 0))
        assert float(edm_weight(sigma, SCALE)[0]) * seen == pytest.approx(1, abs=0.03)
        assert hidden / SCALE**2 == pytest.approx(1, abs=0.03)


def test_the_form_builds_the_same_denoiser_again() -> None:
    one = Preconditioned(MLP(8, 1).build((3,), 3, rng()), LOCATION, SCALE, 3)
    form = one.form()
    assert form == {"location": LOCATION, "sigma_data": SCALE, "condition_channels": 3}
    two = Preconditioned(MLP(8, 1).build((3,), 3, rng(1)), **form)
    assert one.state_dict().keys() == two.state_dict().keys()
    two.load_state_dict(one.state_dict())
    x, sigma, A = torch.randn(2, 3, generator=rng()), torch.ones(2), Mask(torch.ones(2, 3))
    assert torch.equal(one(x, sigma, A), two(x, sigma, A))


def test_a_borrowed_global_generator_is_given_back() -> None:
    before = torch.get_rng_state()
    a, b, c = (seeded(lambda: nn.Linear(3, 3), rng(seed)).weight for seed in (0, 0, 1))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(ZeroDivisionError):
        seeded(lambda: nn.Linear(int(1 / 0), 3), rng())
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_do_not_depend_on_what_the_generator_gave_before() -> None:
    """They are a function of its seed: the address decides, not the history."""
    used = rng(3)
    torch.randn(5, generator=used)
    one, two = (MLP(8, 1).build((3,), 0, g) for g in (rng(3), used))
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), two.parameters(), strict=True))


# A mistake in width, and images of any size


@pytest.mark.parametrize(("width", "depth"), [(0, 1), (8, 0)])
def test_mlp_refuses_no_width_and_no_depth(width: int, depth: int) -> None:
    with pytest.raises(ValueError, match="width and depth must be >= 1"):
        MLP(width, depth)


def test_mlp_starts_at_zero_and_every_weight_learns() -> None:
    net = MLP(16, 2).build((4,), 0, rng())
    x, c = torch.randn(8, 4, generator=rng()), torch.linspace(-1, 1, 8)
    assert bool((net(x, c) == 0).all())
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        (net(x, c) - x).square().mean().backward()
        optimizer.step()
    assert all(p.grad is not None and bool((p.grad != 0).any()) for p in net.parameters())


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 5), (1, 6, 1), (2, 1, 4), (1, 1, 1)])
@pytest.mark.parametrize("condition", [0, 1])
def test_unet_takes_images_of_any_size(shape: tuple[int, ...], condition: int) -> None:
    net = UNet(channels=(4, 8, 8), blocks=1, features=8).build(shape, condition, rng())
    x, c = torch.randn(3, *shape, generator=rng()), torch.zeros(3)
    mask = torch.ones(3, 1, *shape[1:]) if condition else None
    out = net(x, c, mask)
    assert out.shape == x.shape and bool(torch.isfinite(out).all())


def test_unet_refuses_vectors() -> None:
    with pytest.raises(ValueError, match=r"needs images of shape \(channels, height, width\), got \(5,\)"):
        UNet().build((5,), 0, rng())


# The U-Net, whose blocks are computed in fewer passes than those of azula


def both_unets(channels: tuple[int, ...], shape: tuple[int, ...]) -> tuple[ImageUNet, ImageUNet]:
    """One network, with no weight at zero, twice: with our blocks, and with those of azula."""
    ours, theirs = (UNet(channels, blocks=1).build(shape, 0, rng()).double() for _ in range(2))
    for p in ours.parameters():
        nn.init.normal_(p, std=0.2, generator=rng(3))
    theirs.unet = AzulaUNet(
        shape[0], shape[0], hid_channels=channels, hid_blocks=(1,) * len(channels), mod_features=64
    ).double()
    theirs.load_state_dict(ours.state_dict())  # they have the same names
    return ours, theirs


def answers(net: ImageUNet, shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """The output, and the gradients of its mean square by the input and by all weights."""
    net = net.to(dtype)
    x = normal(0, 3, *shape).to(dtype).requires_grad_()
    out = net(x, normal(1, 3).to(dtype))
    return [out.detach(), *torch.autograd.grad(out.square().mean(), [x, *net.parameters()])]


@pytest.mark.parametrize(("channels", "shape"), [((2, 3), (1, 8, 8)), ((16, 4), (3, 7, 5))])
def test_blocks_are_the_function_that_azula_has(channels: tuple[int, ...], shape: tuple[int, ...]) -> None:
    ours, theirs = both_unets(channels, shape)
    for a, b in zip(answers(ours, shape), answers(theirs, shape), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10 * float(b.abs().max()))
    for a, b in zip(answers(ours, shape, torch.float32), answers(theirs, shape), strict=True):
        # Some hundred roundings of float32 lie one behind the other.
        torch.testing.assert_close(a.double(), b, rtol=0, atol=1e-4 * float(b.abs().max()))


def test_the_variance_over_channels_is_the_unbiased_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: without the factor between both variances, the function is another."""
    ours, theirs = both_unets((2, 3), (1, 8, 8))
    monkeypatch.setattr("dcdbench.networks.unet.math.sqrt", lambda k: 1.0)
    a, b = answers(ours, (1, 8, 8))[0], answers(theirs, (1, 8, 8))[0]
    assert not torch.allclose(a, b, rtol=1e-2, atol=0)


def test_the_pixels_of_a_block_lie_together() -> None:
    """The stride of channels is 1; where it is not, the next block copies its input."""
    net, strides = UNet((4, 8), blocks=2).build((1, 8, 8), 0, rng()), []
    for layer in (*net.unet.descent[0][1:], *net.unet.descent[1], *net.unet.ascent[1]):
        layer.register_forward_hook(lambda m, x, out: strides.append(out.stride(1)))
    net(torch.randn(2, 1, 8, 8, generator=rng()), torch.zeros(2))
    assert len(strides) == 9 and set(strides) == {1}


# Networks that compute in bfloat16


@pytest.mark.parametrize(
    ("law", "shape"), [(MLP(64, 2), (16,)), (UNet((8, 16), blocks=1), (2, 8, 8))], ids=["mlp", "unet"]
)
def test_bfloat16_is_float32_to_its_rounding(law: MLP | UNet, shape: tuple[int, ...]) -> None:
    """Some tens of roundings of `2^-9` lie one behind the other; weights and all results stay float32."""
    low, high = (replace(law, precision=p).build(shape, 0, rng()) for p in ("bfloat16", "float32"))
    for p, q in zip(low.parameters(), high.parameters(), strict=True):
        nn.init.normal_(p, std=0.5 / max(p[0].numel(), 1) ** 0.5, generator=rng(3))
        q.data.copy_(p.data)
    x, c = torch.randn(64, *shape, generator=rng(1)), torch.linspace(-1.5, 1.1, 64)
    got: list[list[Tensor]] = []
    for net in (low, high):
        out = net(x, c)
        got.append([out.detach(), *torch.autograd.grad(out.square().mean(), list(net.parameters()))])
    assert {t.dtype for t in (*got[0], *low.state_dict().values())} == {torch.float32}
    for a, b in zip(*got, strict=True):
        assert float((a - b).norm() / b.norm()) < 20 * 2**-9
    assert float((got[0][0] - got[1][0]).norm() / got[1][0].norm()) > 2**-12  # control: it is used


def test_an_unknown_precision_is_refused() -> None:
    for law in (MLP, UNet):
        with pytest.raises(ValueError, match="precision must be one of float32, bfloat16, got 'float16'"):
            law(precision="float16")  # type: ignore[arg-type]
