"""Divergences between known laws: one family a file, each value with what is known about its error.

`W2` stands for the *squared* distance throughout. What to use, in this order: closed forms, quadrature, sums
over independent blocks, brackets, and only then samples, which are refused where their intervals do not
cover: W2 and Sinkhorn beyond two dimensions are `Estimate.undecided`.

| file | what it computes |
| --- | --- |
| `estimate` | `Estimate`, a value with bounds, of a `Kind`; `t_interval` |
| `gaussian` | closed forms: `w2`, `kl`, `fisher_gaussian`, `sinkhorn_gaussian` |
| `line` | `w2_line`, exact in one dimension |
| `quantiles` | `quantile`, on which it rests |
| `bounds` | `product`, `gelbrich`, `marginals`, `mw2`, `w2_bracket` |
| `quantised` | `w2_quantised`, a bracket in at most two dimensions |
| `kl` | `kl_quadrature`, `kl_upper`; `kl_monte_carlo`, `kl_difference`, `kl_neighbours` from samples |
| `fisher` | `fisher_quadrature` |
| `integrated` | `at_level` and `integrated`, objectives over noise variances, with `WEIGHTS` |
| `sliced` | `sliced_w2`, and from samples `sliced_interval` |
| `paired` | `w2_interval`, `w2_difference`, and the plainer `plain`, `debiased`, `plug_in` |
| `sinkhorn` | `sinkhorn_interval` |
| `samples` | stratified points: `latents`, `spread` |
| `transport` | optimal transport of weighted points: `transport`, `transport_line` |
| `grid` | `integrate`, the trapezoid rule behind quadratures |
"""

from __future__ import annotations

__all__ = ["Estimate", "Kind"]

from theory.divergences.estimate import Estimate, Kind
