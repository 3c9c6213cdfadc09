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
from dcdbench.protocols import Operator

POWER = 32  # steps of power iteration
SHORT = 0.05  # of the norm: so much can they end below it where other singular values are near


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
    """Power iteration with `A^T A` finds the norm of the matrix of A, and no signal on its way exceeds it."""
    A, x = case.draw(), case.signal()
    columns = _columns(A, case).flatten(2)
    require(bool(columns.isfinite().all()), "A x is not finite for an x of norm 1")
    limit = torch.linalg.matrix_norm(columns, 2)
    require(bool(limit.isfinite().all()), f"the norm of A is {limit.max():.3g}")
    shape, gain = (-1, *(1,) * len(case.shape)), torch.zeros_like(limit)
    for _ in range(POWER):
        y = A(x / x.flatten(1).norm(dim=1).clamp(min=1e-300).view(shape))
        gain = y.flatten(1).norm(dim=1)
        over = float(((gain - limit) / limit.clamp(min=1)).max())
        text = f"|A x| / |x| is {gain.max():.4g}, more than the norm of the matrix of A, {limit.max():.4g}"
        require(over < TOLERANCE[case.dtype], text)
        x = A.adjoint(y)
    short = float(((limit - gain) / limit.clamp(min=1e-300)).max())
    text = f"power iteration with A^T A ends {short:.0%} below the norm of A, so that A^T is another map's"
    require(short < SHORT, text)
    return 0.0


def _columns(A: Operator, case: Case) -> Tensor:
    """The matrix of each draw, transposed: what it measures of each entry, `(n, d, *measured)`."""
    d = int(np.prod(case.shape))
    basis = torch.eye(d, dtype=case.dtype).reshape(d, 1, *case.shape)
    return torch.stack([A(e.expand(case.n, *case.shape)) for e in basis], 1)


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
    "amplification": mask_laws.amplification,
    "pseudo-inverse": pseudo_inverse,
    "identifiability": identifiability,
}
