"""Average marginal effects of columns, with standard errors by the delta method."""

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier

from .._data import RowMetadata
from .._tables.known import check_weights
from .._tables.mixed import take_rows
from .._validation import AnyRows, check_fitted
from ._averages import Averages, Changes
from ._bootstrap import bootstrap
from ._estimates import LEAST_SHARE, OTHERWISE, raw_parameters
from ._posterior import estimates_of
from ._summary import check_options
from ._wald import KINDS, WaldTable

LARGEST_MISMATCH = 1e-2  # of means, in standard deviations of the target given the columns
NOT_NORMAL = (
    "std_error n/a: in a direction that matters to these the posterior rises away from the fit,\n"
    "and is not normal; cov='bootstrap' has one for each"
)


class MarginalEffects(WaldTable):
    r"""Average marginal effects with standard errors; prints as a table and shows as HTML.

    Parameters
    ----------
    quantities, columns : list of str
        What changes, "mean" for example, and with which column of X; of a column of categories
        with the two levels.
    effect : ndarray of shape (n_effects,)
        Averages over rows. NaN, and n/a in print, where the rows do not identify an effect.
    cov : ndarray of shape (n_effects, n_effects)
        Covariance of the effects, by the delta method.
    kind : {"observed", "sandwich", "posterior", "bootstrap"}
        What covariance of the parameters it was made of; see :class:`MixtureSummary`.
    has_tests : bool
        Whether there are tests: not with pooling.
    level : float
        Of the confidence intervals.
    n_rows : float
        That were averaged over, by weight.
    notes : sequence of str, default=()
        Which columns have no effects, and why.

    Attributes
    ----------
    std_error : ndarray of shape (n_effects,)
        Square roots of the diagonal of ``cov``.
    z, p_value : ndarray of shape (n_effects,)
        Wald's statistics for the hypothesis that an effect is zero, and their two-sided p-values;
        NaN without tests.
    lower, upper : ndarray of shape (n_effects,)
        Ends of Wald's intervals.

    See Also
    --------
    skmoe.MixtureOfExpertsRegressor.marginal_effects : Makes it.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(
    ...     {
    ...         "dose": rng.uniform(-2, 2, size=300),
    ...         "sex": rng.choice(["f", "m"], size=300, p=[0.6, 0.4]),
    ...     }
    ... )
    >>> responds = rng.uniform(size=300) < np.where(X["sex"] == "m", 0.7, 0.3)
    >>> y = np.where(responds, 2 + 2 * X["dose"], 0) + 0.5 * rng.normal(size=300)
    >>> moe = MixtureOfExpertsRegressor(n_experts=2, training="em", random_state=0)
    >>> effects = moe.fit(X, y).marginal_effects(X, y)
    >>> print(effects)
                                     effect  std_error      z  p_value     2.5 %   97.5 %
    mean
      dose                           0.7807     0.0808   9.66   <0.001    0.6223   0.9392
      sex: m against f                0.832      0.154   5.42   <0.001     0.531    1.133
    gate: probability of expert0
      dose                         0.001511     0.0266   0.06    0.955  -0.05057  0.05359
      sex: m against f              -0.3888     0.0608  -6.39   <0.001    -0.508  -0.2696
    gate: probability of expert1
      dose                        -0.001511     0.0266  -0.06    0.955  -0.05359  0.05057
      sex: m against f               0.3888     0.0608   6.39   <0.001    0.2696    0.508
    expert0: mean
      dose                         -0.04552     0.0344  -1.32    0.186    -0.113  0.02193
      sex: m against f             -0.01385     0.0984  -0.14    0.888   -0.2067    0.179
    expert1: mean
      dose                            1.956     0.0391  49.96   <0.001     1.879    2.032
      sex: m against f              -0.1535     0.0899  -1.71    0.088   -0.3298  0.02269
    <BLANKLINE>
    averages over 300 rows, which are taken as given
    standard errors from the observed information
    """

    value, index = "effect", {"quantity": "quantities", "column": "columns"}

    def __init__(
        self, quantities, columns, effect, cov, *, kind, has_tests, level, n_rows, notes=()
    ):
        self.quantities, self.columns = quantities, columns
        self.kind, self.level, self.notes = kind, level, tuple(notes)
        self.has_tests, self.n_rows = has_tests, n_rows
        self._set(effect, cov, tested=np.diag(cov) > 0)

    def _lines(self):
        return (
            f"averages over {self.n_rows:g} rows, which are taken as given",
            KINDS[self.kind],
            *self.notes,
        )


