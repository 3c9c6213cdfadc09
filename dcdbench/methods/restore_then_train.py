r"""Why not just denoise first? Restored measurements, then a diffusion model of them.

The law of posterior means is not that of signals: it lacks the posterior's variance, for a Gaussian with
variance `lam` it has `lam^2 / (lam + sigma^2)`. No training can bring back what was restored away.
"""

from __future__ import annotations

__all__ = ["Restore", "RestoreThenTrain"]

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from dcdbench.methods import register
from dcdbench.methods.ideal import PosteriorMean, denoising
from dcdbench.methods.oracle import OnSignals
from dcdbench.objectives.restoring import SURE, Neighbours, Split
from dcdbench.operators.identity import Identity
from dcdbench.phases.denoise import Denoise
from dcdbench.phases.relearn import Relearn
from dcdbench.phases.teach import Teach
from dcdbench.problem import Corruption
from dcdbench.protocols import Objective, Phase, Restorer, Setting
from dcdbench.restorers.network import ByNetwork
from dcdbench.restorers.pinv import PseudoInverse
from dcdbench.restorers.wiener import Wiener, unsuited
from dcdbench.samplers.heun import Heun
from dcdbench.samplers.restoring import Restoring

Restore = Literal["auto", "split", "sure", "neighbour", "wiener", "pinv"]


@register("restore_then_train")
@dataclass(frozen=True)
class RestoreThenTrain:
    """Each measurement is restored once, without clean data, and a diffusion model learns what comes out.

    A network that restores (`split`, `sure`, `neighbour`) has the budget of phase II, and the diffusion model
    that of phase I; with the others, which train nothing, it has both.

    Args:
        restorer: Of noisy signals: `split` into two copies of independent noise, Stein's estimate of the
            error (`sure`), or adjacent pixels of images as two copies (`neighbour`), which need not know the
            noise but a network for images of half the size. Of linear measurements: the best linear
            estimate (`wiener`: for small signals by a full covariance, for larger images by a stationary
            one, see `restorers/wiener.py`) or the pseudo-inverse (`pinv`). `auto` takes `split` for noisy
            signals, and else `wiener`; it never takes `pinv`, which is to be asked for by its name.
        lr: The learning rate of the diffusion model.
        restorer_lr: That of the network that restores.
        share: How much noise `split` adds to the first copy, in units of `sigma_y`.
        gamma: The weight of the regularising term of `neighbour`.
        steps: The number of noise levels of Heun's method.
    """

    restorer: Restore = "auto"
    lr: float = 1e-3
    restorer_lr: float = 1e-3
    share: float = 0.5
    gamma: float = 1.0
    steps: int = 18

    needs_clean: ClassVar[bool] = False

    def __post_init__(self) -> None:
        Split(share=self.share)  # these check their fields
        Neighbours(gamma=self.gamma)
        if self.steps < 2:
            raise ValueError(f"steps must be >= 2, got {self.steps}")

    def supports(self, corruption: Corruption, shape: tuple[int, ...]) -> str | None:
        """What the restorer can restore."""
        restorer, plain = self._fitting(corruption), isinstance(corruption.operator, Identity)
        if restorer == "neighbour":
            even = len(shape) == 3 and not any(side % 2 for side in shape[1:])
            return None if plain and even else "neighbour needs noisy images with even sides"
        if restorer in ("split", "sure"):
            noisy = denoising(corruption) and corruption.sigma_y > 0
            return None if noisy else f"{restorer} needs noisy signals whose noise is white"
        if not corruption.operator.linear:
            return f"{restorer} needs a linear operator"
        if restorer == "wiener":
            return self._unsuited(corruption, shape)
        return None

    @staticmethod
    def _unsuited(corruption: Corruption, shape: tuple[int, ...]) -> str | None:
        if corruption.noise is not None:
            return "wiener needs white noise or none: the task adds noise of another law (`pinv` would do)"
        return unsuited(shape, corruption.operator.random)

    def _fitting(self, corruption: Corruption) -> Restore:
        if self.restorer != "auto":
            return self.restorer
        if denoising(corruption) and corruption.sigma_y > 0:
            return "split"
        return "wiener"

    def phases(self, setting: Setting) -> tuple[Phase, ...]:
        """The training of the network that restores, if there is one; then the diffusion model's."""
        restorer = self._fitting(setting.corruption)
        if restorer == "wiener":
            return (self._relearn(Wiener(), setting, setting.teacher_kimg + setting.student_kimg),)
        if restorer == "pinv":
            return (self._relearn(PseudoInverse(), setting, setting.teacher_kimg + setting.student_kimg),)
        sampler = self._asked(restorer, setting.corruption.sigma_y)
        objectives: dict[str, Objective] = {
            "split": Split(share=self.share),
            "sure": SURE(),
            "neighbour": Neighbours(gamma=self.gamma),
        }
        denoise = Denoise(
            objectives[restorer],
            setting.network,
            setting.student_kimg,
            setting.batch,
            self.restorer_lr,
            sampler=sampler,
        )
        return denoise, self._relearn(ByNetwork(sampler), setting, setting.teacher_kimg)

    def _asked(self, restorer: Restore, sigma_y: float) -> Restoring:
        """As in the training: `split` is shown the first copy, at its level."""
        if restorer == "split":
            return Restoring(sigma_y * math.sqrt(1 + self.share**2), self.share * sigma_y)
        return Restoring(sigma_y)

    def _relearn(self, restorer: Restorer, setting: Setting, kimg: float) -> Relearn:
        teach = Teach(OnSignals(), setting.network, kimg, setting.batch, self.lr)
        return Relearn(teach, restorer, warm=False)

    def sampler(self, setting: Setting) -> Heun:
        """Heun's method, down to no noise: the diffusion model takes what was restored for clean."""
        return Heun(OnSignals(), "full", setting.corruption.sigma_y, self.steps)

    def expected(self, law: Any, corruption: Corruption) -> Any | None:
        """The law of posterior means, at the level at which the network restores; None where that is open."""
        if not denoising(corruption) or corruption.sigma_y == 0:
            return None
        restorer = self._fitting(corruption)
        if restorer in ("split", "sure"):
            return PosteriorMean(law, self._asked(restorer, corruption.sigma_y).sigma)
        return law.noised(corruption.sigma_y) if restorer == "pinv" else None
