"""The contract of the family: every registered metric meets it, without a new test file."""

from __future__ import annotations

import math
import pickle
from dataclasses import FrozenInstanceError, fields, is_dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dcdbench.analytic import GaussianMixture
from dcdbench.metrics import registry
from dcdbench.operators.inpainting import Inpainting
from dcdbench.problem import Corruption, Reference
from dcdbench.protocols import Metric

N, SHAPE = 300, (1, 2, 1)  # two numbers, so that all metrics are offered
MEANS = torch.tensor([[-0.25, 0.0], [0.25, 0.0]])
LAW = GaussianMixture(torch.tensor([0.4, 0.6]), MEANS, 0.03 * torch.eye(2).repeat(2, 1, 1))  # in [-1, 1]


class Halves:
    """A classifier of the fixture's signals: their own numbers are its features, their signs the classes."""

    def features(self, x: Tensor) -> Tensor:
        return (4 * x.detach().flatten(1).double()).tanh()

    def classes(self, x: Tensor) -> Tensor:
        return (x.detach().flatten(1)[:, 0] > 0).long()


NEEDS = ("clean", "density", "measurements", "training", "labels")


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(seed: int, n: int = N) -> Tensor:
    return LAW.sample(n, generator(seed)).float().reshape(n, *SHAPE)


@pytest.fixture(scope="module")
def reference() -> Reference:
    corruption = Corruption(Inpainting(keep=0.8), 0.1)
    clean, labels = draw(0), Halves().classes(draw(0))
    test = corruption(clean, generator(1))
    return Reference(clean, test, corruption, LAW, draw(3, 2 * N), labels, Halves())


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that gives the two numbers of the fixture's signals, but smoothly squashed."""

    class Squash(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, 0, :, 0].tanh()

    path = tmp_path_factory.mktemp("weights") / "net.pt"
    torch.jit.script(Squash()).save(path)
    return path


@pytest.fixture(params=list(registry))
def metric(request: pytest.FixtureRequest) -> Metric:
    more = {"weights": request.getfixturevalue("weights"), "size": 2} if request.param == "fid" else {}
    found: Metric = registry[request.param](**more)
    return found


def test_states_what_it_is(metric: Metric) -> None:
    assert isinstance(metric, Metric) and is_dataclass(metric) and metric.__doc__
    assert metric.needs in NEEDS and metric.sampling_unit
    assert all(
        direction in ("lower", "higher", "neither") and unit for direction, unit in metric.values.values()
    )
    name = fields(metric)[0].name if fields(metric) else "anything"
    with pytest.raises((FrozenInstanceError, AttributeError)):
        setattr(metric, name, 1)
    assert pickle.loads(pickle.dumps(metric)) == metric


def test_value_names_are_given_once() -> None:
    names = [name for member in registry for name in registry[member].values]
    assert len(names) == len(set(names))


def test_returns_what_it_declares(metric: Metric, reference: Reference) -> None:
    assert metric.supports(reference) is None
    scores = metric(draw(2), reference, generator(0))
    assert set(scores) == set(metric.values)
    assert all(type(score) is float and math.isfinite(score) for score in scores.values())


def test_is_a_function_of_samples_and_rng(metric: Metric, reference: Reference) -> None:
    x = draw(2)
    before = torch.get_rng_state()
    kept = x.clone()
    assert metric(x, reference, generator(0)) == metric(x, reference, generator(0))
    assert torch.equal(torch.get_rng_state(), before) and torch.equal(x, kept)
    x.requires_grad_()
    assert metric(x, reference, generator(0)) == metric(kept, reference, generator(0))


def test_ignores_the_order_of_samples(metric: Metric, reference: Reference) -> None:
    """Up to rounding; fresh corruptions meet other samples then, so only their law stays."""
    x = draw(2)
    order = torch.randperm(N, generator=generator(5))
    scores, shuffled = (metric(z, reference, generator(0)) for z in (x, x[order]))
    tol = {"rel": 0.5} if metric.needs == "measurements" else {"rel": 1e-6, "abs": 1e-9}
    assert shuffled == pytest.approx(scores, **tol)


def test_double_precision_changes_nothing(metric: Metric, reference: Reference) -> None:
    x = draw(2)
    if metric.needs == "measurements":
        pytest.skip("noise is drawn in the dtype of the samples")
    assert metric(x.double(), reference, generator(0)) == pytest.approx(
        metric(x, reference, generator(0)), rel=1e-5
    )


def test_more_or_fewer_samples_than_the_reference_will_do(metric: Metric, reference: Reference) -> None:
    for n in (N // 2, 2 * N):
        scores = metric(draw(2, n), reference, generator(0))
        assert all(math.isfinite(score) for score in scores.values())


def test_the_reference_itself_scores_at_the_optimum(metric: Metric, reference: Reference) -> None:
    """Distances to clean samples vanish; the others are no better than for fresh clean samples."""
    if metric.needs == "training":
        pytest.skip("the references are not its optimum: they are as near to themselves as can be")
    assert reference.clean is not None
    best = metric(reference.clean, reference, generator(0))
    fresh = metric(draw(7), reference, generator(0))
    for name, (direction, _) in metric.values.items():
        if metric.needs != "clean":
            assert abs(best[name] - fresh[name]) < 0.25
        elif direction == "lower":
            assert best[name] == pytest.approx(0, abs=1e-7) and fresh[name] > 1e-5
        else:
            assert best[name] == pytest.approx(1, abs=1e-12)


def test_clearly_wrong_samples_score_worse(metric: Metric, reference: Reference) -> None:
    """Where what is wrong is to be a training signal, samples are wrong that are those."""
    assert reference.train is not None
    right = metric(draw(7), reference, generator(0))
    bad = reference.train if metric.needs == "training" else 0.1 * draw(8) + 4
    wrong = metric(bad, reference, generator(0))
    for name, (direction, _) in metric.values.items():
        worse = wrong[name] - right[name]
        assert worse > 1e-3 if direction == "lower" else worse < -1e-3


def test_refuses_what_it_cannot_score(metric: Metric, reference: Reference) -> None:
    bare = Reference(None, reference.test, reference.corruption, None)
    reason = metric.supports(bare)
    assert (reason is None) == (metric.needs == "measurements")
    assert reason is None or (reason[0].islower() and len(reason) < 100)  # it goes into a table's cell
    x = draw(2)
    x[0] = math.inf
    with pytest.raises(ValueError, match="finite"):
        metric(x, reference, generator(0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_follows_the_samples_to_their_device(metric: Metric, reference: Reference) -> None:
    x = draw(2)
    here = metric(x, reference, generator(0))
    there = metric(x.cuda(), reference, torch.Generator("cuda").manual_seed(0))
    rel = 0.5 if metric.needs == "measurements" or "sliced_w2" in here else 1e-4
    assert there == pytest.approx(here, rel=rel)
