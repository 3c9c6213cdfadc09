"""The classifier of clean references: accuracy, who may see it, and what is said where there is none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor

from dcdbench import classifier
from dcdbench.datasets import registry as datasets
from dcdbench.harness.account import stage_lines
from dcdbench.harness.context import Outcome
from dcdbench.harness.leaderboard import leaderboard
from dcdbench.harness.plan import Plan, make_plan
from dcdbench.harness.records import write_stage
from dcdbench.harness.render import render
from dcdbench.harness.results import collect
from dcdbench.harness.stages import classifier as stage
from dcdbench.harness.stages import data, measurement, scores
from dcdbench.harness.store import Store
from dcdbench.harness.suitefile import load_suite
from dcdbench.metrics.class_shares import ClassShares
from dcdbench.metrics.features import Features
from dcdbench.metrics.memorisation import Memorisation
from dcdbench.protocols import Data
from dcdbench.streams import Stream

BARS, SIDE = 3, 8


@dataclass(frozen=True)
class Bars:
    """Images of one bright row among three, with noise: a source with labels.

    Args:
        labelled: Whether the classes are told.
    """

    labelled: bool = True

    corrupted = False

    def shape(self) -> tuple[int, ...]:
        return (1, SIDE, SIDE)

    def load(self, train: int | None, heldout: int | None, stream: Stream) -> Data:
        names = ("train", "val", "test", "reference", "floor")
        sizes = [train or 300, *[heldout or 150] * 4]
        drawn = {name: draw(n, stream / name) for name, n in zip(names, sizes, strict=True)}
        labels = {name: drawn[name][1] for name in names[3:]} if self.labelled else {}
        return Data(*(drawn[name][0] for name in names), labels=labels)


def draw(n: int, stream: Stream, kinds: int = BARS) -> tuple[Tensor, Tensor]:
    """Images, and which row is bright."""
    rng = stream.rng()
    labels = torch.randint(kinds, (n,), generator=rng)
    x = 0.3 * torch.randn(n, 1, SIDE, SIDE, generator=rng) - 1
    x[torch.arange(n), :, 2 + 2 * labels] += 2
    return x, labels


@pytest.fixture(autouse=True)
def source() -> Any:
    len(datasets)
    datasets.register("bars")(Bars)
    yield
    del datasets._members["bars"]


@pytest.fixture(scope="module")
def brief() -> Any:
    """A short training: the signals are easy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "STEPS", 60)
        yield


def base(labelled: bool = True, heldout: int = 150) -> dict[str, Any]:
    """The stages of data, measurement and classifier."""
    found = {"data": data.run(tiny.context("data", Path()), Bars(labelled), 300, heldout)}
    place = tiny.context("measurement", Path(), found)
    measured = measurement.run(place, tiny.NOISE, corrupted=False, shape=(1, SIDE, SIDE))
    trained = stage.run(tiny.context("classifier", Path(), found))
    return found | {"measurement": measured, "classifier": trained}


METRICS = (Features(), ClassShares(), Memorisation())


def score(parents: dict[str, Any], source: str = "floor", x: Tensor | None = None) -> dict[str, Any]:
    if x is not None:
        parents = parents | {"samples": Outcome({}, {"samples": {"x": x}})}
    place = tiny.context("scores", Path(), parents)
    return scores.run(place, source, METRICS, tiny.NOISE, Bars(), None, ()).result  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def parents(brief: None) -> dict[str, Any]:
    return base()


def test_it_finds_the_classes_of_held_out_signals(parents: dict[str, Any]) -> None:
    result = parents["classifier"].result
    assert result["accuracy"] > 0.95 and result["classes"] == BARS
    assert (result["n"], result["held_out"]) == (150, 150)
    mixed = dict(parents["data"].tensors)
    shuffled = mixed["labels"]["floor"][torch.randperm(150, generator=torch.Generator().manual_seed(0))]
    net = stage.load(tiny.parent(parents["classifier"]))
    assert classifier.accuracy(net, mixed["splits"]["floor"], shuffled) < 0.6  # control: chance is a third


