"""The closed forms of the theory, as functions of their parameters, one subject a file.

All laws are centred unless a mean is given. `sigma` is the standard deviation of the measurement noise, `tau`
a variance of diffusion noise, `c` a variance of the teacher and `v` one of the student. W2 is squared.

| file | what it has |
| --- | --- |
| `spectra` | teachers and students of low rank, from clean eigenvalues: distances, gains, thresholds |
| `levels` | students under weights on noise levels; objectives over all of them |
| `operators` | students behind a blur, an operator, masks |
| `modes` | students of mixtures: weights, widths, one component for two modes |
| `contamination` | students of a teacher with outliers |
| `spikes` | finitely many samples in high dimension |
"""

from __future__ import annotations

__all__ = [
    "BEST_BLUR",
    "LARGEST_BLUR_RATIO",
    "aware_mode_error",
    "best_rank",
    "blur_ratio",
    "contamination_asymptotic",
    "contamination_forward",
    "contamination_level",
    "contamination_student",
    "critical_separation",
    "dropped_modes_loss",
    "early_stopping",
    "fixed_mask_covariance",
    "fixed_mask_frechet",
    "fixed_mask_w2_coordinate",
    "gain",
    "gain_lower_bound",
    "is_gain_certain",
    "isotropic_student",
    "kl_large_noise",
    "kl_on_subspace",
    "kl_threshold",
    "mode_kl",
    "mode_weights",
    "moment_ranks",
    "practical_start",
    "probability_flow",
    "rank_gain",
    "sid_repelling_point",
    "spike",
    "spike_threshold",
    "spurious_mass",
    "subspace_fisher",
    "subspace_kl",
    "threshold",
    "umegaki",
    "w2_atoms",
    "w2_aware",
    "w2_injective",
    "w2_misspecified",
    "w2_modes",
    "w2_subspace",
    "w2_teacher",
    "w2_truncated",
    "w2_unaware",
]

from dcdbench.operators.identifiability import moment_ranks
from theory.formulas.contamination import (
    contamination_asymptotic,
    contamination_forward,
    contamination_level,
    contamination_student,
    spurious_mass,
)
from theory.formulas.levels import (
    early_stopping,
    isotropic_student,
    kl_large_noise,
    practical_start,
    probability_flow,
    sid_repelling_point,
    umegaki,
)
from theory.formulas.modes import (
    aware_mode_error,
    critical_separation,
    dropped_modes_loss,
    mode_kl,
    mode_weights,
    w2_atoms,
    w2_modes,
)
from theory.formulas.operators import (
    BEST_BLUR,
    LARGEST_BLUR_RATIO,
    blur_ratio,
    fixed_mask_covariance,
    fixed_mask_frechet,
    fixed_mask_w2_coordinate,
    w2_injective,
)
from theory.formulas.spectra import (
    best_rank,
    gain,
    gain_lower_bound,
    is_gain_certain,
    kl_on_subspace,
    kl_threshold,
    rank_gain,
    subspace_fisher,
    subspace_kl,
    threshold,
    w2_aware,
    w2_misspecified,
    w2_subspace,
    w2_teacher,
    w2_truncated,
    w2_unaware,
)
from theory.formulas.spikes import spike, spike_threshold
