"""Standard errors of a fitted mixture, from the curvature of its log-likelihood."""

import numpy as np

from .._experts.fitting import split_last
from .._reports.by_regime import composition, groups_of, in_lines
from .._reports.coefficients import OF_LOGARITHM, predicted, shortened, words_of_scale
from .._reports.column_names import columns_of
from .._validation import check_fitted
from ._bootstrap import EstimateTable, bootstrap_covariance
from ._estimates import parameter_names
from ._posterior import estimates_of

VISIBLE = 1e-3  # standard errors, from which on printed digits may differ
OF_EM = "coefficients() has the values where EM stopped, up to {:.1g} standard errors from these."
COMPLEX_STEP = 1e-30j
LOGS = ("scale", "subject_scale", "shape", "concentration", "df", "share")
UNTESTED = (*(f"log_{name}" for name in LOGS), "skew")  # never zero, or a saddle
UNTESTED_OF = "log_subject_scale: "  # a column follows
FEW_UNITS = 30  # rows or subjects, below which a sandwich is itself uncertain
KINDS = {
    "observed": "standard errors from the observed information",
    "sandwich": "standard errors from the sandwich",
    "bootstrap": "std_error: standard deviation over bootstrap resamples of the rows",
    "posterior": "std_error: posterior standard deviation (normal approximation,\n"
    "prior variances taken as known)",
}


class MixtureSummary(EstimateTable):
    r"""Estimates of a mixture with standard errors; prints as a table and shows as HTML.

    Parameters
    ----------
    parts, terms : list of str
        Part and name of each parameter: for each expert the intercept, the coefficients and
        ``log_scale`` or ``log_shape``; for the gate the log-odds of each expert against the first.
        For classes they are log-odds against the first class, for counts logarithms of means.
        Parameters that the experts of a regime share are listed once, then their own levels.
    estimate : ndarray of shape (n_terms,)
        At the maximum of the likelihood, or as fitted with pooling and "bootstrap", in the units of
        X and y. NaN (n/a in print) for parameters that are not identified: the coefficient of a
        constant or linearly dependent column, which counts as 0 for the others, or one that the
        rows of an expert do not determine.
    cov : ndarray of shape (n_terms, n_terms)
        Covariance of the estimates, NaN if there is none.
    kind : {"observed", "sandwich", "posterior", "bootstrap"}
        Kind of covariance. "posterior" is for pooling: a normal approximation of the posterior.
        Its intervals are normal, for coefficients with Gaussian errors those of Student's t.
    level : float
        Level of the confidence intervals.
    log_likelihood : float
        At the estimates; for a posterior, the log-density of the predictive distributions.
    n_parameters : int or None
        Number of free parameters, None with pooling, which has no tests either. A coefficient
        that all experts share counts once.
    n_samples : float
        Sum of the weights.
    n_subjects : int, default=None
        Number of subjects, if rows of a subject share an expert.
    notes : sequence of str, default=()
        Which parameters are not identified, and why.
    df : ndarray of shape (n_terms,) or float, default=inf
        Degrees of freedom of Student's t for the intervals.

    Attributes
    ----------
    std_error : ndarray of shape (n_terms,)
        Square roots of the diagonal of ``cov``.
    z, p_value : ndarray of shape (n_terms,)
        Wald's statistics for the hypothesis that a parameter is zero (NaN for scales and
        shapes), and their two-sided p-values.
    lower, upper : ndarray of shape (n_terms,)
        Ends of the intervals, by Student's t with ``df`` degrees of freedom (inf: normal).

    See Also
    --------
    skmoe.MixtureOfExpertsRegressor.summary : Computes it.

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
    log_scale: logarithm of the standard deviation of an expert's errors
    """

    def __init__(
        self,
        parts,
        terms,
        estimate,
        cov,
        *,
        kind,
        level,
        log_likelihood,
        n_parameters,
        n_samples,
        n_subjects=None,
        notes=(),
        df=np.inf,
    ):
        self.parts = parts
        self.terms = terms
        self.df = df
        self.kind = kind
        self.level = level
        self.notes = tuple(notes)
        self.log_likelihood = log_likelihood
        self.n_parameters = n_parameters
        self.n_samples = n_samples
        self.n_subjects = n_subjects
        self.has_tests = n_parameters is not None
        untested = [term in UNTESTED or term.startswith(UNTESTED_OF) for term in terms]
        self._set(estimate, cov, tested=~np.array(untested), df=df)

    def _lines(self):
        if self.n_subjects is None:
            of_subjects = ""
        else:
            of_subjects = f" of {self.n_subjects} subjects"
        if self.n_parameters is None:
            n_parameters = ""
        else:
            n_parameters = f"{self.n_parameters} parameters, "
        return (
            f"log-likelihood {self.log_likelihood:.4f}, {n_parameters}"
            f"{self.n_samples:g} rows{of_subjects}",
            kind_of_errors(self),
            *self.notes,
        )


