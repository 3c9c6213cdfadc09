"""The stage that trains a classifier of clean references: once per task and seed, for the scores alone."""

from __future__ import annotations

__all__ = ["Known", "load", "reason", "run"]

import torch
from torch import Tensor

from dcdbench import classifier
from dcdbench.harness.context import Context, Outcome, Parent
from dcdbench.harness.stages import data as data_stage


def run(context: Context) -> Outcome:
    """Trains on the labelled references, and says how many signals of the floor it classifies correctly.

    Where the references have too few labels there is no classifier, and the result has the reason.
    """
    splits = data_stage.load(context.parents["data"])
    labels, held_out = splits.labels.get("reference"), splits.labels.get("floor")
    if why := classifier.unfit(labels):
        return Outcome({"unfit": why})
    assert labels is not None
    net = classifier.fit(splits.reference, labels, context.stream, context.tick)
    weights = {name: t.clone() for name, t in net.state_dict().items()}
    classes = int(labels.max()) + 1
    result = {"n": len(labels), "classes": classes, "shape": list(splits.reference.shape[1:])}
    if held_out is not None and len(held_out):
        result |= {"accuracy": classifier.accuracy(net, splits.floor, held_out), "held_out": len(held_out)}
    return Outcome(result, {"weights": weights})


def reason(parent: Parent) -> str | None:
    """Why there is no classifier; None where there is one."""
    found: str | None = parent.result.get("unfit")
    return found


def load(parent: Parent) -> classifier.Network:
    """The trained classifier."""
    shape, classes = tuple(parent.result["shape"]), int(parent.result["classes"])
    net = classifier.Network(shape, classes)
    net.load_state_dict(parent.tensors("weights"))
    return net.requires_grad_(False)


class Known:
    """A classifier that computes the features of the references once, and those of samples once in a row.

    Args:
        net: The classifier.
        references: The clean references, `(n, *signal)`.
    """

    def __init__(self, net: classifier.Network, references: Tensor) -> None:
        self.net = net
        self.references = self.latest = (references, net.features(references))

    def features(self, x: Tensor) -> Tensor:
        """Those of the network."""
        for known, found in (self.references, self.latest):
            if known.shape == x.shape and torch.equal(known.to(x), x):
                return found.to(x.device)
        self.latest = (x, self.net.features(x))
        return self.latest[1]

    def classes(self, x: Tensor) -> Tensor:
        """Those of the network, from the features."""
        return self.net.last(self.features(x).to(self.net.last.weight)).argmax(1).to(x.device)
