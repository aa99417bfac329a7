"""Predictors of regimes that are kept as they are."""

import numpy as np
from scipy import linalg
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_array, check_consistent_length

from .._data import RowMetadata, Subjects
from .._experts.fitting import split_last
from .._numerics.statistics import independent_columns
from .._rows.validation import check_fitted, check_known_rows
from .._tables.mixed import as_pandas, is_table
from ..gates import ConstantGate
from ..likelihoods import ExpertTerms
from ._columns import Columns
from ._estimates import LEAST_UNDECIDED
from ._information import MixtureLikelihood, inverse, maximise
from ._summary import MixtureSummary


class _Assignment(ExpertTerms):
    """Log-probability that rows of a regime are assigned as they are: nothing to estimate."""

    @classmethod
    def size(cls, design, target):
        return 0

    def __init__(self, theta, design, target):
        self.target = target

    def log_density(self):
        return self.target[:, 0]

    def score(self):
        return np.empty((len(self.target), 0))

    def hessian(self, weights):
        return np.empty((0, 0))


def membership_summary(
    mixture, X, y, predictors, sample_weight=None, *, exposure=None, trials=None, subject=None,
    upper=None, level=0.95,
):  # fmt: skip
    r"""What else predicts the regime of a row, or of a subject, while the regimes stay as they are.

    Columns in the gate of a mixture take part in what its regimes are. Here they do not, in three
    steps [1]_: the mixture is fitted without them; each row is assigned to the expert of the
    largest responsibility, :math:`W`; and a multinomial logit of the expert :math:`T` on the
    predictors z is fitted to the assignments by maximum likelihood,

    .. math:: \sum_i \log \sum_t P(T = t \mid z_i) P(W = W_i \mid T = t)

    Its errors of assignment are those that the responsibilities expect, so that coefficients are
    not drawn towards zero, as those of a regression of the assignments are. Where rows have an
    ``entry``, the log-odds are those of all rows, seen or not.

    Parameters
    ----------
    mixture : mixture
        Fitted behind a :class:`~skmoe.gates.ConstantGate`.
    X : array-like or DataFrame of shape (n_samples, n_features)
        Rows it was fitted on.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Their target.
    predictors : array-like or DataFrame of shape (n_samples, n_predictors)
        Numbers that may predict the regime; with ``subject`` the same in all rows of one.
    sample_weight : array-like of shape (n_samples,), default=None
        Their weights.
    exposure, trials, subject, upper : array-like of shape (n_samples,), default=None
        As in ``fit``.
    level : float, default=0.95
        Of the confidence intervals.

    Returns
    -------
    summary : MixtureSummary
        Log-odds of each expert against the first, with standard errors from the sandwich, which
        take the regimes as known.

    Raises
    ------
    ValueError
        If the gate of the mixture sees columns, predictors are no numbers or differ within a
        subject, or there is no maximum.

    References
    ----------
    .. [1] J. K. Vermunt, "Latent class modeling with covariates: two improved three-step
       approaches", Political Analysis 18 (2010) 450-469.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.gates import ConstantGate
    >>> from skmoe.inference import membership_summary
    >>> rng = np.random.default_rng(0)
    >>> X, age = rng.normal(size=(2, 500, 1))
    >>> late = rng.uniform(size=500) < 1 / (1 + np.exp(-age[:, 0]))
    >>> y = np.where(late, 2 + X[:, 0], -X[:, 0]) + 0.7 * rng.normal(size=500)
    >>> params = {"n_experts": 2, "gate": ConstantGate(), "training": "em"}
    >>> moe = MixtureOfExpertsRegressor(**params, random_state=0).fit(X, y)
    >>> membership_summary(moe, X, y, age).to_frame().shape
    (2, 6)
    """
    check_fitted(mixture)
    if not isinstance(split_last(mixture.gate_)[1], ConstantGate):
        raise ValueError(
            "membership_summary needs a mixture whose gate sees no columns: "
            "gate=ConstantGate(). What a gate sees has coefficients in summary(X, y)."
        )
    metadata = RowMetadata(exposure, trials, subject, upper)
    rows = check_known_rows(mixture, X, y, sample_weight, metadata)
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1; got {level!r}.")
    model, log_seen = mixture._model, None
    resp, _, weight = model.e_step(rows)
    Z, names = _predictors(predictors, rows)
    used = weight > 0
    if rows.bounds is not None and rows.bounds.entry is not None:
        components = model.components(rows.X, model.all_routes(rows.X))
        log_seen = components.logsf(rows.bounds.entry[:, None])[used]
    likelihood, to_raw = _third_step(resp[used], Z, names, weight[used], log_seen)
    theta, value, information, converged = maximise(likelihood, np.zeros(likelihood.size))
    covariance, flat, _ = inverse(information)
    is_separated = likelihood.undecided(theta)[0].min() < LEAST_UNDECIDED
    if is_separated or not converged or flat.size:
        raise ValueError(
            "The log-odds of the regimes have no maximum: predictors separate them without an "
            "error, or the rows say next to nothing. Take fewer predictors, or fewer experts."
        )
    covariance = covariance @ likelihood.outer_scores(theta) @ covariance
    covariance = to_raw @ covariance @ to_raw.T
    unknown = ~to_raw.any(axis=1)
    covariance[unknown] = covariance[:, unknown] = np.nan
    experts = list(mixture.named_experts_)
    return MixtureSummary(
        [f"{name} against {experts[0]}" for name in experts[1:] for _ in range(1 + len(names))],
        ["intercept", *names] * (len(experts) - 1),
        np.where(unknown, np.nan, to_raw @ theta),
        covariance,
        kind="sandwich",
        level=level,
        log_likelihood=value,
        n_parameters=likelihood.size,
        n_samples=float(rows.weight.sum()),
        n_subjects=None if rows.subject is None else int(used.sum()),
        notes=["log-likelihood of the assignments; regimes taken as known"],
    )


