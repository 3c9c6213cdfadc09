"""Divergences between known laws: one family a file, each value with what is known about its error.

`W2` stands for the *squared* distance throughout. What to use, in this order: closed forms, quadrature, sums
over independent blocks, brackets, and only then samples, which are refused where their intervals do not
cover: W2 and Sinkhorn beyond two dimensions are `Estimate.undecided`.

All functions can be imported from here. So `kl`, `fisher`, `integrated` and `sliced_gaussian` name functions
here, and files in `from theory.divergences.kl import ...`.

| file | what it computes |
| --- | --- |
| `exact` | `w2`, `kl`, `fisher`: the best of what follows for the laws at hand |
| `estimate` | `Estimate`, a value with bounds, of a `Kind`; `t_interval` |
| `gaussian` | closed forms: `w2`, `kl`, `fisher_gaussian`, `sinkhorn_gaussian` |
| `line` | `w2_line`, exact in one dimension |
| `quantiles` | `quantile`, on which it rests |
| `bounds` | `product`, `gelbrich`, `marginals`, `mw2`, `w2_bracket` |
| `quantised` | `w2_quantised`, a bracket in at most two dimensions |
| `kl` | `kl_quadrature`, `kl_upper`; `kl_monte_carlo`, `kl_difference`, `kl_neighbours` from samples |
| `fisher` | `fisher_quadrature` |
| `integrated` | `at_level` and `integrated`, objectives over noise variances, with `WEIGHTS` |
| `sliced_gaussian` | `sliced_gaussian`, exact in any dimension |
| `sliced` | `sliced_w2`, by random directions `sliced_random`, and from samples `sliced_interval` |
| `paired` | `w2_interval`, `w2_difference`, and the plainer `plain`, `debiased`, `plug_in` |
| `sinkhorn` | `sinkhorn_interval` |
| `samples` | stratified points: `latents`, `spread` |
| `transport` | optimal transport of weighted points: `transport`, `transport_line` |
| `grid` | `integrate`, the trapezoid rule behind quadratures |
"""

from __future__ import annotations

__all__ = [
    "OBJECTIVES",
    "WEIGHTS",
    "Estimate",
    "Kind",
    "at_level",
    "bounds",
    "debiased",
    "fisher",
    "fisher_gaussian",
    "fisher_quadrature",
    "gaussian",
    "gelbrich",
    "integrated",
    "kl",
    "kl_difference",
    "kl_monte_carlo",
    "kl_neighbours",
    "kl_quadrature",
    "kl_upper",
    "marginals",
    "mw2",
    "plain",
    "plug_in",
    "product",
    "product_law",
    "quantile",
    "sinkhorn_gaussian",
    "sinkhorn_interval",
    "sliced_gaussian",
    "sliced_interval",
    "sliced_random",
    "sliced_w2",
    "t_interval",
    "w2",
    "w2_bracket",
    "w2_difference",
    "w2_interval",
    "w2_line",
    "w2_quantised",
]

from theory.divergences import bounds, gaussian
from theory.divergences.bounds import gelbrich, marginals, mw2, product, product_law, w2_bracket
from theory.divergences.estimate import Estimate, Kind, t_interval
from theory.divergences.exact import fisher, kl, w2
from theory.divergences.fisher import fisher_quadrature
from theory.divergences.gaussian import fisher_gaussian, sinkhorn_gaussian
from theory.divergences.integrated import OBJECTIVES, WEIGHTS, at_level, integrated
from theory.divergences.kl import kl_difference, kl_monte_carlo, kl_neighbours, kl_quadrature, kl_upper
from theory.divergences.line import w2_line
from theory.divergences.paired import debiased, plain, plug_in, w2_difference, w2_interval
from theory.divergences.quantiles import quantile
from theory.divergences.quantised import w2_quantised
from theory.divergences.sinkhorn import sinkhorn_interval
from theory.divergences.sliced import sliced_interval, sliced_random, sliced_w2
from theory.divergences.sliced_gaussian import sliced_gaussian
