"""Regimes and effects of subjects from some of their rows, and predictions for others."""

import numpy as np
from sklearn.base import is_classifier

from .._data import RowMetadata, check_ids
from .._validation import check_known_rows, check_X
from ..distributions import MixtureDistribution


class SubjectEffects:
    """Regimes and random effects of subjects, given their rows: see :func:`subject_effects`.

    Parameters
    ----------
    mixture : MixtureOfExpertsRegressor
        Fitted.
    labels : ndarray of shape (n_subjects,)
        Subjects, sorted.
    responsibilities : ndarray of shape (n_subjects, n_experts)
        Probability of each expert given all rows of the subject.
    mean : ndarray of shape (n_subjects, n_experts, n_effects) or None
        Expected effects under each expert: of the intercept, then of the columns that the
        likelihood names. None where it has no random effects.
    covariance : ndarray of shape (n_subjects, n_experts, n_effects, n_effects) or None
        Covariance of the effects.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.inference import subject_effects
    >>> X, y = np.arange(12.0)[:, None] % 4, np.repeat([0.0, 0.1, 9.0], 4)
    >>> child = np.repeat(["a", "b", "c"], 4)
    >>> moe = MixtureOfExpertsRegressor(n_experts=2, training="em", random_state=0)
    >>> moe = moe.fit(X, y + np.tile([0.0, 0.1, 0.1, 0.2], 3), subject=child)
    >>> known = subject_effects(moe, X[8:9], [9.0], subject=["new"])
    >>> known.to_frame().round(2)
         expert0  expert1
    new      0.0      1.0
    """

    def __init__(self, mixture, labels, responsibilities, mean=None, covariance=None):
        self.mixture = mixture
        self.labels = labels
        self.responsibilities = responsibilities
        self.mean = mean
        self.covariance = covariance

    def predict(self, X, subject):
        """Means for rows of subjects.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        subject : array-like of shape (n_samples,)
            Subject of each row. Those in ``labels`` have their own probabilities of the experts and
            effects; others are new, and predicted as by ``predict`` of the mixture.

        Returns
        -------
        mean : ndarray of shape (n_samples,)
            Mean over experts and effects; for counts, the rate (an exposure of one).
        """
        return self.predict_dist(X, subject).mean()

    def predict_dist(self, X, subject):
        """Predictive distributions for rows of subjects, separately for each row.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        subject : array-like of shape (n_samples,)
            As in ``predict``.

        Returns
        -------
        distribution : MixtureDistribution
            Distribution of y, given the known rows of the subject.
        """
        X = check_X(self.mixture, X)
        model = self.mixture._model
        number = {label: i for i, label in enumerate(self.labels)}
        place = np.array([number.get(each, -1) for each in check_ids("subject", subject, X)])
        routes = model.all_routes(X)
        weights = np.where(place[:, None] < 0, routes.weights, self.responsibilities[place])
        if self.mean is None:
            return MixtureDistribution(weights, model.components(X, routes))
        likelihood = model.likelihood  # the last is a new subject
        mean = np.concatenate([self.mean, np.zeros_like(self.mean[:1])])[place]
        covariance = np.concatenate([self.covariance, likelihood.covariance_[None]])[place]
        return MixtureDistribution(
            weights,
            likelihood.components_given(
                model.expert_predictions(X), likelihood.effects_of(X), mean, covariance
            ),
        )

    def to_frame(self):
        """A line for each subject.

        Returns
        -------
        frame : DataFrame
            Probabilities of the experts, and expected effects over these.
        """
        from pandas import DataFrame

        columns = dict(zip(self.mixture.named_experts_, self.responsibilities.T, strict=True))
        if self.mean is not None:
            names = ["intercept", *self.mixture.likelihood_.effect_names_]
            over = np.einsum("sk,ski->is", self.responsibilities, self.mean)
            columns |= {f"effect: {name}": each for name, each in zip(names, over, strict=True)}
        return DataFrame(columns, index=self.labels)


def subject_effects(
    mixture,
    X,
    y,
    sample_weight=None,
    *,
    subject,
    exposure=None,
    trials=None,
    upper=None,
):
    """Estimate regimes and random effects of subjects from some of their rows.

    The subjects need not be those of ``fit``: a single visit of a new patient already improves the
    prediction of the next one.

    Parameters
    ----------
    mixture : MixtureOfExpertsRegressor
        Fitted; random effects are those of :class:`~skmoe.likelihoods.RandomEffects`.
    X : array-like or DataFrame of shape (n_samples, n_features)
        Rows with known target.
    y : array-like of shape (n_samples,)
        Their target.
    sample_weight : array-like of shape (n_samples,), default=None
        Their weights.
    subject : array-like of shape (n_samples,)
        Subject of each row.
    exposure, trials, upper : array-like of shape (n_samples,), default=None
        As in ``fit``: exposures of counts, trials of successes, upper bounds of censored targets.

    Returns
    -------
    effects : SubjectEffects
        With ``responsibilities``, ``mean`` and ``covariance`` of the effects, ``to_frame()``, and
        ``predict`` and ``predict_dist`` for further rows.

    Raises
    ------
    ValueError
        If the mixture is a classifier or has ``top_k``, or the gate varies within a subject.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.inference import subject_effects
    >>> from skmoe.likelihoods import RandomEffects
    >>> rng = np.random.default_rng(0)
    >>> X, patient = rng.normal(size=(600, 1)), np.repeat(np.arange(100), 6)
    >>> slope = 1 + 0.5 * rng.normal(size=100)
    >>> y = slope[patient] * X[:, 0] + 0.2 * rng.normal(size=600)
    >>> moe = MixtureOfExpertsRegressor(n_experts=1, likelihood=RandomEffects([0]))
    >>> moe = moe.fit(X, y, subject=patient)
    >>> known = subject_effects(moe, X, y, subject=patient)
    >>> expected = known.predict([[0.0], [1.0]], subject=[3, 3])
    >>> bool(abs(expected[1] - expected[0] - slope[3]) < 0.2)
    True
    """
    if is_classifier(mixture):
        raise ValueError("subject_effects takes a MixtureOfExpertsRegressor.")
    if subject is None:
        raise ValueError("subject_effects needs the subject of each row: give subject.")
    metadata = RowMetadata(exposure, trials, subject, upper)
    rows = check_known_rows(mixture, X, y, sample_weight, metadata)
    model = mixture._model
    likelihood = mixture.likelihood_
    if model.top_k is not None:
        raise ValueError(
            "subject_effects needs all experts of a subject: fit the mixture with top_k=None."
        )
    subjects = likelihood.subjects_of(rows.X, rows.subject, rows.weight)
    resp = subjects.of_first_rows(model.responsibilities(rows))
    of_effects = ()
    if likelihood.takes_subjects:
        of_effects = likelihood.posterior(rows.y, model.expert_predictions(rows.X), subjects)
    return SubjectEffects(mixture, subjects.labels, resp, *of_effects)
