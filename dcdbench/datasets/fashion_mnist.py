"""Fashion-MNIST: photographs of clothes."""

from __future__ import annotations

__all__ = ["FashionMnist"]

from dataclasses import dataclass
from typing import ClassVar

from dcdbench.datasets import register
from dcdbench.datasets.idx import InIdx, four_files
from dcdbench.datasets.real_file import RealFile


@register("fashion_mnist")
@dataclass(frozen=True)
class FashionMnist(InIdx):
    """Fashion-MNIST, 60 000 + 10 000 grey photographs of clothes, in [-1, 1].

    Xiao, Rasul and Vollgraf (2017), https://arxiv.org/abs/1708.07747, from the folder `fashion-mnist` in
    the folder `DCDBENCH_DATA`, or downloaded where `DCDBENCH_DOWNLOAD` is 1. Training data and the floor come
    from its training part, all that is held out from its test part. Labels are the kinds of clothes, 0 to 9.

    Args:
        size: Pixels along each side: 28, or means over 2 by 2 (14) or 4 by 4 (7) of them.
        classes: The labels, 0 to 9, of the images to take; by default all.
    """

    files: ClassVar[tuple[RealFile, ...]] = four_files(
        "fashion-mnist",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        (
            ("3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26_421_880),
            ("a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29_515),
            ("346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4_422_102),
            ("67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5_148),
        ),
    )
