"""MNIST: handwritten digits."""

from __future__ import annotations

__all__ = ["Mnist"]

from dataclasses import dataclass
from typing import ClassVar

from dcdbench.datasets import register
from dcdbench.datasets.idx import InIdx, four_files
from dcdbench.datasets.real_file import RealFile


@register("mnist")
@dataclass(frozen=True)
class Mnist(InIdx):
    """MNIST, 60 000 + 10 000 handwritten digits, grey in [-1, 1].

    LeCun, Bottou, Bengio and Haffner (1998), https://doi.org/10.1109/5.726791, from the folder `mnist` in
    the folder `DCDBENCH_DATA`, or downloaded where `DCDBENCH_DOWNLOAD` is 1. Training data and the floor come
    from its training part, all that is held out from its test part. Labels are the digits.

    Args:
        size: Pixels along each side: 28, or means over 2 by 2 (14) or 4 by 4 (7) of them.
        classes: The digits to take; by default all.
    """

    files: ClassVar[tuple[RealFile, ...]] = four_files(
        "mnist",
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        (
            ("440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", 9_912_422),
            ("3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", 28_881),
            ("8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", 1_648_877),
            ("f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", 4_542),
        ),
    )