def test_it_is_a_function_of_its_address(parents: dict[str, Any]) -> None:
    before = torch.get_rng_state()
    again = stage.run(tiny.context("classifier", Path(), {"data": parents["data"]}))
    assert torch.equal(torch.get_rng_state(), before)
    assert again.result == parents["classifier"].result
    ours, theirs = again.tensors["weights"], parents["classifier"].tensors["weights"]
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs) and ours.keys() == theirs.keys()
    other = stage.run(tiny.context("classifier", Path(), {"data": parents["data"]}, seed=1))
    assert not torch.equal(other.tensors["weights"]["last.weight"], theirs["last.weight"])  # control


def test_what_is_stored_has_the_same_features(parents: dict[str, Any]) -> None:
    """In float64, for one signal as for many, and on any type of signals."""
    net = stage.load(tiny.parent(parents["classifier"]))
    x = parents["data"].tensors["splits"]["floor"]
    whole = net.features(x)
    assert whole.dtype == torch.float64 and not whole.requires_grad
    torch.testing.assert_close(torch.cat([net.features(part) for part in x.split(7)]), whole)
    assert torch.equal(net.features(x.double()), whole)
    assert torch.equal(net.last(whole).argmax(1), net.classes(x))


def test_known_features_are_those_of_the_network(parents: dict[str, Any]) -> None:
    """Of the references, of samples twice, and of others after them; the network is asked once for each."""
    net, asked = stage.load(tiny.parent(parents["classifier"])), []
    plain = classifier.Network.features

    def counted(self: classifier.Network, x: Tensor) -> Tensor:
        asked.append(len(x))
        return plain(self, x)

    splits = parents["data"].tensors["splits"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier.Network, "features", counted)
        known = stage.Known(net, splits["reference"])
        for x in (splits["reference"], splits["floor"], splits["floor"].double(), splits["floor"][:9]):
            assert torch.equal(known.features(x), plain(net, x))
            assert torch.equal(known.classes(x), net.classes(x))
    assert asked == [150, 150, 9]


def test_values_order_what_is_worse(parents: dict[str, Any]) -> None:
    """Clean signals, noisy ones, and one class alone."""
    clean, labels = draw(150, Stream(9))
    noisy = clean + torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    floor, right, wrong = (
        score(parents)["scores"],
        *(score(parents, "samples", x)["scores"] for x in (clean, noisy)),
    )
    assert right["feature_frechet"] < wrong["feature_frechet"]
    assert right["feature_coverage"] > wrong["feature_coverage"]
    assert floor["feature_frechet"] < wrong["feature_frechet"]
    one = score(parents, "samples", clean[labels == 0])["scores"]
    shares = torch.bincount(parents["data"].tensors["labels"]["reference"], minlength=BARS) / 150
    assert one["class_distance"] == pytest.approx(1 - shares[0].item(), abs=0.05)
    assert one["class_entropy"] == pytest.approx(-torch.special.entr(shares).sum().item(), abs=0.05)
    assert right["class_distance"] < 0.3 and right["class_entropy"] > -0.2


def test_the_floor_is_scored_without_its_own_signals(parents: dict[str, Any]) -> None:
    """Where the floor is a part of the training data, as for finite sets. Samples are not."""
    splits = dict(parents["data"].tensors["splits"])
    splits["train"] = torch.cat([splits["floor"], splits["train"]])
    parted = parents | {
        "data": replace(parents["data"], tensors=parents["data"].tensors | {"splits": splits})
    }
    assert score(parted)["scores"]["memorised"] == score(parents)["scores"]["memorised"] < 0.5
    assert score(parted, "samples", splits["floor"])["scores"]["memorised"] == 1  # control
    splits["train"] = splits["floor"]
    assert "none" in score(parted)["skipped"]["memorised"]


@pytest.mark.parametrize(
    ("labelled", "heldout", "reason"), [(False, 150, "labels"), (True, 29, "needs 10 labelled references")]
)
def test_without_enough_labels_there_is_a_reason(labelled: bool, heldout: int, reason: str) -> None:
    found = base(labelled, heldout)
    assert reason in found["classifier"].result["unfit"] and not found["classifier"].tensors
    result = score(found)
    assert reason in result["skipped"]["feature_frechet"] and reason in result["skipped"]["class_distance"]
    assert "memorised" in result["scores"]