def kind_of_errors(table):
    """Description of the standard errors of a table."""
    n_units = np.max(table.df) + 1
    if table.kind != "sandwich" or n_units >= FEW_UNITS:
        return KINDS[table.kind]
    return f"{KINDS['sandwich']}: uncertain itself, as rows or subjects are few ({n_units:.0f})"


def check_options(mixture, cov, level):
    """Raise a ValueError if there is no such covariance or level."""
    if cov not in ("observed", "sandwich", "bootstrap"):
        raise ValueError(f"cov must be 'observed', 'sandwich' or 'bootstrap'; got {cov!r}.")
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1; got {level!r}.")
    if cov == "observed" and mixture.class_weight is not None:
        raise ValueError(
            "With class_weight there is no likelihood of the data: cov='sandwich' or 'bootstrap'."
        )


def summary(mixture, X, y, sample_weight, metadata, cov, level, by, max_rows):
    """Summary of a fitted mixture; parameters are those of its method."""
    check_fitted(mixture)
    check_options(mixture, cov, level)
    estimates = estimates_of(mixture, X, y, sample_weight, metadata)
    df = np.inf
    lacking = []
    likelihood = estimates.likelihood
    is_pooled = mixture.likelihood_.averages_experts
    if cov == "bootstrap":
        raw, covariance, lacking = bootstrap_covariance(mixture, X, y, sample_weight, metadata)
        value = estimates.log_likelihood
        known = np.ones_like(raw, bool)
    else:
        raw, covariance, value, are_known = estimates.found(cov == "sandwich")
        recode = estimates.in_full_rank()
        df = estimates.degrees_of_freedom(cov == "sandwich")
        known = are_known(recode)
        if estimates.distance > VISIBLE:
            lacking = [in_lines(OF_EM.format(estimates.distance))]
        raw = recode @ raw
        covariance = recode @ covariance @ recode.T
        covariance[~known] = covariance[:, ~known] = np.nan
        if not is_pooled:
            raw[~known] = np.nan
        elif cov == "observed":
            cov = "posterior"
    notes = estimates.notes(known) + lacking
    n_parameters = None if is_pooled else likelihood.size
    (parts, terms), groups = parameter_names(mixture), groups_of(mixture, by)
    if groups.are_regimes:
        parts, terms, raw, derivatives = parameters_of_regimes(mixture, groups, raw)
        covariance = delta_method(derivatives, covariance)
        df = np.where(derivatives != 0, df, np.inf).min(axis=1)  # the fewest that matter
        notes = [*notes, composition(groups, list(mixture.named_experts_))]
    if "log_scale" in terms:
        kind, errors = words_of_scale(mixture.likelihood_)
        notes.append(f"log_scale: logarithm of the {kind} of an expert's {errors}")
    notes = [*notes, *map(in_lines, mixture._short_notes)]
    subjects = likelihood.subjects
    n_samples = float(likelihood.weight.sum())
    table = MixtureSummary(
        parts,
        terms,
        raw,
        covariance,
        kind=cov,
        level=level,
        log_likelihood=value,
        n_parameters=n_parameters,
        n_samples=n_samples,
        n_subjects=None if subjects is None else int(subjects.counts.sum()),
        notes=notes,
        df=df,
    )
    return shortened(table, mixture, max_rows)


