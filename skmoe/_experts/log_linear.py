"""Log-linear experts: generalised linear models of positive means, all K of them at once."""

import numpy as np

from .._numerics import multinomial
from .._numerics.grams import weighted_grams
from .._numerics.statistics import solve_shared, solve_symmetric
from .base import LinearExperts

LARGEST_LOG_MEAN = 500.0
MOST_HALVINGS = 30


class LogLinearExperts(LinearExperts):
    r"""K generalised linear models with a log link, a damped Newton step or two at a time.

    With weights w and targets t, means :math:`\mu = \exp(x^T \beta)` minimise half the deviance,
    :math:`\sum w (\mu - t \log \mu)` for Poisson's family and :math:`\sum w (t / \mu + \log \mu)`
    for Gamma's, plus half the penalty.

    Parameters
    ----------
    X, y, weight, n_experts, penalty, per_column_unit, units
        As for ``LinearExperts``.
    glm : {"poisson", "gamma"}
        Family.
    exposure : ndarray of shape (n_samples,) or None
        Of the rows, for the first guess.
    prior : bool
        Whether the penalty is a prior. Else it is for each unit of an expert's weight, as
        scikit-learn's is, which is none, since that weight changes.
    """

    n_functions = 1  # linear functions of the columns in each expert
    n_newton = 2
    n_first_newton = 25
    wants_curvature = True  # of the next step from sums
    _curvature = _predictions = None

    def __init__(
        self, X, y, weight, n_experts, *, penalty, per_column_unit, glm, exposure, prior, units=None
    ):  # fmt: skip
        super().__init__(
            X, y, weight, n_experts, penalty=penalty, per_column_unit=per_column_unit, units=units
        )
        self.glm, self.prior, self.penalty = glm, prior, 0.0
        self.coef = np.zeros((n_experts, X.shape[1] + 1))
        total = weight.sum() if exposure is None else weight @ exposure
        self.coef[:, -1] = self._link(weight @ y / total)
        self._begun = False

    def fit(self, resp, working=None, exposure=None, target=None):
        """A few Newton steps with weights ``resp``, on ``y / exposure`` times ``exposure``."""
        shares = resp if working is None else resp * working
        weights = shares * self.weight[:, None]
        targets = self.y[:, None] if target is None else target
        if exposure is not None:
            weights, targets = weights * exposure, targets / exposure
        targets = np.broadcast_to(targets, weights.shape)
        penalty = np.outer(np.ones(self.n_experts), np.append(self.alpha, 0.0))
        if not self.prior:
            penalty = penalty * weights.sum(axis=0)[:, None]
        coef = self.coef
        for _ in range(self.n_newton if self._begun else self.n_first_newton):
            coef, gain = self._newton_step(coef, weights, targets, penalty)
            if gain <= 1e-12 * weights.sum():
                break
        self._begun = True
        self.n_fits += self.n_experts
        self._set_coef(coef)

    def _newton_step(self, coef, weights, targets, penalty):
        """Better coefficients, and by how much the penalised likelihood rose at most."""
        functions = self._functions(coef)
        slope, curvature = self._derivatives(functions, targets)
        gradient = (self.design.T @ (weights * slope)).T - penalty * coef
        hessian = weighted_grams(self.design, weights * curvature)
        diagonal = np.arange(hessian.shape[1])
        hessian[:, diagonal, diagonal] += penalty
        step = self._solve(hessian, gradient)
        promised = self._together(np.einsum("kj,kj->k", gradient, step))
        value = self._objective(functions, coef, weights, targets, penalty)
        length = np.where(promised > 0, 1.0, 0.0)
        for _ in range(MOST_HALVINGS):
            new = coef + length[:, None] * step
            reached = self._objective(self._functions(new), new, weights, targets, penalty)
            short = (length > 0) & ~(reached >= value + 1e-4 * length * promised)
            if not short.any():
                break
            length = np.where(short, 0.5 * length, length)
        else:
            length = np.where(short, 0.0, length)
        return coef + length[:, None] * step, float(promised[length > 0].sum())

    def _together(self, values):
        """What experts with shared coefficients gain, they gain as one."""
        if self.shared is None:
            return values
        return np.full(len(values), (self.precision * values).sum())

    def _solve(self, hessian, gradient):
        if self.shared is not None:
            precision = np.broadcast_to(self.precision, len(gradient))
            return solve_shared(
                precision[:, None, None] * hessian, precision[:, None] * gradient, self.owner
            )
        return solve_symmetric(hessian, gradient[..., None])[..., 0]

    @property
    def functions(self):
        """Coefficients of the linear functions that EM's steps add to, (n_experts, p)."""
        return self.coef

    def learn_sums(self, sums, size=1.0):
        """Take the part ``size`` of a Newton step from sums, taken where they are."""
        penalty = np.append(self.alpha, 0.0)
        self._curvature = sums.gram[:, 0] + np.diag(penalty)
        slope = sums.cross[:, :, 0] - penalty * self.coef
        step = solve_symmetric(self._curvature, slope[:, :, None])[:, :, 0]
        step *= size * multinomial.shortening(step.T, sums.rows_gram)[:, None]
        self.set_functions(self.coef + step)

    def set_functions(self, functions):
        """Set ``functions``, between steps from sums."""
        self._begun = True
        self._set_coef(functions)

    def curvature_of_each(self):
        """Curvature of the penalised log-likelihood of each expert, (n_experts, p, p)."""
        return self._curvature

    def predict_standardised(self, columns):
        """Means (n_rows, n_experts) for rows of standardised columns."""
        functions = columns @ self.coef[:, :-1].T + self.coef[:, -1]
        return self._mean(np.clip(functions, -LARGEST_LOG_MEAN, LARGEST_LOG_MEAN))

    def _functions(self, coef):
        """Linear functions of the rows, the logarithms of the means, (n, K)."""
        return np.clip(self.design @ coef.T, -LARGEST_LOG_MEAN, LARGEST_LOG_MEAN)

    _link, _mean = staticmethod(np.log), staticmethod(np.exp)  # from a mean to a function, and back

    def _values(self, functions, targets):
        """Log-likelihood of each row, but for what depends on the target alone."""
        if self.glm == "poisson":
            return targets * functions - np.exp(functions)
        return -targets * np.exp(-functions) - functions

    def _derivatives(self, functions, targets):
        """First derivative of the values by the functions, and minus the second."""
        mean = np.exp(functions)
        if self.glm == "poisson":
            return targets - mean, mean
        return targets / mean - 1, targets / mean

    def _objective(self, functions, coef, weights, targets, penalty):
        likelihood = np.einsum("nk,nk->k", weights, self._values(functions, targets))
        return self._together(likelihood - 0.5 * (penalty * coef**2).sum(axis=1))

    @property
    def predictions(self):
        """Means of the rows, (n_samples, n_experts)."""
        if self._predictions is None:
            self._predictions = self._mean(self._functions(self.coef))
        return self._predictions

    @predictions.setter
    def predictions(self, predictions):
        self._predictions = predictions

    def _set_coef(self, coef):
        self.coef, self._predictions = coef, None
        if self.prior:
            self.penalty = 0.5 * (self.alpha * self.coef[:, :-1] ** 2).sum(axis=1)

    def state(self):
        return self.coef

    def restore(self, state):
        self._set_coef(state)

    def finish(self, templates):
        fitted = []
        for template, coef in zip(templates, self.coef, strict=True):
            slopes, intercept = self.raw(coef[:, None])
            known = vars(template).copy()  # a fit to one row of zeros sets what predict needs
            template.set_params(solver="lbfgs").fit(np.zeros((1, len(slopes))), [1.0])
            vars(template).update(known)
            template.coef_, template.intercept_ = slopes[:, 0], float(intercept[0])
            template.n_iter_ = self.n_fits // self.n_experts
            fitted.append(template)
        return fitted
