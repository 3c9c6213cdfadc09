r"""Adam on all weights of a network at once, with steps that are no larger than usual.

Adam: A Method for Stochastic Optimization (Kingma and Ba, 2015), https://arxiv.org/abs/1412.6980,
algorithm 1:

$$m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
u = \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}, \quad w \leftarrow w - \eta u.$$
"""

from __future__ import annotations

__all__ = ["Adam", "flat"]

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

EPSILON = 1e-8


class Adam:
    r"""Adam, whose weights, gradients and moments are one vector each, of `n` entries.

    Args:
        parameters: What is trained, of one dtype and on one device. Their memory is moved to one place.
        lr: The learning rate $\eta$, which may be set before each step.
        beta1: $\beta_1$, in [0, 1); at 0 no first moment is kept.
        beta2: $\beta_2$, in [0, 1).
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, beta1: float, beta2: float = 0.999
    ) -> None:
        self.parameters = list(parameters)
        self.lr, self.beta1, self.beta2 = lr, beta1, beta2
        weights = flat(self.parameters)
        self.first = torch.zeros_like(weights) if beta1 > 0 else None
        self.second = torch.zeros_like(weights)
        # Memory that is taken anew for each step costs more, on a CPU, than what is computed in it.
        self.gathered, self.update = torch.zeros_like(weights), torch.zeros_like(weights)
        self.steps = 0

    def zero_grad(self) -> None:
        """Forgets the gradients."""
        for p in self.parameters:
            p.grad = None

    def gradient(self) -> Tensor:
        """The gradient of all weights, `(n,)`, until the next call; 0 where a parameter took no part."""
        grads = (torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters)
        return torch.cat([g.reshape(-1) for g in grads], out=self.gathered)

    @torch.no_grad()
    def step(self, gradient: Tensor | None = None, most: float = math.inf) -> None:
        r"""One step, made shorter where the root mean square of `u` is above `most`.

        Update clipping (Shazeer and Stern, 2018, https://arxiv.org/abs/1804.04235, section 6): clipping
        gradients does not help, since Adam divides by their size in each direction.

        Args:
            gradient: The gradient, `(n,)`, if it is not that of the parameters.
            most: `> 0`, or inf for no bound; usual steps have about 1.
        """
        u = self._update(self.gradient() if gradient is None else gradient)
        weights = flat(self.parameters)
        if math.isinf(most):
            weights.add_(u, alpha=-self.lr)
        else:  # the size stays on the device
            excess = (size(u) / most).clamp(min=1.0)
            weights.addcmul_(u, excess.reciprocal(), value=-self.lr)

    def _update(self, g: Tensor) -> Tensor:
        """`u`, after the moments have seen `g`."""
        self.steps += 1
        self.second.mul_(self.beta2).addcmul_(g, g, value=1 - self.beta2)
        root = math.sqrt(1 - self.beta2**self.steps)
        below = torch.sqrt(self.second, out=self.update).add_(EPSILON * root)
        if self.first is not None:
            g = self.first.lerp_(g, 1 - self.beta1)
        return torch.div(g, below, out=self.update).mul_(root / (1 - self.beta1**self.steps))

    def tensors(self) -> dict[str, Tensor]:
        """All that is needed beside weights and rate to go on from here to the same bits, by name."""
        named = {"steps": torch.tensor(self.steps), "second": self.second}
        return named if self.first is None else named | {"first": self.first}

    def load(self, named: dict[str, Tensor]) -> None:
        """Goes on from what `tensors` gave, in place."""
        self.steps = int(named["steps"])
        for name, own in self.tensors().items():
            own.copy_(named[name])


def size(u: Tensor) -> Tensor:
    """The root mean square of a vector, `()`."""
    norm: Tensor = torch.linalg.vector_norm(u)
    return norm / math.sqrt(max(u.numel(), 1))


def flat(parameters: Sequence[nn.Parameter]) -> Tensor:
    """The entries of all parameters as one vector, `(n,)`, in the same memory.

    Parameters that do not lie one behind the other, such as those of a copied network, are moved there first.

    Raises:
        ValueError: Without parameters.
    """
    if not parameters:
        raise ValueError("expected at least one parameter to train, got none")
    n = sum(p.numel() for p in parameters)
    first = parameters[0].detach()
    if not _lie_together(parameters, first.untyped_storage().nbytes(), n):
        first = torch.cat([p.detach().reshape(-1) for p in parameters])
        for p, part in zip(parameters, first.split([p.numel() for p in parameters]), strict=True):
            p.data = part.view(p.shape)
    return first.as_strided((n,), (1,))


def _lie_together(parameters: Sequence[nn.Parameter], storage: int, n: int) -> bool:
    """Whether the memory of the first, of so many bytes, holds all of them in their order."""
    width = parameters[0].element_size()
    if parameters[0].storage_offset() + n > storage // width:
        return False
    sizes = (p.numel() * width for p in parameters[:-1])
    starts = accumulate(sizes, initial=parameters[0].data_ptr())
    return all(p.data_ptr() == at and p.is_contiguous() for p, at in zip(parameters, starts, strict=True))
