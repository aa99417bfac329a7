"""Standard errors of a fitted mixture, from the curvature of its log-likelihood."""

import numpy as np

from .._data import RowMetadata
from .._reports.by_regime import composition, groups_of
from .._validation import AnyRows, check_fitted
from ._bootstrap import bootstrap
from ._by_regime import RegimeParameters
from ._estimates import parameter_names, raw_parameters
from ._posterior import estimates_of
from ._wald import KINDS, WaldTable

UNTESTED = (
    "log_scale",
    "log_subject_scale",
    "log_shape",
    "log_concentration",
    "log_df",
    "log_share",
    "skew",
)  # never zero, or a saddle
UNTESTED_OF = ("cut: ", "log_subject_scale: ")  # a class or a column follows


class MixtureSummary(WaldTable):
    r"""Estimates of a mixture with standard errors; prints as a table and shows as HTML.

    Parameters
    ----------
    parts, terms : list of str
        Where each parameter belongs, and what it is: of each expert the intercept, the
        coefficients and ``log_scale``, the logarithm of its standard deviation, or ``log_shape``,
        where it has one; of the gate the log-odds of each expert against the first. Classes are
        log-odds against the first class, counts logarithms of their means. Where experts are of
        one regime, what is one of them stands once, and their own levels and scales follow.
    estimate : ndarray of shape (n_terms,)
        At the maximum of the likelihood, or as fitted with pooling and under "bootstrap", in the
        units of X and y. NaN, and n/a in print, where the parameter is not identified: the
        coefficient of a column that is constant or made of others, which have the meaning that
        theirs have if it is 0, or one that the rows of an expert say next to nothing about.
    cov : ndarray of shape (n_terms, n_terms)
        Covariance of the estimates, NaN of those that have none.
    kind : {"observed", "sandwich", "posterior", "bootstrap"}
        What it was made of. "posterior" is a mixture with pooling: a normal approximation of the
        posterior, and Wald's intervals by it.
    level : float
        Of the confidence intervals.
    log_likelihood : float
        At the estimates; under a posterior the log-density of its predictive distributions.
    n_parameters : int or None
        Free ones, None with pooling, which has no tests either; a coefficient that all experts
        share is one, though it stands in the table under each of them.
    n_samples : float
        Sum of the weights.
    n_subjects : int, default=None
        Number of subjects, where rows of one share one expert.
    notes : sequence of str, default=()
        Why which parameters are not identified.
    df : ndarray of shape (n_terms,) or float, default=inf
        Degrees of freedom of Student's t, by which the intervals are made.

    Attributes
    ----------
    std_error : ndarray of shape (n_terms,)
        Square roots of the diagonal of ``cov``.
    z, p_value : ndarray of shape (n_terms,)
        Wald's statistics for the hypothesis that a parameter is zero (NaN for scales and
        shapes), and their two-sided p-values.
    lower, upper : ndarray of shape (n_terms,)
        Ends of Wald's intervals.

    See Also
    --------
    skmoe.MixtureOfExpertsRegressor.summary : Makes it.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.gates import ConstantGate
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 3, size=(200, 1))
    >>> up = rng.uniform(size=200) < 0.6
    >>> y = np.where(up, 2 * X[:, 0], 5 - X[:, 0]) + rng.normal(size=200)
    >>> moe = MixtureOfExpertsRegressor(
    ...     n_experts=2, training="em", gate=ConstantGate(), random_state=0
    ... )
    >>> print(moe.fit(X, y).summary(X, y))
                                   estimate  std_error       z  p_value     2.5 %   97.5 %
    expert0
      intercept                    -0.02869      0.109   -0.26    0.793    -0.243   0.1856
      x0                              1.982     0.0603   32.88   <0.001     1.864      2.1
      log_scale                     0.06923      0.073                   -0.07387   0.2123
    expert1
      intercept                       5.037      0.105   47.96   <0.001     4.832    5.243
      x0                             -1.061     0.0593  -17.88   <0.001    -1.178  -0.9449
      log_scale                      -0.131     0.0838                    -0.2951  0.03318
    gate: expert1 against expert0
      intercept                     -0.2847      0.167   -1.71    0.088   -0.6118  0.04234
    <BLANKLINE>
    log-likelihood -380.8939, 7 parameters, 200 rows
    standard errors from the observed information
    """

    value, index = "estimate", {"part": "parts", "term": "terms"}

    def __init__(
        self, parts, terms, estimate, cov, *, kind, level, log_likelihood, n_parameters,
        n_samples, n_subjects=None, notes=(), df=np.inf,
    ):  # fmt: skip
        self.parts, self.terms, self.df = parts, terms, df
        self.kind, self.level, self.notes = kind, level, tuple(notes)
        self.log_likelihood = log_likelihood
        self.n_parameters, self.n_samples, self.n_subjects = n_parameters, n_samples, n_subjects
        self.has_tests = n_parameters is not None
        untested = [term in UNTESTED or term.startswith(UNTESTED_OF) for term in terms]
        self._set(estimate, cov, tested=~np.array(untested), df=df)

    def _lines(self):
        of_subjects = "" if self.n_subjects is None else f" of {self.n_subjects} subjects"
        n_parameters = "" if self.n_parameters is None else f"{self.n_parameters} parameters, "
        return (
            f"log-likelihood {self.log_likelihood:.4f}, {n_parameters}"
            f"{self.n_samples:g} rows{of_subjects}",
            KINDS[self.kind],
            *self.notes,
        )


