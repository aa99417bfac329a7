"""Likelihoods: how probable a target is, given the prediction of an expert.

A likelihood owns the scales of the experts. Within EM it is asked for the log-density of each
row under each expert, and to re-estimate its scales from weighted rows; after EM, for the
distribution around a prediction. The user guide writes one from scratch.

What a likelihood promises, with y (n,) or (n, m) and predictions (n, K) or (n, K, m); ``fit``
refuses one that lacks a method of these before it begins:

- ``start(y, weight, n_experts)`` looks at the target once before EM, refuses what it cannot take
  with a ValueError, and returns itself;
- ``update(y, prediction, weights, penalty, pooled_rows)`` re-estimates the scales, with weights
  (n, K), responsibilities times weights of the rows. The first call finds no scales; every later
  one must not lower ``(weights * log_density).sum() + log_prior(penalty)`` if EM is to rise.
  ``pooled_rows`` is how many rows each expert borrows from all, 0 but in sparse mixtures;
- ``log_density(y, prediction, experts)``, (n, K); where each row has k experts of its own,
  predictions are (n, k) and ``experts`` (n, k) says whose they are;
- ``components(prediction, experts)``: the distributions, as in :mod:`skmoe.distributions`;
- ``log_prior(penalty)``: what the penalty of the experts takes from the log-likelihood;
- ``reorder(order)`` and ``extended(other, k)``, which renumber the experts and add one;
- ``n_parameters_``: free parameters, for ``bic``;
- parameters in ``get_params``, as scikit-learn's estimators have; attributes that are arrays
  are replaced, never written to, since EM keeps copies of earlier states.

It may have, besides:

- ``working_weights(y, prediction)``, (n, K): factors of the responsibilities with which experts
  are fitted, under which weighted least squares raises the likelihood. With them a likelihood
  counts as robust: EM then starts from a target whose outliers are drawn in;
- ``glm``, "poisson" or "gamma": predictions are positive means, and the default experts are
  log-linear models of that family; ``start_target(y)``: the target on a scale for the starts;
- ``expert_target(y)``: what experts are fitted on and predict, where that is not y;
- ``takes_exposure``: whether means may be multiplied by an exposure. ``working_exposure(y,
  prediction)``, (n, K): factors of the exposure with which experts are fitted;
- ``precision_``, (K,) or (K, m): what a square, or half a deviance, of each expert counts, for
  effects that experts share; 1 without it;
- ``keeps_order``: whether clones of an expert must not be put in the order of their loads;
- ``learn_batch(y, prediction, weights, penalty, *, keep, gain)``: ``update`` for
  ``partial_fit``, which is not there without it;
- ``scale_``, (K,) or (K, m), for ``expert_report``.
"""

from ._categorical import Categorical
from ._counts import NegativeBinomial, Poisson
from ._gamma import Gamma
from ._gaussian import Gaussian
from ._laplace import Laplace
from ._log_normal import LogNormal
from ._per_expert import PerExpert
from ._student_t import StudentT
from ._with_noise import WithNoise

__all__ = [
    "Categorical",
    "Gamma",
    "Gaussian",
    "Laplace",
    "LogNormal",
    "NegativeBinomial",
    "PerExpert",
    "Poisson",
    "StudentT",
    "WithNoise",
]
