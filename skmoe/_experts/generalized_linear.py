"""Generalised linear models of any family, all K of them at once."""

from functools import cached_property

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import validate_data

from .._numerics import multinomial
from .._numerics.statistics import solve_symmetric, weighted_grams
from .base import LinearExperts
from .rates import RateRegressor

LARGEST_PREDICTOR = 500.0
MOST_HALVINGS = 30


class GeneralizedLinearExperts(LinearExperts):
    """K generalised linear models of one family, a damped Newton step or two at a time.

    Coefficients maximise the weighted sum of the family's ``unit`` less half the penalty.

    Parameters
    ----------
    X, y, weight, n_experts, exposure, **settings
        As for ``LinearExperts``. A penalty that is no prior is for each unit of an expert's
        weight, as scikit-learn's is, but for rates.
    family : Family
        Errors around the linear predictors.
    """

    n_functions = 1  # linear functions of the columns in each expert
    n_newton = 2
    n_first_newton = 25
    wants_curvature = True  # of the next step from sums
    _curvature = None
    _begun = False

    def __init__(self, X, y, weight, n_experts, *, family, exposure=None, **settings):
        super().__init__(X, y, weight, n_experts, **settings)
        if exposure is None:
            total = weight.sum()
        else:
            total = weight @ exposure
        mean = weight @ y / total
        self.family = family.in_unit(mean)
        self.prior = self.prior or family.is_rate
        self.run_settings = {"kind": family.kernel, "longest_expert_drift": -1.0}  # never old
        self.coef = np.zeros((n_experts, X.shape[1] + 1))
        self.coef[:, -1] = family.link(mean)

    def fit(self, resp, working=None, exposure=None, target=None):
        """A few Newton steps with weights ``resp``, on ``y / exposure`` times ``exposure``."""
        weights = (resp if working is None else resp * working) * self.weight[:, None]
        if target is None:
            targets = self.y[:, None]
        else:
            targets = target
        if exposure is not None:
            weights = weights * exposure
            targets = targets / exposure
        penalty = np.outer(np.ones(self.n_experts), np.append(self.alpha, 0.0))
        if not self.prior:
            penalty = penalty * weights.sum(axis=0)[:, None] * self.family.target_unit
        coef = self.coef
        unit = self._unit(targets, self.coef)
        for _ in range(self.n_newton if self._begun else self.n_first_newton):
            coef, unit, gain = self._newton_step(coef, unit, weights, targets, penalty)
            if gain <= 1e-12 * weights.sum():
                break
        self._begun = True
        self.n_fits += self.n_experts
        self.set_coef(coef)

    def _newton_step(self, coef, unit, weights, targets, penalty):
        """Better coefficients, the unit there, and how much the penalised sum rose at most."""
        value, slope, curvature = unit
        gradient = (self.design.T @ (weights * slope)).T - penalty * coef
        hessian = weighted_grams(self.design, weights * curvature)
        diagonal = np.arange(hessian.shape[1])
        hessian[:, diagonal, diagonal] += penalty
        step = solve_symmetric(hessian, gradient[..., None])[..., 0]
        promised = np.einsum("kj,kj->k", gradient, step)
        before = self._objective(value, coef, weights, penalty)
        length = np.where(promised > 0, 1.0, 0.0)
        for n_halvings in range(MOST_HALVINGS + 1):
            new = coef + length[:, None] * step
            unit = self._unit(targets, new)
            reached = self._objective(unit[0], new, weights, penalty)
            short = (length > 0) & ~(reached >= before + 1e-4 * length * promised)
            if not short.any():
                break
            if n_halvings < MOST_HALVINGS - 1:
                shorter = 0.5 * length
            else:
                shorter = 0.0
            length = np.where(short, shorter, length)
        return new, unit, float(promised[length > 0].sum())

    def _objective(self, value, coef, weights, penalty):
        return np.einsum("nk,nk->k", weights, value) - 0.5 * (penalty * coef**2).sum(axis=1)

    @property
    def functions(self):
        """Coefficients of the linear functions that EM's steps add to, (n_experts, p)."""
        return self.coef

    def learn_sums(self, sums, size=1.0):
        """Take the part ``size`` of a Newton step from sums, taken where they are."""
        penalty = np.append(self.alpha, 0.0)
        self._curvature = sums.gram[:, 0] + np.diag(penalty)
        slope = sums.cross[:, :, -1] - penalty * self.coef
        step = solve_symmetric(self._curvature, slope[:, :, None])[:, :, 0]
        step *= size * multinomial.shortening(step.T, sums.rows_gram)[:, None]
        self.set_functions(self.coef + step)

    def set_functions(self, functions):
        self._begun = True
        self.set_coef(functions)

    def begin_run(self, run, *, is_given):
        run.coef = self.coef.copy()

    def end_run(self, run):
        self.set_functions(np.array(run.coef))

    def curvature_of_each(self):
        """Curvature of the penalised log-likelihood of each expert, (n_experts, p, p)."""
        return self._curvature

    def predict_standardised(self, columns):
        """Means (n_rows, n_experts) for rows of standardised columns."""
        return self.family.mean(columns @ self.coef[:, :-1].T + self.coef[:, -1])

    def _unit(self, targets, coef):
        """The family's ``unit`` of the rows, arrays (n, K), as the likelihood has its scales."""
        predictors = np.clip(self.design @ coef.T, -LARGEST_PREDICTOR, LARGEST_PREDICTOR)
        return self.family.unit(targets, predictors, self.precision)

    @cached_property
    def predictions(self):
        return self.family.mean(self.design @ self.coef.T)

    def _set_penalty(self):
        if self.prior:
            self.penalty = 0.5 * (self.alpha * self.coef[:, :-1] ** 2).sum(axis=1)

    def finish(self, templates):
        """Fitted estimators, of the classes of the templates, with these coefficients."""
        n_iter = self.n_fits // self.n_experts
        for template, coef in zip(templates, self.coef, strict=True):
            slopes, intercept = self.raw(coef[:, None])
            if isinstance(template, RateRegressor):
                model = template.classifier_ = clone(template.classifier)
                validate_data(model, self.source, skip_check_array=True)
                model.coef_ = slopes.T
                model.intercept_ = intercept
                model.classes_ = np.array([0, 1])
                model.n_iter_ = np.array([n_iter], dtype=np.int32)
            else:
                known = vars(template).copy()  # a fit to one row of zeros sets what predict needs
                template.set_params(solver="lbfgs").fit(np.zeros((1, len(slopes))), [1.0])
                vars(template).update(known)
                template.coef_ = slopes[:, 0]
                template.intercept_ = float(intercept[0])
                template.n_iter_ = n_iter
        return templates
