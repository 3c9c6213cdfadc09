"""How far the critic lags behind the generator, and how wide student and teacher are."""

from __future__ import annotations

__all__ = ["survey"]

import torch

from dcdbench.distillers.levels import look
from dcdbench.problem import Fake
from dcdbench.protocols import Distiller, Judges


def survey(distiller: Distiller, judges: Judges, fake: Fake, rng: torch.Generator) -> dict[str, float]:
    r"""Statistics of fakes that no loss shows.

    The error `u - g` of an exact critic `g = E[u | x_t]` is orthogonal to every function of `x_t`,
    the teacher's estimate `f` among them: its lag, `E[(g - u)(f - g)] / E[(f - g)^2]`, is 0. A critic on
    its way from the teacher to the truth, `g = f + c (E[u | x_t] - f)`, has the lag `1 / c - 1`.
    """
    seen = look(judges, fake, distiller.sigma(judges, fake, rng), rng, grad=False)
    gap, error = seen.teacher - seen.critic, seen.critic - seen.u
    spread = {"student": seen.u, "teacher": seen.teacher, "critic": seen.critic}
    unit = judges.teacher.sigma_data
    return {"critic_lag": float((gap * error).mean() / gap.square().mean().clamp(min=1e-12))} | {
        f"{name}_variance": unit**2 * float(t.var(0).mean()) for name, t in spread.items()
    }