def check_options(mixture, cov, level):
    """ValueError where there is no such covariance or level."""
    if cov not in ("observed", "sandwich", "bootstrap"):
        raise ValueError(f"cov must be 'observed', 'sandwich' or 'bootstrap'; got {cov!r}.")
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1; got {level!r}.")
    if cov == "observed" and mixture.class_weight is not None:
        raise ValueError(
            "With class_weight the likelihood is none of the data: cov='sandwich', or "
            "cov='bootstrap'."
        )


class InferringMixture(AnyRows):
    """``summary`` of a fitted mixture."""

    def summary(
        self, X, y, sample_weight=None, *, exposure=None, trials=None, subject=None, upper=None,
        cov="observed", level=0.95, by="regime",
    ):  # fmt: skip
        r"""Coefficients with standard errors, tests and confidence intervals.

        All parameters have one covariance matrix: the experts' coefficients and scales, and the
        gate's log-odds against the first expert. It is the inverse of the observed information
        of the mixture [1]_, exact derivatives of the log-likelihood at its maximum, and so
        counts in that nobody knows which expert made a row. "sandwich" puts the squares of the
        rows' scores between two such inverses [2]_: right also where the errors are not
        Gaussian, or not equally large.

        Of columns that are constant or depend on each other, such as the one-hot columns of a
        category, one is the reference, its most frequent level: its coefficient is n/a, and the
        others are differences from it. What the rows of one expert say nothing about is n/a too.

        Penalties are left out: the estimates are those of maximum likelihood, a few Newton steps
        from the fit. Where that is more than a standard error from the fit in any coefficient,
        a penalty matters, or EM stopped early, and the summary is refused. The default penalties
        of experts and gate do not come near that unless the gate's border is sharp.

        With ``pooling`` there is a posterior in place of a maximum. Estimates are the fitted
        parameters, and ``std_error`` the standard deviations of Laplace's normal approximation
        [3]_: the inverse of the observed information plus the precision of the prior, which
        accounts for uncertainty about which expert made a row as well. Prior variances are taken
        as known, but for the intercepts of the experts, which may differ as much as their slopes,
        and for the gate, where the uncertainty of its prior precision is added. Where the evidence
        finds that no slope matters, or that experts do not differ, their standard deviations are
        next to zero. Intervals of coefficients under Gaussian errors are those of Student's t, with
        the degrees of freedom that are left for the error variance. There are no tests.

        All coefficients are then identified, also of columns that depend on each other; but the
        levels of a string column are known by their differences alone. These are printed, from the
        most frequent level, whose own coefficient is n/a; of levels that are random effects, ten
        or more, from the mean of all, with their standard deviation. "sandwich" has the precision
        of the prior beside the squares of scores in its middle, so that it is the posterior's where
        the model is right. Where the posterior has no maximum in some direction, it is not normal:
        the parameters of that direction have no standard error, as those of an expert whose errors
        are as small as their floor. A note names them, and all others have theirs.

        "bootstrap" takes the covariance of the parameters over 200 resamples of the rows, or
        subjects, from :func:`~skmoe.inference.bootstrap`, at so many refits. It asks for no
        derivatives, maximum or normal posterior.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows that the mixture was fitted on.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their target.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights. For "observed" a row of weight 2 is two rows; for "sandwich" it is
            one, which stands for two of the population.
        exposure, trials, subject, upper : array-like of shape (n_samples,)
            As in ``fit``. The sandwich allows for any dependence within a subject. Upper bounds are
            for likelihoods with ``censored_terms``, and an error names these.
        cov : {"observed", "sandwich", "bootstrap"}, default="observed"
            Covariance of the estimates. With ``pooling``, "observed" is the posterior's.
        level : float, default=0.95
            Of the confidence intervals.
        by : {"regime", "expert"}, default="regime"
            Where fewer regimes than experts were found, what is one by "regime" is told once: the
            slopes of regime0, the experts of ``regimes_[0]``, the mean of their intercepts, which
            is that of its errors, and the gate between regimes; levels and scales of experts
            follow. Else, and by "expert", each expert has all of its parameters.

        Returns
        -------
        summary : MixtureSummary
            See :class:`~skmoe.inference.MixtureSummary`. Prints as a table, shows as HTML, and
            turns into a DataFrame with ``to_frame``. Coefficients are in the units of X, or of
            what the transformers of a Pipeline make of it.

        Raises
        ------
        ValueError
            If the mixture has no such standard errors: experts that are not linear or logistic (or
            log-linear, for counts and positive targets), another gate than
            :class:`~skmoe.gates.SoftmaxGate` or :class:`~skmoe.gates.ConstantGate`, a scale at
            its floor, a gate that separates the experts without an error, or an information that
            is nearly singular. With ``pooling``, if no parameter is near a maximum of the
            posterior. Of these, cov="bootstrap" needs the experts and the gate alone, and
            :func:`~skmoe.inference.bootstrap` of a statistic nothing.

        References
        ----------
        .. [1] T. A. Louis, "Finding the observed information matrix when using the EM
           algorithm", Journal of the Royal Statistical Society B 44 (1982) 226-233.
        .. [2] H. White, "Maximum likelihood estimation of misspecified models", Econometrica 50
           (1982) 1-25.
        .. [3] D. J. C. MacKay, "The evidence framework applied to classification networks", Neural
           Computation 4 (1992) 720-736.

        Examples
        --------
        >>> print(moe.summary(X, y))
        estimate  std_error ...
        """
        check_fitted(self)
        check_options(self, cov, level)
        is_pooled = self.likelihood_.averages_experts
        metadata, df = RowMetadata(exposure, trials, subject, upper), np.inf
        estimates = estimates_of(self, X, y, sample_weight, metadata)
        likelihood = estimates.likelihood
        if cov == "bootstrap":
            result = bootstrap(
                self, X, y, sample_weight=sample_weight, **metadata._asdict(), n_jobs=self.n_jobs,
                random_state=self.random_state,
            )  # fmt: skip
            raw, covariance = result.estimate, np.cov(result.bootstrap_distribution)
            n_parameters = None if is_pooled else likelihood.size
            value, notes = estimates.log_likelihood, estimates.notes(np.ones_like(raw, bool))
        elif is_pooled:
            n_parameters, value, known = None, estimates.log_likelihood, estimates.known()
            recode, covariance = estimates.in_full_rank(), estimates.covariance(cov == "sandwich")
            raw, covariance = recode @ raw_parameters(self), recode @ covariance @ recode.T
            covariance[~known] = covariance[:, ~known] = np.nan
            notes, df = estimates.notes(known), estimates.degrees_of_freedom()
            cov = "posterior" if cov == "observed" else cov
        else:
            theta, value, covariance, known = estimates.maximum()
            if cov == "sandwich":
                covariance = covariance @ likelihood.outer_scores(theta) @ covariance
            raw, to_raw = estimates.in_raw_units(theta)
            to_raw[~known] = raw[~known] = np.nan
            covariance = to_raw @ covariance @ to_raw.T
            n_parameters, notes = likelihood.size, estimates.notes(known)
        (parts, terms), groups = parameter_names(self), groups_of(self, by)
        if groups.are_regimes:
            told = RegimeParameters(self, groups, raw)
            parts, terms, raw = told.parts, told.terms, told.estimate
            covariance, df = told.covariance(covariance), told.fewest(df)
            notes = [*notes, composition(groups, list(self.named_experts_))]
        return MixtureSummary(
            parts,
            terms,
            raw,
            covariance,
            kind=cov,
            level=level,
            log_likelihood=value,
            n_parameters=n_parameters,
            n_samples=float(likelihood.weight.sum()),
            n_subjects=None
            if likelihood.subjects is None
            else int(likelihood.subjects.counts.sum()),
            notes=notes,
            df=df,
        )
