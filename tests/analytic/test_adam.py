"""The optimiser against that of torch, the bound of its steps, the memory of all weights, and a descent."""

from __future__ import annotations

import math
from copy import deepcopy
from itertools import islice

import pytest
import tiny
import torch
from torch import Tensor, nn

from dcdbench.adam import flat
from dcdbench.phases.descend import descend
from dcdbench.streams import Stream
from dcdbench.training import Diverged, adam, average, copy_of, train

STREAM = Stream(7) / "test"
RATE, EPSILON = 1e-2, 1e-8


def network() -> nn.Sequential:
    """In float64, from the same weights each time."""
    net = nn.Sequential(nn.Linear(4, 5), nn.SiLU(), nn.Linear(5, 3)).double()
    for k, p in enumerate(net.parameters()):
        nn.init.normal_(p, generator=Stream(k).rng())
    return net


def loss_of(net: nn.Module, step: int, scale: float = 1.0) -> Tensor:
    x = torch.randn(8, 4, dtype=torch.float64, generator=Stream(step).rng())
    return scale * net(x).square().mean()


def weights(net: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def unlike(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


# The oracle is torch's


@pytest.mark.parametrize("beta1", [0.0, 0.9])
@pytest.mark.parametrize("clip", [0.05, math.inf])
def test_steps_are_those_of_torch(beta1: float, clip: float) -> None:
    ours, theirs, other = (network() for _ in range(3))
    optimizer, another = adam(ours, RATE, beta1, 0.99), adam(other, RATE, beta1, 0.98)
    oracle = torch.optim.Adam(theirs.parameters(), lr=RATE, betas=(beta1, 0.99), eps=EPSILON)
    for step in range(30):
        optimizer.lr = oracle.param_groups[0]["lr"] = RATE * (1 + step % 3)  # it may be set each time
        value, norm = descend(optimizer, loss_of(ours, step), STREAM, clip=clip)
        oracle.zero_grad()
        loss = loss_of(theirs, step)
        loss.backward()
        expected = nn.utils.clip_grad_norm_(theirs.parameters(), clip)
        oracle.step()
        assert value == pytest.approx(loss.item(), rel=1e-9)
        assert norm == pytest.approx(expected.item(), rel=1e-9)
        assert norm > 0.05  # the bound, where there is one, is met
        descend(another, loss_of(other, step), STREAM, clip=clip)
        assert unlike(weights(ours), weights(theirs)) < 1e-9
    assert unlike(weights(ours), weights(network())) > 0.1
    assert unlike(weights(other), weights(theirs)) > 1e-4  # control: another memory


def update_by_the_book(grads: list[Tensor], beta2: float) -> Tensor:
    """The last step of Adam without a first moment in units of the rate, from all gradients up to it."""
    t = len(grads)
    v = torch.stack([(1 - beta2) * beta2 ** (t - 1 - k) * g.square() for k, g in enumerate(grads)]).sum(0)
    return grads[-1] / ((v / (1 - beta2**t)).sqrt() + EPSILON)


def test_the_bound_scales_steps_and_nothing_else() -> None:
    """A step is that of torch, divided by its excess over the bound; moments and rate are left alone."""
    most, excesses, net = 1.1, [], network()
    grads: list[Tensor] = []
    optimizer = adam(net, RATE, 0.0, 0.99)
    for step in range(12):
        before = weights(net)
        optimizer.zero_grad()
        loss_of(net, step, 1.0 + 9 * (step == 8)).backward()
        grads.append(weights_grad(net))
        optimizer.step(most=most)
        u = update_by_the_book(grads, 0.99)
        excesses.append(max(float(u.square().mean().sqrt()) / most, 1.0))
        torch.testing.assert_close(before - weights(net), RATE * u / excesses[-1], rtol=1e-8, atol=1e-12)
    assert optimizer.lr == RATE
    assert excesses[8] > 1.5 and excesses[0] == 1.0  # the bound is met, and is not


def weights_grad(net: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]).clone()


@pytest.mark.parametrize("beta2", [0.9, 0.99, 0.999])
def test_a_surge_moves_weights_as_far_as_the_memory_of_gradients_allows(beta2: float) -> None:
    """With gradients of size 1 and then one of size `s >> 1`, Adam's step is `lr / sqrt(1 - beta2)`."""
    net = nn.Linear(1, 1, bias=False)
    optimizer = adam(net, 1e-3, 0.0, beta2)
    for surge in [1.0] * round(10 / (1 - beta2)) + [1e6]:  # its corrected memory is 1 from the first on
        net.weight.grad = torch.full_like(net.weight, surge)
        before = net.weight.item()
        optimizer.step()
    assert abs(net.weight.item() - before) == pytest.approx(1e-3 / math.sqrt(1 - beta2), rel=0.01)


@pytest.mark.parametrize("most", [1.0, 3.0, math.inf])
def test_a_surge_moves_weights_no_further_than_the_largest_update(most: float) -> None:
    """Without a bound, it moves them as far as above. Usual steps and the rate are left alone."""
    net = nn.Linear(3, 2, bias=False)
    optimizer, last = adam(net, 1e-3, 0.0, 0.99), 0.0
    for g in [1.0] * 1500 + [1e6]:
        net.weight.grad = torch.full_like(net.weight, g)
        before = net.weight.detach().clone()
        optimizer.step(most=most)
        last = float((net.weight.detach() - before).square().mean().sqrt()) / 1e-3
        assert optimizer.lr == 1e-3
        assert g > 1 or last == pytest.approx(1, rel=1e-3)
    assert last == pytest.approx(min(10, most), rel=0.01)


# One memory


def test_weights_lie_in_one_memory_and_stay_what_they_were() -> None:
    net, before = network(), weights(network())
    x = torch.randn(2, 4, dtype=torch.float64, generator=Stream(0).rng())
    out = net(x)
    vector = flat(list(net.parameters()))
    assert torch.equal(vector, before) and torch.equal(net(x), out)
    assert flat(list(net.parameters())).data_ptr() == vector.data_ptr()  # the second time nothing moves
    vector += 1
    assert torch.equal(weights(net), before + 1) and not torch.equal(net(x), out)
    net.load_state_dict(network().state_dict())
    assert torch.equal(vector, before)  # what is loaded comes to the same place


def test_what_does_not_lie_together_is_moved_there() -> None:
    """Other orders, a part, and copies, of which the memory is their own."""
    net = network()
    parameters = list(net.parameters())
    whole = flat(parameters)
    assert flat(parameters[1:3]).data_ptr() == parameters[1].data_ptr() > whole.data_ptr()
    backward = flat(parameters[::-1])
    assert torch.equal(backward, torch.cat([p.detach().flatten() for p in parameters[::-1]]))
    copy = deepcopy(net)
    flat(list(copy.parameters())).zero_()
    assert torch.equal(weights(net), weights(network())) and not weights(copy).any()
    strided = nn.Parameter(torch.arange(6.0).reshape(2, 3).t())
    assert torch.equal(flat([strided]), torch.tensor([0.0, 3.0, 1.0, 4.0, 2.0, 5.0]))
    with pytest.raises(ValueError, match="at least one parameter"):
        flat([])


def test_neighbours_by_chance_are_moved_to_one_memory() -> None:
    """Two tensors that touch each other, each with a memory of its own that ends where it does."""
    memory = bytearray(24)
    pair = [nn.Parameter(torch.frombuffer(memory, dtype=torch.float32, count=3, offset=o)) for o in (0, 12)]
    assert pair[1].data_ptr() == pair[0].data_ptr() + 12
    vector = flat(pair)
    vector.copy_(torch.arange(6.0))
    assert torch.equal(weights(nn.ParameterList(pair)), torch.arange(6.0)) and not any(memory)


def test_a_copied_state_goes_on_alone_to_the_same_bits() -> None:
    """As where operations are counted: the optimisers of the copy move the networks of the copy."""
    phase, problem = tiny.distil(batch=16), tiny.problem()
    state = phase.init(problem, tiny.exact_teacher(), STREAM)
    phase.step(state, problem, STREAM / 0)
    copy, before = deepcopy(state), {k: v.clone() for k, v in state.tensors().items()}
    list(islice(train(phase, problem, copy, STREAM), 2))
    assert all(torch.equal(v, before[k]) for k, v in state.tensors().items())
    list(islice(train(phase, problem, state, STREAM), 2))
    assert all(torch.equal(v, copy.tensors()[k]) for k, v in state.tensors().items())
    assert not all(torch.equal(v, before[k]) for k, v in state.tensors().items())


def test_averages_move_by_entry_wherever_weights_lie() -> None:
    net, mean = network(), copy_of(network(), trained=False)  # type: ignore[arg-type]
    with torch.no_grad():
        flat(list(net.parameters())).add_(1.0)
    average(mean, net, 64, 10_000, 64.0)
    torch.testing.assert_close(weights(mean), weights(network()) + 0.5)


# One descent


def linear(net: nn.Module, grads: list[Tensor]) -> Tensor:
    """A loss that has these gradients."""
    terms = [(p * g).sum() for p, g in zip(net.parameters(), grads, strict=False)]
    return torch.stack(terms).sum()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_clipping_scales_only_what_is_too_long(scale: float) -> None:
    net = network()
    grads = [scale * torch.randn(p.shape, generator=Stream(0).rng()).double() for p in net.parameters()]
    whole = torch.cat([g.flatten() for g in grads])
    optimizer = adam(net, RATE, 0.0)
    _, norm = descend(optimizer, linear(net, grads), STREAM, clip=1.0)
    assert norm == pytest.approx(whole.norm().item(), rel=1e-9)
    torch.testing.assert_close(optimizer.gathered, min(1.0, 1.0 / norm) * whole, rtol=1e-5, atol=0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["the loss", "the gradient's norm"])
def test_nothing_bad_reaches_a_weight(bad: float, where: str) -> None:
    net = network()
    optimizer, before = adam(net, RATE, 0.9), weights(net)
    grads = [torch.ones_like(p) for p in net.parameters()]
    loss = linear(net, grads)
    if where == "the loss":
        loss = loss + bad
    else:
        next(net.parameters()).register_hook(lambda g: g * bad)
    with pytest.raises(Diverged, match=rf"{where} is (nan|inf) \(step 7/test\)"):
        descend(optimizer, loss, STREAM, clip=1.0)
    assert torch.equal(weights(net), before) and not optimizer.second.any() and optimizer.steps == 0


def test_a_loss_above_its_bound_ends_the_training() -> None:
    net = network()
    ones = [torch.ones_like(p) for p in net.parameters()]
    value = linear(net, ones).item()
    optimizer = adam(net, RATE, 0.9)
    assert descend(optimizer, linear(net, ones), STREAM, bound=value + 1)[0] == pytest.approx(value)
    with pytest.raises(Diverged, match="the loss has exploded"):
        descend(optimizer, linear(net, ones) + 100, STREAM, bound=value + 1)


@pytest.mark.parametrize("beta1", [0.0, 0.9])
def test_a_parameter_that_takes_no_part_stays_where_it_is(beta1: float) -> None:
    net = network()
    optimizer = adam(net, RATE, beta1)
    first, *_, last = (p.detach().clone() for p in net.parameters())
    for _ in range(3):
        descend(optimizer, linear(net, [torch.ones_like(first)]), STREAM)
    assert not torch.equal(next(net.parameters()), first) and torch.equal(list(net.parameters())[-1], last)