class MeasuringMixture(AnyRows):
    """``marginal_effects`` of a fitted mixture."""

    def marginal_effects(
        self, X, y, sample_weight=None, *, exposure=None, trials=None, subject=None, upper=None,
        cov="observed", level=0.95,
    ):  # fmt: skip
        r"""Average marginal effects of the columns of X, with standard errors.

        By how much the mean of y changes with a column [1]_: the derivative of

        .. math:: E[y \mid x] = \sum_k \pi_k(x) \, \mu_k(x),

        in which experts and gate change both, averaged over the rows. Of classes it is the
        probability of each. Beside it stand the effects on the probabilities of the experts,
        :math:`\pi_k`, and those on the mean within each, :math:`\mu_k`, over all rows as well.
        Experts of one regime (``regimes_``) are one there.

        Of a number it is the derivative, in units of y for one unit of the column as X has it,
        through whatever transformers; rows where it is missing do not count. Of strings, categories
        and booleans it is a difference: the mean with all rows at a level less that with all rows
        at the most frequent one. Other columns stay as they are.

        Standard errors follow from the covariance of all parameters, as ``summary`` has it, by the
        delta method. The rows are taken as given: that others might have been drawn is not in them.
        Effects are at the estimates of the summary. With ``pooling`` that is at the posterior means
        of the coefficients, as in ``predict_experts``, and there are no tests; where the posterior
        is not normal in a direction that matters to an effect, it has no standard error.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows that the mixture was fitted on.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their target.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights, in the fit and in the averages.
        exposure, trials, subject, upper : array-like of shape (n_samples,)
            As in ``fit``. Effects are on the mean of counts under these exposures and trials, as
            ``predict`` with them has it, and on the mean of what is not censored.
        cov : {"observed", "sandwich", "bootstrap"}, default="observed"
            Covariance of the estimates, as in ``summary``.
        level : float, default=0.95
            Of the confidence intervals.

        Returns
        -------
        effects : MarginalEffects
            See :class:`~skmoe.inference.MarginalEffects`. Prints as a table, shows as HTML, and
            turns into a DataFrame with ``to_frame``. A column that a quantity does not depend on
            has no line there, and one that is binned has none at all.

        Raises
        ------
        ValueError
            If there is no ``summary``, for the same reasons.

        References
        ----------
        .. [1] T. Bartus, "Estimation of marginal effects using margeff", Stata Journal 5 (2005)
           309-329.

        Examples
        --------
        >>> print(moe.marginal_effects(X, y))
        effect  std_error ...
        """
        check_fitted(self)
        check_options(self, cov, level)
        if sparse.issparse(X):
            raise TypeError("marginal_effects takes dense X: pass X.toarray().")
        is_pooled = self.likelihood_.averages_experts
        metadata = RowMetadata(exposure, trials, subject, upper)
        estimates = estimates_of(self, X, y, sample_weight, metadata)
        raw, covariance, are_known = _effect_parameters(
            self, estimates, cov, X, y, sample_weight, metadata
        )
        rows, used = estimates.rows, np.flatnonzero(estimates.rows.weight)
        weight = check_weights(sample_weight, rows.X)[used]
        exposure = None if rows.exposure is None else rows.exposure[used]
        changes = Changes(self, estimates, take_rows(rows.X, used), weight)
        if not is_pooled:
            fitted = Averages(self, estimates, raw_parameters(self), exposure)
            _check_means(self, rows, used, fitted.means(changes.base))
        averages = Averages(self, estimates, raw, exposure)
        found = []  # for each change and quantity that it changes
        for name, after, before, share in changes.each():
            effect, slope = (
                a - b
                for a, b in zip(averages.at(after, share), averages.at(before, share), strict=True)
            )
            if not changes.is_estimable(after, before, share):
                effect[:] = np.nan
            found += [(i, name, effect[i], slope[i]) for i in np.flatnonzero(slope.any(axis=1))]
        if not found:
            raise ValueError(
                "There are no effects: experts and gate depend on no column of X. "
                + " ".join(changes.notes())
            )
        quantity, columns, effect, slopes = zip(*sorted(found, key=lambda row: row[0]), strict=True)
        effect, slopes = np.array(effect), np.array(slopes)
        unknown, notes = ~are_known(slopes), changes.notes()
        if is_pooled and unknown.any():
            notes.append(NOT_NORMAL)
        elif not is_pooled:
            effect[unknown] = np.nan
        if np.isnan(effect).any():
            notes.append("n/a: other columns tell the same, or the rows next to nothing")
        unknown |= np.isnan(effect)
        cov_of_effects = slopes @ covariance @ slopes.T
        cov_of_effects[unknown] = cov_of_effects[:, unknown] = np.nan
        return MarginalEffects(
            [averages.names[i] for i in quantity],
            list(columns),
            effect,
            cov_of_effects,
            kind="posterior" if is_pooled and cov == "observed" else cov,
            has_tests=not is_pooled,
            level=level,
            n_rows=float(weight.sum()),
            notes=notes,
        )


