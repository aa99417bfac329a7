r"""Logistic experts with partially pooled coefficients.

Expert k has a linear function f_m = x'b_km for the second of two classes, or for each of three and
more, and

    P(y_i = c | z_i = k)  =  softmax(f)_c      (of two classes, a logistic function of f)

whose expected logarithm has no closed form. For two classes the logistic function is approximated
by a mixture of normal distribution functions [1]_; for more, the tilted bound of Knowles and
Minka [2]_ is used.

References
----------
.. [1] J. F. Monahan and L. A. Stefanski, "Normal scale mixture approximations to F*(z) and
   computation of the logistic-normal integral", Handbook of the Logistic Distribution, Marcel
   Dekker (1992) 529-540.
.. [2] D. A. Knowles and T. P. Minka, "Non-conjugate variational message passing for multinomial and
   binary regression", NIPS 24 (2011) 1701-1709.
"""

import numpy as np

from .._kernels._logistic_normal import logistic_normal
from .logistic import LogisticExperts
from .pooled_steps import Expected, PooledInSteps, ignores_rows

N_TILTS = 4
N_FIRST_TILTS = 8  # steps to the best tilt of a row, from one near it or from none


# Expected log-probabilities -------------------------------------------------------------------


def expected_of_two(labels, mean, variance, near=None):
    """Expectations for rows of zeros and ones (n, 1); see ``Expected``.

    They are under a normal scale mixture that is the logistic function but for 2e-9. Where
    functions were not far away before, ``near`` is what was returned for these rows then.
    """
    found = np.empty((3, mean.size))
    logistic_normal(mean.ravel(), variance.ravel(), np.repeat(labels[:, 0], mean.shape[1]), found)
    value, curvature, working = found.reshape(3, *mean.shape)
    return Expected(value[:, :, 0], curvature, working)


def expected_of_many(labels, mean, variance, near=None):
    """Knowles' and Minka's tilted bound for rows (n, n_functions); see ``expected_of_two``.

    For any tilts a, ``E log sum exp f <= log sum_c exp(m_c + (1 - 2 a_c) v_c / 2) + sum a_c^2 v_c /
    2``. At their best they are the softmax p in there, and the curvature ``p (1 - 2 a) + a^2``.
    """
    if near is None:
        tilt = _softmax_rows(mean)[0]
    else:
        tilt = near.tilt
    for _ in range(N_FIRST_TILTS if near is None else N_TILTS):
        proba = _softmax_rows(mean + (0.5 - tilt) * variance)[0]
        tilt = tilt + (proba - tilt) / (1 + proba * (1 - proba) * variance)
    proba, log_norm = _softmax_rows(mean + (0.5 - tilt) * variance)
    value = (labels[:, None] * mean).sum(axis=2) - log_norm
    value -= 0.5 * (tilt**2 * variance).sum(axis=2)
    curvature = (proba - tilt) ** 2 + proba * (1 - proba)
    return Expected(value, curvature, labels[:, None] - proba + curvature * mean, tilt)


def _softmax_rows(values):
    """Softmax over the last axis, and its log-norm; quicker than SciPy's on small arrays."""
    largest = values.max(axis=-1, keepdims=True)
    proba = np.exp(values - largest)
    norm = proba.sum(axis=-1, keepdims=True)
    proba /= norm
    return proba, (largest + np.log(norm))[..., 0]


# Experts in training --------------------------------------------------------------------------


class PooledLogisticExperts(PooledInSteps, LogisticExperts):
    """K logistic experts with partially pooled coefficients.

    Parameters
    ----------
    X, y, weight, classes
        As ``LogisticExperts`` takes them.
    block
        As ``PooledExperts`` takes it.

    Attributes
    ----------
    posterior : Posterior
        After ``begin``.
    """

    can_be_tied = False
    averages_variances = True

    def __init__(self, X, y, weight, *, classes, block=None):
        super().__init__(X, y, weight, 1, classes=classes)
        self.stand_on(X, weight, block)
        self.has_run = self.n_classes == 2
        if not self.has_run:
            # All functions move at once, and the sums hold no products of two of them: a whole step
            # is up to twice that of Newton.
            self.n_pooled = self.n_classes
            self.first_size = 0.5
            self.largest_size = 0.7
        self.targets = np.ascontiguousarray(self.labels[:, -self.n_pooled :], np.float64)

    def _first(self):
        nothing = np.zeros((len(self.targets), self.n_experts, self.n_pooled))
        return self._expected(nothing, nothing)

    def _expected(self, mean, variance, near=None):
        if self.has_run:
            expected = expected_of_two
        else:
            expected = expected_of_many
        return expected(self.targets, mean, variance, near)

    def _centred(self, now, gram, cross):
        if len(gram) == 1 or not now.coefficients:
            return gram, cross
        shift, of_prior = self._to_centre(now)
        return gram, cross + np.einsum("mkij,kj->mki", gram, shift) + of_prior

    def _to_centre(self, now):
        """What to add to the coefficients of all classes alike, for the prior to be happiest.

        The rows do not see it, and steps would take forever to find it.

        Returns the optimum (K, q), and the precision of the prior times it, (n_functions, K, q):
        that of an average over experts is 1 / (tau + K rho), of deviations from it 1 / tau.
        """
        mean = np.stack([each.mean for each in now.coefficients])
        average = mean.mean(axis=1, keepdims=True)
        of_average = 1 / (now.tau + self.n_experts * now.rho)[:, None]
        of_deviation = 1 / np.where(now.tau > 0, now.tau, np.inf)[:, None]  # none for one line
        moved = -(of_average * average).sum(axis=0) / of_average.sum(axis=0)
        turned = -(of_deviation * (mean - average)).sum(axis=0)
        turned /= np.maximum(of_deviation.sum(axis=0), 1e-300)
        return moved + turned, of_average * moved + of_deviation * turned

    def _set_means(self, mean):
        self.set_coef(np.dstack([-0.5 * mean, 0.5 * mean]) if self.n_classes == 2 else mean)

    @property
    def is_one_expert(self):
        """Whether no more experts than classes ignore the rows: the gate is the regression then."""
        return 1 < self.n_experts <= self.n_classes and ignores_rows(self)