def test_labels_that_are_no_classes_are_refused() -> None:
    assert classifier.unfit(torch.arange(100) % 10) is None
    for labels in (None, torch.zeros(0).long(), torch.zeros(50).long(), torch.arange(100) - 1):
        assert classifier.unfit(labels)


@pytest.mark.parametrize("shape", [(7,), (1, 1, 1), (3, 5, 9)])
def test_any_shape_has_features(shape: tuple[int, ...]) -> None:
    net = classifier.build(shape, 4, Stream(0).rng())
    x = torch.randn(6, *shape, generator=torch.Generator().manual_seed(0))
    assert net.features(x).shape == (6, classifier.FEATURES) and net.classes(x).shape == (6,)


def test_shifts_move_images_by_a_pixel() -> None:
    x = torch.arange(30.0).reshape(1, 1, 5, 6).expand(200, -1, -1, -1)
    moved = classifier._shifted(x, torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(x[:1], (1, 1, 1, 1), mode="replicate")[0, 0]
    windows = {tuple(padded[i : i + 5, j : j + 6].flatten().tolist()) for i in range(3) for j in range(3)}
    assert {tuple(image.flatten().tolist()) for image in moved} == windows


# In a plan

SCORES = {"feature_frechet": 1.0, "feature_coverage": 0.5}
SUITE = """\
seeds: [0]
network: {mlp: {width: 16, depth: 1}}
budget: {teacher_kimg: 1, student_kimg: 1, batch: 100}
tasks:
  bars: {data: bars, operator: identity, sigma_y: 0.2, train: 300, heldout: 150}
  normal: {data: {gaussian: {dim: 2, rank: 2}}, operator: identity, sigma_y: 0.2, train: 300, heldout: 50}
methods: {observed: observed, teacher: teacher, oracle: oracle}
metrics: METRICS
"""


def plan(folder: Path, metrics: str) -> Plan:
    path = folder / "s.yaml"
    path.write_text(SUITE.replace("METRICS", metrics))
    return make_plan(load_suite(path))


def test_it_is_planned_once_per_task_and_seed_for_the_scores_alone(tmp_path: Path) -> None:
    """No training and no sampling can reach it; a suite without such a metric has none."""
    planned = plan(tmp_path, "[frechet, features, class_shares]")
    kinds = {s.key: s.kind for s in planned.stages}
    assert list(kinds.values()).count("classifier") == 2
    for s in planned.stages:
        assert ("classifier" in s.parents) is (s.kind == "scores")
        assert s.kind == "scores" or "classifier" not in {kinds[key] for key in s.parents.values()}
    assert "classifier" not in {s.kind for s in plan(tmp_path, "[frechet, memorisation]").stages}


def test_its_accuracy_is_shown(tmp_path: Path) -> None:
    """By `show`, and in a note of the table; the reason why there is none by `show`."""
    planned, store = plan(tmp_path, "[features]"), Store(tmp_path / "store")
    results = {
        "classifier": {"accuracy": 0.9714, "classes": 3},
        "scores": {"n": 5, "scores": SCORES, "skipped": {}},
    }
    for s in planned.stages:
        write_stage(store.folder(s.key), s.key, s.identity, Outcome(results.get(s.kind, {})), {})
    found = next(c for c in planned.cells if (c.task, c.method) == ("bars", "observed"))
    assert "accuracy: 0.9714" in "\n".join(stage_lines(store, found.stages["classifier"]))
    assert collect(planned, store).cells[0].extra == {"classifier": 0.9714}
    assert "at least 97.1 %" in " ".join(render(leaderboard(collect(planned, store))).split())
    none = next(s for s in planned.stages if s.key == found.stages["classifier"])
    write_stage(store.folder(none.key), none.key, none.identity, Outcome({"unfit": "needs labels"}), {})
    assert "unfit: needs labels" in "\n".join(stage_lines(store, none.key))