def _effect_parameters(mixture, estimates, cov, *rows):
    """Parameters in raw units, their covariance, and what says which sums of them are known.

    Columns without a coefficient have 0.
    """
    if cov == "bootstrap":
        X, y, sample_weight, metadata = rows
        result = bootstrap(
            mixture, X, y, sample_weight=sample_weight, **metadata._asdict(), n_jobs=mixture.n_jobs,
            random_state=mixture.random_state,
        )  # fmt: skip
        raw, covariance = result.estimate, np.cov(result.bootstrap_distribution)
        return np.nan_to_num(raw), np.nan_to_num(covariance), lambda slopes: slopes.any(axis=1)
    if mixture.likelihood_.averages_experts:
        covariance = estimates.covariance(cov == "sandwich")
        return raw_parameters(mixture), covariance, estimates.leave_alone
    theta, _, covariance, known = estimates.maximum()
    if cov == "sandwich":
        covariance = covariance @ estimates.likelihood.outer_scores(theta) @ covariance
    raw, to_raw = estimates.in_raw_units(theta)
    size = (to_raw**2).sum(axis=1)
    of_unknown = size * (estimates.identified() & ~known)

    def are_known(slopes):
        return slopes**2 @ of_unknown <= LEAST_SHARE * (slopes**2 @ size)

    return raw, to_raw @ covariance @ to_raw.T, are_known


def _check_means(mixture, rows, used, means):
    """ValueError where the terms do not know the mean that a mixture predicts."""
    model = mixture._model
    if is_classifier(mixture):
        predicted, scale = model.proba(rows.X), 1.0
    else:
        distribution = model.distribution(rows.X, rows.exposure)
        predicted, scale = distribution.mean(), distribution.std().mean()
    gap = np.abs(means - predicted.reshape(len(predicted), -1)[used]).mean()
    if not gap <= LARGEST_MISMATCH * scale:
        raise ValueError(
            f"The terms of {mixture.likelihood_} do not have the mean that the mixture predicts: "
            f"they differ by {gap:.3g} on average. Give them mean_of. "
            f"{OTHERWISE}"
        )
