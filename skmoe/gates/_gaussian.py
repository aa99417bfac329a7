"""A gate made of Gaussians, in closed form, with a density of the rows."""

from numbers import Real

import numpy as np
from scipy import linalg, special
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from .._compat import Interval, StrOptions, fit_context
from .._numerics.statistics import standardisation, weighted_grams
from ._base import LOAD_PRIOR, BaseGate, shares, soft_labels, take_experts

FARTHEST = 1e15  # standard deviations; further away, squared distances are rounding errors
LEAST_PRIOR = 1e-10  # fraction of the total weight that keeps covariances definite
_LOG_2PI = np.log(2 * np.pi)


class GaussianGate(BaseGate):
    r"""Gate of Gaussian regions, one for each expert, fitted in closed form.

    .. math:: \pi_k(x) = a_k N(x; m_k, C_k) / \sum_j a_j N(x; m_j, C_j)

    Regions are ellipsoids around the rows of each expert [1]_, where those of a softmax gate are
    bounded by hyperplanes. EM maximises the joint density of X and y, not that of y given X. The
    columns of X are standardised internally; covariances are posterior modes under an
    inverse-Wishart prior around the identity,

    .. math:: C_k = (S_k + \tau I) / (n_k + \tau),

    with the weighted scatter :math:`S_k` about :math:`m_k` and the effective rows :math:`n_k`;
    for "tied", with the sums of both over the experts.

    Parameters
    ----------
    covariance_type : {"full", "diag", "tied"}, default="full"
        A full or diagonal covariance for each expert, or one full covariance for all, which
        makes the borders linear.
    prior_rows : float, default=None
        Weight :math:`\tau` of the prior in rows. None is n_features + 2.
    load_balance : float, default=0.0
        In EM of a mixture: strength of a Dirichlet prior on the mean probabilities of the experts,
        in prior rows for each training row. 0.01 is mild, 0.1 strong; it biases rare regimes.
    target_load : array-like of shape (n_experts,), default=None
        Prior means of the loads. None: equal. If given, clones are not sorted by load.

    Attributes
    ----------
    proportions_ : ndarray of shape (n_experts,)
        Weights :math:`a_k`.
    means_ : ndarray of shape (n_experts, n_features)
        Means, in the units of X.
    covariances_ : ndarray of shape (n_experts, n_features, n_features)
        Covariances, in the units of X; diagonal ones are given in full, tied ones repeated.
    classes_ : ndarray of shape (n_experts,)
        Class labels, or the numbers of the experts.
    n_features_in_ : int
        Number of columns seen in ``fit``.

    References
    ----------
    .. [1] L. Xu, M. I. Jordan and G. E. Hinton, "An alternative model for mixtures of experts",
       Advances in Neural Information Processing Systems 7 (1995) 633-640.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.gates import GaussianGate
    >>> X = np.array([[-2.0], [-1.5], [-1.0], [3.0], [3.5], [4.0]])
    >>> gate = GaussianGate().fit(X, [0, 0, 0, 1, 1, 1])
    >>> gate.predict([[-1.0], [5.0]])
    array([0, 1])
    >>> gate.score_samples([[-1.5], [30.0]]).round()  # 30 is far from the data
    array([  -2., -109.])
    """

    objective = "joint"
    can_sample = True
    takes_load_prior = True

    _parameter_constraints = {
        "covariance_type": [StrOptions({"full", "diag", "tied"})],
        "prior_rows": [Interval(Real, 0, None, closed="neither"), None],
        **LOAD_PRIOR,
    }

    def __init__(
        self, covariance_type="full", *, prior_rows=None, load_balance=0.0, target_load=None
    ):
        self.covariance_type = covariance_type
        self.prior_rows = prior_rows
        self.load_balance = load_balance
        self.target_load = target_load

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        X = validate_data(self, X, dtype=np.float64)
        targets, weight = soft_labels(self, X, y, sample_weight)
        self._mean, self._scale = standardisation(X, weight)
        self._solve(self._moments_of(X, targets * weight[:, None]))
        return self

    def learn_batch(self, X, y, sample_weight, *, keep, gain):
        # In the standardised columns of ``fit``.
        X = validate_data(self, X, dtype=np.float64, reset=False)
        targets, weight = soft_labels(self, X, y, sample_weight)
        self._solve(keep * self._moments + gain * self._moments_of(X, targets * weight[:, None]))

    def _moments_of(self, X, targets):
        """Weighted sums of the products of the standardised columns and 1, for each expert."""
        Z = (X - self._mean) / self._scale
        return weighted_grams(np.column_stack([Z, np.ones(len(Z))]), targets)

    def _solve(self, moments):
        self._moments = moments
        counts = moments[:, -1, -1]
        n_features = moments.shape[1] - 1
        means = moments[:, -1, :-1] / np.where(counts > 0, counts, 1.0)[:, None]
        of_means = means[:, :, None] * means[:, None, :]
        scatter = moments[:, :-1, :-1] - counts[:, None, None] * of_means
        if self.prior_rows is None:
            prior_rows = n_features + 2.0
        else:
            prior_rows = float(self.prior_rows)
        prior_rows = max(prior_rows, LEAST_PRIOR * counts.sum())
        rows = counts
        if self.covariance_type == "tied":
            scatter[:] = scatter.sum(axis=0)
            rows = np.full(len(counts), counts.sum())
        covariances = scatter + prior_rows * np.eye(n_features)
        covariances /= (rows + prior_rows)[:, None, None]
        if self.covariance_type == "diag":
            covariances *= np.eye(n_features)
        self.proportions_ = shares(counts, self.load_prior)
        self.means_ = means * self._scale + self._mean
        self.covariances_ = covariances * np.outer(self._scale, self._scale)
        self._standard = means, np.stack([linalg.cholesky(c, lower=True) for c in covariances])
        self._prior_rows = prior_rows

    def _log_joint(self, X):
        """Log of proportion times density, in the units of X; (n_samples, n_experts)."""
        check_is_fitted(self)
        Z = self._near(validate_data(self, X, dtype=np.float64, reset=False))
        with np.errstate(divide="ignore"):
            log_proportions = np.log(self.proportions_)
        log_joint = np.empty((len(Z), len(self.proportions_)))
        constant = -0.5 * Z.shape[1] * _LOG_2PI - np.log(self._scale).sum()
        for k, (mean, factor) in enumerate(zip(*self._standard, strict=True)):
            whitened = linalg.solve_triangular(factor, (Z - mean).T, lower=True)
            log_density = -0.5 * (whitened**2).sum(axis=0) - np.log(np.diag(factor)).sum()
            log_joint[:, k] = log_proportions[k] + log_density + constant
        return log_joint

    def _near(self, X):
        """Standardised columns; very far rows are moved closer along their direction."""
        with np.errstate(over="ignore"):
            Z = np.nan_to_num((X - self._mean) / self._scale)
        return Z / np.maximum(np.abs(Z).max(axis=1, keepdims=True) / FARTHEST, 1.0)

    def predict_log_proba(self, X):
        return special.log_softmax(self._log_joint(X), axis=1)

    def score_samples(self, X):
        r"""Log-density of each row, :math:`\log \sum_k a_k N(x; m_k, C_k)`.

        Low values mark rows far from the training data, for which experts extrapolate.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            Natural logarithm, in the units of X.
        """
        return special.logsumexp(self._log_joint(X), axis=1)

    def sample(self, n_samples=1, random_state=None):
        """Draw rows from the Gaussians.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Random number generator, or its seed.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Rows, in the units of X.
        experts : ndarray of shape (n_samples,)
            Number of the expert whose Gaussian generated each row.
        """
        check_is_fitted(self)
        random_state = check_random_state(random_state)
        experts = random_state.choice(len(self.proportions_), n_samples, p=self.proportions_)
        means, factors = self._standard
        noise = random_state.standard_normal((n_samples, means.shape[1]))
        Z = means[experts] + np.einsum("nij,nj->ni", factors[experts], noise)
        return Z * self._scale + self._mean, experts

    def log_prior(self):
        # Priors of covariances and proportions, on standardised columns.
        _, factors = self._standard
        if self.covariance_type == "tied":
            factors = factors[:1]
        log_prior = 0.0
        for factor in factors:
            inverse = linalg.solve_triangular(factor, np.eye(len(factor)), lower=True)
            log_det = 2 * np.log(np.diag(factor)).sum()
            log_prior -= 0.5 * self._prior_rows * (log_det + (inverse**2).sum())
        if self.load_prior is not None:
            log_prior += float(self.load_prior @ np.log(self.proportions_))
        return float(log_prior)

    @property
    def n_parameters_(self):
        n_experts, n_features = self.means_.shape
        per_covariance = n_features
        if self.covariance_type != "diag":
            per_covariance = n_features * (n_features + 1) // 2
        if self.covariance_type == "tied":
            n_covariances = 1
        else:
            n_covariances = n_experts
        return n_experts - 1 + n_experts * n_features + n_covariances * per_covariance

    def reorder(self, order):
        take_experts(
            self, order, "proportions_", "means_", "covariances_", "_moments", "load_prior"
        )
        self.proportions_ = shares(self.proportions_)
        self._standard = tuple(part[order] for part in self._standard)