def parameters_of_regimes(mixture, groups, raw):
    """Parameters of regimes, from those of experts and gate, with shared ones listed once.

    Returns their parts and names, two lists, their values, and the derivatives of these
    (n_found, n_parameters), by complex steps [1]_.

    References
    ----------
    .. [1] W. Squire and G. Trapp, "Using complex variables to estimate derivatives of real
       functions", SIAM Review 40 (1998) 110-112.
    """
    names = list(mixture.named_experts_)
    gate = split_last(mixture.gate_)[1]
    expert, parts, terms = mixture.experts_[0], *parameter_names(mixture)
    n_raw = len(raw)
    n_experts = len(names)
    n_of_gate = sum(part.startswith("gate: ") for part in parts)
    of_each = dict.fromkeys(part.partition(":")[1:] for part in parts[: n_raw - n_of_gate])
    labels = ["".join(label) for label in of_each]
    # Parameters are along the first axis; each is moved once along the last.
    moved = raw[:, None] + COMPLEX_STEP * np.eye(n_raw)
    of_experts = moved[: n_raw - n_of_gate].reshape(n_experts, len(labels), -1, n_raw)
    of_gate = moved[n_raw - n_of_gate :].reshape(n_experts - 1, -1, n_raw)
    of_gate = np.concatenate([np.zeros_like(of_gate[:1]), of_gate])  # against the first expert
    of_labels = np.reshape(terms[: n_raw - n_of_gate], (n_experts, len(labels), -1))[0]
    of_log_odds = terms[n_raw - len(of_gate[0]) :]
    log_odds = of_gate[:, 0]
    n_levels = 1 + len(columns_of(expert, None).names)
    through_log = predicted(mixture.likelihood_, split_last(expert)[1]) == OF_LOGARITHM
    # Whether the relative probabilities of the experts of a regime are the same in all rows.
    has_offsets = mixture.likelihood_.offset_var_ is not None
    has_shares = has_offsets or not gate.sees_rows
    members = [np.flatnonzero(groups.of_expert == r) for r in range(len(groups.names))]
    found = []

    def add(part, names, values):
        found.extend((part, *each) for each in zip(names, values, strict=True))

    def mean_level(of, levels):
        if not has_shares:  # they are the same
            return levels[0]
        log_shares = log_odds[of] - _log_sum(log_odds[of])
        if through_log:
            return _log_sum(levels + log_shares)
        return (np.exp(log_shares) * levels).sum(axis=0)

    for name, of in zip(groups.names, members, strict=True):
        for j, label in enumerate(labels):
            own = of_experts[of[0], j]
            if len(of) > 1:
                own = [mean_level(of, of_experts[of, j, 0]), *own[1:n_levels]]
            add(name + label, of_labels[j, : len(own)], own)
    for name, of in zip(groups.names, members, strict=True):
        for k in of if len(of) > 1 else []:
            for j, label in enumerate(labels):
                own = [*range(has_offsets), *range(n_levels, of_labels.shape[1])]
                add(f"{name}, {names[k]}{label}", of_labels[j, own], of_experts[k, j, own])
    if not has_shares:
        for k in range(1, n_experts):
            add(f"gate: {names[k]} against {names[0]}", of_log_odds, of_gate[k])
    else:
        totals = [_log_sum(log_odds[of]) for of in members]
        for r in range(1, len(members)):
            part = f"gate: {groups.names[r]} against {groups.names[0]}"
            add(part, of_log_odds, [totals[r] - totals[0], *of_gate[members[r][0], 1:]])
        for leader, *others in members:
            for k in others:
                part = f"gate: {names[k]} against {names[leader]}"
                add(part, ["intercept"], [log_odds[k] - log_odds[leader]])
    parts, terms, values = zip(*found, strict=True)
    values = np.array(values)
    return list(parts), list(map(str, terms)), values[:, 0].real, values.imag / COMPLEX_STEP.imag


def _log_sum(logs):
    """Logarithm of a sum over the first axis, computed relative to the largest."""
    largest = logs.real.max(axis=0)
    return largest + np.log(np.exp(logs - largest).sum(axis=0))


def delta_method(derivatives, cov):
    """Covariance of functions of parameters, NaN if one that matters is NaN."""
    unknown = np.isnan(np.diag(cov))
    found = derivatives @ np.where(np.isnan(cov), 0.0, cov) @ derivatives.T
    unknown = (derivatives[:, unknown] != 0).any(axis=1)
    found[unknown] = found[:, unknown] = np.nan
    return found
