"""The gate of a mixture model with constant proportions."""

import numpy as np
from scipy.special import softmax
from sklearn.utils.validation import check_is_fitted, validate_data

from .._compat import fit_context, learn_columns
from ._base import LOAD_PRIOR, BaseGate, shares, soft_labels, take_experts


class ConstantGate(BaseGate):
    """Gate that does not depend on the row: the proportions of a mixture model.

    Parameters
    ----------
    load_balance : float, default=0.0
        In EM of a mixture: strength of a Dirichlet prior on the mean probabilities of the experts,
        in prior rows for each training row. 0.01 is mild, 0.1 strong; it biases rare regimes.
    target_load : array-like of shape (n_experts,), default=None
        Prior means of the loads. None: equal. If given, clones are not sorted by load.

    Attributes
    ----------
    proportions_ : ndarray of shape (n_experts,)
        Probability of each expert.
    classes_ : ndarray of shape (n_experts,)
        Class labels, or the numbers of the experts.
    n_features_in_ : int
        Number of columns seen in ``fit``.

    Examples
    --------
    >>> from skmoe.gates import ConstantGate
    >>> gate = ConstantGate().fit([[0.0], [1.0]], [[0.75, 0.25], [0.25, 0.75]])
    >>> gate.predict_proba([[5.0]])
    array([[0.5, 0.5]])
    """

    takes_load_prior = True
    is_linear = has_sums = True
    sees_rows = False
    _one_class_will_do = True

    _parameter_constraints = LOAD_PRIOR

    def __init__(self, *, load_balance=0.0, target_load=None):
        self.load_balance = load_balance
        self.target_load = target_load

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        validate_data(self, X, skip_check_array=True)
        targets, weight = soft_labels(self, X, y, sample_weight)
        self.set_mass(weight @ targets)
        return self

    @property
    def can_be_pooled(self):
        """Whether partial pooling can learn the gate: without a prior on the loads."""
        return self.load_balance == 0

    def set_mass(self, mass):
        """Set the proportions.

        Parameters
        ----------
        mass : ndarray of shape (n_experts,)
            Weights of the experts' rows.
        """
        self._mass = mass
        self.proportions_ = shares(mass, self.load_prior)

    wants_curvature = False
    exact_sums = True  # learn_sums finds the optimum

    def begin_sums(self, X, n_experts, units):
        """Prepare for ``learn_sums``, which learns from sums over these rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, for the number and names of the columns.
        n_experts : int
            Number of experts.
        units : (ndarray, ndarray)
            Weighted mean and standard deviation of the columns.
        """
        learn_columns(self, X)
        self.classes_ = np.arange(n_experts)
        self.set_mass(np.ones(n_experts))

    def sum_logits(self):
        """Coefficients of the logits in standardised columns.

        Returns
        -------
        logits : ndarray of shape (n_features + 1, n_experts)
            The intercepts last.
        """
        logits = np.zeros((self.n_features_in_ + 1, len(self.proportions_)))
        logits[-1] = np.log(np.maximum(self.proportions_, 1e-300))
        return logits

    def forget_curvature(self):
        """Do nothing: there is none."""

    def learn_sums(self, sums, size=1.0):
        """Refit from sums over the rows.

        Parameters
        ----------
        sums : Sums
            Sums of the last pass over the rows.
        size : float, default=1.0
            Ignored: the fit is exact.
        """
        self.set_mass(sums.mass)

    def set_logits(self, logits):
        """Set the proportions, as ``sum_logits`` returns their logarithms.

        Parameters
        ----------
        logits : ndarray of shape (n_features + 1, n_experts)
            The intercepts last, up to a constant.
        """
        self.set_mass(self._mass.sum() * softmax(logits[-1]))

    @property
    def alpha_of_runs(self):
        """-1 if compiled EM can train the gate, else None."""
        if type(self) is ConstantGate and self.load_prior is None:
            return -1.0
        return None

    longest_drift = 0.0

    def begin_run(self, run):
        """Give a LinearRun the proportions.

        Parameters
        ----------
        run : LinearRun
            Written to in place.
        """
        run.logits = self.sum_logits()
        run.mass = np.array(self._mass, dtype=np.float64)

    def end_run(self, run):
        """Take the parameters from a LinearRun.

        Parameters
        ----------
        run : LinearRun
            Parameters that EM has reached.
        """
        self.set_mass(np.asarray(run.mass))

    def curvature_of_each(self):
        """Curvature of the log-likelihood in each logit alone.

        Returns
        -------
        curvature : ndarray of shape (n_experts, n_features + 1, n_features + 1)
            Zero except for the intercept.
        """
        p = self.n_features_in_ + 1
        curvature = np.zeros((len(self.proportions_), p, p))
        curvature[:, -1, -1] = self._mass
        return curvature

    def learn_batch(self, X, y, sample_weight, *, keep, gain):
        targets, weight = soft_labels(self, X, y, sample_weight)
        self.set_mass(keep * self._mass + gain * (weight @ targets))

    def predict_log_proba(self, X):
        check_is_fitted(self)
        validate_data(self, X, skip_check_array=True, reset=False)
        with np.errstate(divide="ignore"):
            log_proportions = np.log(self.proportions_)
        return np.tile(log_proportions, (np.shape(X)[0], 1))

    def log_prior(self):
        # A Dirichlet prior of the proportions, with ``load_balance``.
        if self.load_prior is None:
            return 0.0
        return float(self.load_prior @ np.log(self.proportions_))

    @property
    def n_parameters_(self):
        return len(self.proportions_) - 1

    def reorder(self, order):
        take_experts(self, order, "proportions_", "_mass", "load_prior")
        self.proportions_ = shares(self.proportions_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.classifier_tags.poor_score = True
        return tags
