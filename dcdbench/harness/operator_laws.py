"""The laws that operators obey. Each takes a case, and returns its worst gap or raises `Broken`."""

from __future__ import annotations

__all__ = ["GENERAL", "LINEAR"]

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

from dcdbench.harness import draw_laws, mask_laws
from dcdbench.harness.case import TOLERANCE, Broken, Case, close, require


def measured_shape(case: Case) -> float:
    """`A x` has the shape that the law states, and is finite."""
    y = case.draw()(case.signal())
    expected = (case.n, *case.law.measured_shape(case.shape))
    require(tuple(y.shape) == expected, f"A x has shape {tuple(y.shape)}, the law states {expected}")
    require(bool(y.isfinite().all()), "A x is not finite")
    return 0.0


def linearity(case: Case) -> float:
    """`A(a x + b x') = a A(x) + b A(x')`."""
    A, x, other = case.draw(), case.signal(), case.signal("x'")
    return close("A(2x - 3x') and 2A(x) - 3A(x')", A(2 * x - 3 * other), 2 * A(x) - 3 * A(other))


def adjointness(case: Case) -> float:
    """`<A x, y> = <x, A^T y>`, per sample."""
    A, x, y = case.draw(), case.signal(), case.measured()
    lhs = (A(x) * y).flatten(1).sum(1)
    return close("<A x, y> and <x, A^T y>", (x * A.adjoint(y)).flatten(1).sum(1), lhs)


def gradient(case: Case) -> float:
    """The gradient of `<A x, y>` with respect to x is `A^T y`; for nonlinear A, gradcheck."""
    if not case.law.linear:
        return _jacobian(case)
    require(case.law.differentiable, "the law states differentiable = False, but it is linear")
    A, x, y = case.draw(), case.signal().requires_grad_(), case.measured()
    product = (A(x) * y).sum()
    require(product.requires_grad, "A x does not carry the gradient of x")
    (grad,) = torch.autograd.grad(product, x)
    return close("the gradient of <A x, y> and A^T y", grad, A.adjoint(y))


def _jacobian(case: Case, points: int = 3) -> float:
    """Finite differences agree at one of some points: the others may lie at a kink."""
    A = case.draw()
    errors = []
    for i in range(points):
        try:
            torch.autograd.gradcheck(A, (case.signal(f"x{i}").requires_grad_(),))
            return 0.0
        except GradcheckError as error:
            errors.append(str(error).strip().partition("\n")[0])
    raise Broken(f"the gradient of A x is not that of finite differences: {errors[0]}")


def norm(case: Case) -> float:
    """Power iteration with `A^T A` never shrinks `|A x| / |x|`, which is bounded by the norm of A."""
    A, x = case.draw(), case.signal()
    before, shape = torch.zeros(case.n, dtype=case.dtype), (-1, *(1,) * len(case.shape))
    for step in range(8):
        size = x.flatten(1).norm(dim=1)
        gain = torch.where(size > 0, A(x).flatten(1).norm(dim=1) / size, before)
        require(bool(gain.isfinite().all()), f"|A x| / |x| is {gain.max():.3g} after {step} steps")
        gap = float(((before - gain) / before.clamp(min=1)).max())
        text = f"|A x| / |x| falls from {before.max():.4g} to {gain.max():.4g} in step {step}"
        require(gap < TOLERANCE[case.dtype], text)
        x, before = A.adjoint(A(x / size.clamp(min=1e-300).view(shape))), gain
    return 0.0


def pseudo_inverse(case: Case) -> float:
    """Moore and Penrose: `A A+ A = A`, `A+ A A+ = A+`, and both products are symmetric."""
    A, x, y = case.draw(), case.signal(), case.measured()
    other_x, other_y, back = case.signal("x'"), case.measured("y'"), A.pinv(y)
    gaps = [
        close("A A+ A x and A x", A(A.pinv(A(x))), A(x)),
        close("A+ A A+ y and A+ y", A.pinv(A(back)), back),
        close("<A A+ y, y'> and <y, A A+ y'>", _inner(A(back), other_y), _inner(y, A(A.pinv(other_y)))),
        close("<A+ A x, x'> and <x, A+ A x'>", _inner(A.pinv(A(x)), other_x), _inner(x, A.pinv(A(other_x)))),
    ]
    return max(gaps)


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)


def identifiability(case: Case) -> float:
    """`identifiable` agrees with the rank of `E[A^T A]` over many draws.

    Each draw's `A^T A` lies in the range of the mean, so the estimate has full rank only if
    the mean has.
    """
    d, draws = int(np.prod(case.shape)), 1024
    if d > 16:
        return 0.0
    many = replace(case, n=draws).draw("identifiable")
    basis = torch.eye(d, dtype=case.dtype).reshape(d, 1, *case.shape)
    columns = [many.adjoint(many(e.expand(draws, *case.shape))).mean(0).flatten() for e in basis]
    values = torch.linalg.eigvalsh(torch.stack(columns))
    rank = int((values > 1e-9 * values.max().clamp(min=1e-300)).sum())
    stated = case.law.identifiable(case.shape)
    text = f"identifiable is {stated}, but E[A^T A] over {draws} draws has rank {rank} of {d}"
    require(stated == (rank == d), text)
    return 0.0


GENERAL: dict[str, Callable[[Case], float]] = {
    "measured shape": measured_shape,
    "gradient": gradient,
    "restriction": mask_laws.restriction,
    "further corruption": mask_laws.further,
    "condition": mask_laws.condition,
    "back": mask_laws.back,
    "randomness": draw_laws.randomness,
    "slicing": draw_laws.slicing,
    "batch independence": draw_laws.batch_independence,
    "determinism": draw_laws.determinism,
    "no global randomness": draw_laws.no_global_randomness,
    "dtypes": draw_laws.dtypes,
    "moves": draw_laws.moves,
    "store and restore": draw_laws.stored,
}
LINEAR: dict[str, Callable[[Case], float]] = {
    "linearity": linearity,
    "adjointness": adjointness,
    "norm": norm,
    "pseudo-inverse": pseudo_inverse,
    "identifiability": identifiability,
}
