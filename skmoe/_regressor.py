"""MixtureOfExpertsRegressor."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import column_or_1d

from ._base import BaseMixtureOfExperts
from ._compat import HasMethods, check_y
from ._experts.solvers import generalized_linear, least_squares, rates
from ._extended import ExtendedMixture
from ._model import RegressionModel
from ._reports.docstrings import completed_by
from ._tables.known import check_numbers
from ._tables.mixed import check_sizes, is_plain
from ._validation import check_exposure, check_fitted, check_single_trials, check_X
from .distributions._arrays import check_n_draws, check_probabilities
from .likelihoods import Gaussian
from .likelihoods._base import unfitted


@completed_by(BaseMixtureOfExperts)
class MixtureOfExpertsRegressor(RegressorMixin, ExtendedMixture):
    r"""Mixture of experts for regression.

    .. math:: p(y \mid x) = \sum_k \pi_k(x) \, N(y; \mu_k(x), \sigma_k^2)

    The experts :math:`\mu_k` are any regressors; the gate :math:`\pi` is learned and gives each
    of them a weight for each row [1]_. Experts that can interpolate their training rows are
    cross-fitted: the E-step uses out-of-fold predictions.

    This classical mixture is ``training="em"``. By default, linear experts with Gaussian errors are
    partially pooled: the evidence chooses how many there are and how much they differ. A list of
    models is stacked; copies of one non-linear model are added to one that is fitted on all rows;
    experts such as ``Ridge()`` are fitted by EM. ``plan`` shows which it will be.

    Parameters
    ----------
    experts : estimator, list of estimator or of (str, estimator), or "diverse", default=None
        None is linear regression, with strings and missing values encoded; log-linear for counts
        and positive targets, ridge for :doc:`wide X </guide/wide>`. One regressor is copied for
        each expert. A list has regressors or (name, regressor), where "drop" removes an entry;
        "diverse" is a :ref:`ready list <diverse>` of six. Regressors in a ``FrozenEstimator`` are
        not refitted. See :doc:`/guide/training`, and for early stopping :doc:`/guide/boosting`.
    likelihood : str or likelihood, default="auto"
        Distribution of the target around the predictions: "gaussian", "student_t" (less sensitive
        to outliers), "poisson", "negative_binomial", "binomial", "beta", "gamma",
        "inverse_gaussian", "weibull", "log_normal", or an object of :mod:`skmoe.likelihoods`.
        "auto" is "gaussian" for ``training`` "em" and "pooled", and "student_t" for "stack" and
        "specialists".
    init : str or callable, default="auto"
        Initialisation of EM. "auto" tries "kmeans_y", "functions", "kmeans_x", "residuals" and
        "scattered" (random partitions); a name, also "kmeans_xy" or "layers_of_x", selects one. A
        callable ``(X, y, n_experts, random_state)`` returns responsibilities
        (n_samples, n_experts).

    Attributes
    ----------
    n_regimes_ : int
        Only for pooled experts: number of regression functions. Experts that share a function
        describe the distribution of its errors; see :doc:`/guide/regimes`.
    regimes_ : list of list of str
        Names of the experts of each regime. Tables and displays call the first one regime0.
    n_distinct_experts_ : int
        Number of experts that have rows of their own and are not copies of others, after the last
        ``fit``; deleted by ``add_expert`` and other changes.

    See Also
    --------
    MixtureOfExpertsClassifier : The same for classes.

    References
    ----------
    .. [1] R. A. Jacobs, M. I. Jordan, S. J. Nowlan and G. E. Hinton, "Adaptive mixtures of
       local experts", Neural Computation 3 (1991) 79-87.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 3, size=(300, 1))
    >>> y = np.where(X[:, 0] > 0, 2 * X[:, 0], -1 - X[:, 0])
    >>> y += 0.1 * rng.normal(size=300)
    >>> moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(X, y)
    >>> sorted(round(float(expert.coef_[0]), 1) for expert in moe.experts_)
    [-1.0, 2.0]
    >>> moe.predict_interval([[2.0]], level=0.9).round(1)
    array([[3.8, 4.2]])
    """

    _model_class = RegressionModel
    _classes = None
    _parameter_constraints = {
        **ExtendedMixture._parameter_constraints,
        "likelihood": [str, HasMethods(["log_density", "update"])],
    }

    def __init__(
        self,
        experts=None,
        n_experts="auto",
        *,
        gate=None,
        likelihood="auto",
        training="auto",
        expert_columns=None,
        cv="auto",
        top_k=None,
        init="auto",
        n_init=10,
        max_iter=500,
        tol=1e-5,
        warm_start=False,
        forget_factor=1.0,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.experts = experts
        self.n_experts = n_experts
        self.gate = gate
        self.likelihood = likelihood
        self.training = training
        self.expert_columns = expert_columns
        self.cv = cv
        self.top_k = top_k
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.forget_factor = forget_factor
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _solver(self):
        family = self._likelihood().expert_family
        if family is None:
            return least_squares()
        if family.is_rate:
            return rates(family)
        return generalized_linear(family)

    def _likelihood(self):
        is_auto = isinstance(self.likelihood, str) and self.likelihood == "auto"
        if is_auto:
            return Gaussian()
        return unfitted(self.likelihood)

    def _labels(self, y):
        return y

    def _counted(self, y, trials):
        if not self._likelihood().takes_trials or np.ndim(y) != 2 or np.shape(y)[1] == 1:
            return y, trials
        y = check_numbers("y", y)
        counts = check_y(y, multi_output=True, y_numeric=True, estimator=self)
        if trials is not None or counts.shape[1] != 2 or (counts < 0).any():
            raise ValueError(
                "likelihood='binomial' takes y of one column, the successes, and trials; or y of "
                "two, counts of successes and of failures, without trials."
            )
        return counts[:, 0], counts.sum(axis=1)

    def _check_target(self, y, known=False):
        if not is_plain(y) or y.ndim != 1:
            y = check_numbers("y", y)
            y = check_y(y, multi_output=True, y_numeric=True, estimator=self)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        y = y.astype(np.float64, copy=False)
        check_sizes(y, "y", smallest=not known)
        if known and y.shape[1:] != self._y_shape:
            raise ValueError(f"y has {y.shape[1:]} outputs, {self._y_shape} in fit.")
        return y

    def score(self, X, y=None, sample_weight=None, *, exposure=None, trials=None):
        """Coefficient of determination of ``predict(X)``.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or Files
            Rows, also as Dask collections.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Their target. None if X is a :class:`~skmoe.rows.Files`, which has the target.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights.
        exposure, trials : array-like of shape (n_samples,), default=None
            As in ``fit``. The score is that of the rates, with these as weights, or with the
            trials of a target of successes and failures.

        Returns
        -------
        r2 : float
            1 for a perfect prediction.

        Examples
        --------
        >>> moe.score(X, y) > 0.99
        True
        """
        y, trials = self._counted(check_numbers("y", y), trials)
        if exposure is not None or trials is not None:
            y = column_or_1d(y)
        size = check_exposure(self, exposure, X, trials, None if trials is None else y)
        if size is not None:
            y = y / size
            if sample_weight is None:
                sample_weight = size
            else:
                sample_weight = sample_weight * size
        check_single_trials(self, y)
        return super().score(X, y, sample_weight)

    def predict(self, X, return_std=False, *, quantiles=None, exposure=None, trials=None):
        """Predict the mean, the average of the experts weighted by the gate; or quantiles.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows. Those of :class:`~skmoe.rows.Files` and Dask are predicted
            :doc:`block by block </guide/many_rows>`.
        return_std : bool, default=False
            Whether to return the standard deviation of the predictive distribution too.
        quantiles : float or array-like of shape (n_quantiles,), default=None
            Probabilities of quantiles to return in place of the mean, as by ``predict_quantiles``,
            also through a Pipeline: ``pipe.predict(X, quantiles=[0.05, 0.5, 0.95])``.
        exposure, trials : array-like of shape (n_samples,), default=None
            As in ``fit``: exposures of counts, or trials of successes. None: one for each row, so
            that predictions are rates.

        Returns
        -------
        mean : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the units of the target. With ``quantiles`` the quantiles, (n_samples,) for a float
            and (n_samples, n_quantiles) for a list; several outputs add a last axis.
        std : ndarray, shaped like mean
            Standard deviation, within and between experts. Only with ``return_std``.

        Raises
        ------
        ValueError
            If a mean is infinite, such as that of a log-normal distribution with a large scale, or
            if both ``return_std`` and ``quantiles`` are given.

        Examples
        --------
        >>> moe.predict([[2.0], [-1.0]]).round()
        array([4., 0.])
        """
        if quantiles is not None:
            if return_std:
                raise ValueError("Ask for return_std or for quantiles, not for both at once.")
            quantiles = check_probabilities("quantiles", quantiles)
            return self.predict_quantiles(X, quantiles, exposure=exposure, trials=trials)
        check_fitted(self)
        scaled = return_std or not self.likelihood_.has_scale_free_mean
        distribution = self._distribution(X, exposure, trials, scaled)
        mean = distribution.mean()
        if not np.isfinite(mean).all():  # long tails, or rows far from those in fit
            row = np.argmin(np.isfinite(mean.reshape(len(mean), -1)).all(axis=1))
            raise ValueError(f"The mean of row {row} is infinite: take predict_dist(X).median().")
        if return_std:
            return (mean, distribution.std())
        return mean

    def predict_dist(self, X, *, exposure=None, trials=None):
        """Predictive distribution of each row.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        exposure, trials : array-like of shape (n_samples,), default=None
            As in ``fit``: exposures of counts, or trials of successes. None: one for each row.

        Returns
        -------
        distribution : MixtureDistribution
            With ``mean``, ``std``, ``pdf``, ``cdf``, ``ppf``, ``interval``, ``rvs`` and more.

        Examples
        --------
        >>> moe.predict_dist([[2.0]]).cdf(4.0).round(1)
        array([0.5])
        """
        return self._distribution(X, exposure, trials)

    def _distribution(self, X, exposure, trials, scaled=True):
        check_fitted(self)
        X = check_X(self, X)
        return self._predictive.distribution(X, check_exposure(self, exposure, X, trials), scaled)

    def predict_quantiles(self, X, q, *, exposure=None, trials=None):
        """Quantiles of the predictive distribution.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        q : float or array-like of shape (n_quantiles,)
            Probabilities.
        exposure, trials : array-like of shape (n_samples,), default=None
            As in ``fit``: exposures of counts, or trials of successes. None: one for each row.

        Returns
        -------
        quantiles : ndarray of shape (n_samples,) or (n_samples, n_quantiles)
            Several outputs add a last axis.

        Examples
        --------
        >>> moe.predict_quantiles([[2.0]], [0.05, 0.5, 0.95]).round(1)
        array([[3.8, 4. , 4.2]])
        """
        return self.predict_dist(X, exposure=exposure, trials=trials).ppf(q)

    def predict_interval(self, X, level=0.9, *, exposure=None, trials=None):
        """Central interval of the predictive distribution.

        It has its nominal coverage if the model is right. :ref:`MAPIE <mapie>` guarantees it.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        level : float or array-like of shape (n_levels,), default=0.9
            Probability of the interval.
        exposure, trials : array-like of shape (n_samples,), default=None
            As in ``fit``: exposures of counts, or trials of successes. None: one for each row.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2) or (n_samples, 2, n_levels)
            Lower and upper end; with several outputs there is one more axis.

        Examples
        --------
        >>> moe.predict_interval([[2.0]], level=0.9).round(1)
        array([[3.8, 4.2]])
        """
        distribution = self.predict_dist(X, exposure=exposure, trials=trials)
        if np.ndim(level) != 1:
            return np.stack(distribution.interval(level), axis=1)
        if not len(level):
            raise ValueError("level must be one probability or a list of them; got an empty list.")
        return np.stack([np.stack(distribution.interval(each), axis=1) for each in level], axis=2)

    def sample_y(self, X, n_samples=1, random_state=None, *, exposure=None, trials=None):
        """Draw targets from the predictive distribution.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_rows, n_features)
            Rows.
        n_samples : int, default=1
            Draws for each row.
        random_state : int, RandomState instance or None, default=None
            Random number generator, or its seed. An int gives the same draws in each call (for rows
            out of memory, in the same blocks).
        exposure, trials : array-like of shape (n_rows,), default=None
            As in ``fit``: exposures of counts, or trials of successes. None: one for each row.

        Returns
        -------
        y : ndarray of shape (n_rows, n_samples) or (n_rows, n_outputs, n_samples)
            In the units of the target.

        Examples
        --------
        >>> moe.sample_y([[2.0]], 100, random_state=0).mean().round()
        np.float64(4.0)
        """
        check_n_draws("n_samples", n_samples)
        distribution = self._distribution(X, exposure, trials)
        return np.moveaxis(distribution.rvs(n_samples, random_state), 1, -1)

    def predict_experts(self, X):
        """Prediction of each expert for each row, in columns as those of ``gate_proba``.

        With fewer regimes than experts, ``responsibilities(..., by="expert")`` has these columns.
        For pooled counts, rates and positive targets predictions are means at the posterior means
        of the coefficients; ``predict`` also averages over their uncertainty.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        predictions : ndarray of shape (n_samples, n_experts)
            In the units of the target, but logarithms under :class:`~skmoe.likelihoods.LogNormal`.
            Several outputs add a last axis.

        Examples
        --------
        >>> moe.predict_experts([[2.0]]).round()
        array([[ 4., -3.]])
        """
        check_fitted(self)
        return self._model.expert_predictions(check_X(self, X))