def _predictors(predictors, rows):
    """Numbers (n_units, n_predictors) of each row or subject that counts, and their names."""
    predictors, counts = as_pandas(predictors), np.flatnonzero(rows.weight > 0)
    names = [str(name) for name in predictors.columns] if is_table(predictors) else None
    check_consistent_length(predictors, rows.y)
    Z = _safe_indexing(predictors, counts)
    Z = check_array(Z, dtype=np.float64, input_name="predictors")
    if rows.subject is not None:
        subjects = Subjects(rows.subject[counts], rows.weight[counts])
        of_subjects = subjects.of_first_rows(Z)
        differs = np.flatnonzero((subjects.of_rows(of_subjects) != Z).any(axis=1))
        if len(differs):
            subject = subjects.labels[subjects.numbers[differs[0]]]
            raise ValueError(
                f"predictors differ within subject {subject}: its rows are of one regime, which "
                "what is the same for all of them may predict."
            )
        Z = of_subjects
    return Z, names or [f"x{j}" for j in range(Z.shape[1])]


def _third_step(resp, Z, names, weight, log_seen=None):
    """Likelihood of assignments, and what makes log-odds in raw units of its parameters."""
    # ``log_seen``: (n_units, n_experts): log-probabilities that a unit of an expert is seen at all.
    n_experts = resp.shape[1]
    assigned = resp.argmax(axis=1)
    joint = (resp * weight[:, None]).T @ np.eye(n_experts)[assigned]
    errors = joint / np.maximum(joint.sum(axis=1, keepdims=True), 1e-300)
    log_errors = np.log(np.maximum(errors, 1e-300))[:, assigned].T
    columns = Columns(Z, weight, independent_columns(Z, weight), names)
    design = columns.design
    kinds, entries = [_Assignment] * n_experts, None
    if log_seen is not None:
        log_errors, entries = log_errors + log_seen, np.split(log_seen, n_experts, axis=1)
    targets = np.split(log_errors, n_experts, axis=1)
    likelihood = MixtureLikelihood(kinds, design, targets, design, weight, entries=entries)
    return likelihood, linalg.block_diag(*[columns.to_raw] * (n_experts - 1))
