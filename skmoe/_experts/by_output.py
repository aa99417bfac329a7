"""Outputs of different kinds: for each of them linear experts, or a regressor, of its own."""

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from .composed import ComposedExperts


class OutputsRegressor(RegressorMixin, MetaEstimatorMixin, BaseEstimator):
    """A regressor of its own for each output.

    The default experts of :class:`~skmoe.likelihoods.PerOutput` are such regressors.

    Parameters
    ----------
    estimators : list of regressors
        One for each output.

    Attributes
    ----------
    estimators_ : list of regressors
        Fitted.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression, PoissonRegressor
    >>> from skmoe import OutputsRegressor
    >>> X = np.linspace(0, 1, 20)[:, None]
    >>> y = np.column_stack([2 * X[:, 0], np.round(np.exp(3 * X[:, 0]))])
    >>> model = OutputsRegressor(
    ...     [LinearRegression(), PoissonRegressor(alpha=0)]
    ... ).fit(X, y)
    >>> model.predict([[1.0]]).round()
    array([[ 2., 20.]])
    """

    def __init__(self, estimators):
        self.estimators = estimators

    def fit(self, X, y, sample_weight=None):
        """Fit the regressors.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples, n_outputs)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, for regressors that take them.

        Returns
        -------
        self : OutputsRegressor
            Fitted.

        Raises
        ------
        ValueError
            If there are not as many outputs as regressors.
        """
        y = np.asarray(y)
        if y.ndim != 2 or y.shape[1] != len(self.estimators):
            raise ValueError(f"y of shape {y.shape} has not {len(self.estimators)} outputs.")
        validate_data(self, X, skip_check_array=True)
        self.estimators_ = []
        for estimator, column in zip(self.estimators, y.T, strict=True):
            takes = sample_weight is not None and has_fit_parameter(estimator, "sample_weight")
            weights = {"sample_weight": sample_weight} if takes else {}
            self.estimators_.append(clone(estimator).fit(X, column, **weights))
        return self

    def predict(self, X):
        """Predict all outputs.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        prediction : ndarray of shape (n_samples, n_outputs)
            One column for each regressor.
        """
        check_is_fitted(self)
        return np.column_stack([estimator.predict(X) for estimator in self.estimators_])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output, tags.target_tags.single_output = True, False
        return tags


class OutputExperts(ComposedExperts):
    """Linear experts of several outputs, each output solved on its own.

    Parameters
    ----------
    parts : list of LinearExperts
        Of one output each.
    """

    def __init__(self, parts):
        super().__init__(parts)
        self.n_functions = len(parts)
        self.minimum_rows = max(each.minimum_rows for each in parts)

    @property
    def penalty(self):
        """Penalties of the coefficients, (n_experts, n_outputs)."""
        n_experts = self.parts[0].n_experts
        return np.stack([np.broadcast_to(e.penalty, n_experts) for e in self.parts], axis=1)

    @property
    def predictions(self):
        """Predictions for the rows, (n_samples, n_experts, n_outputs)."""
        return np.stack([each.predictions for each in self.parts], axis=2)

    def share(self, columns, among=None):
        """Give experts one coefficient for each of these columns, in every output."""
        for each in self.parts:
            each.share(columns, among)
        return self

    def fit(self, resp, working=None, exposure=None, target=None):
        """Refit the experts; what is given beside responsibilities has an entry for each output."""
        precision = np.broadcast_to(self.precision, (resp.shape[1], len(self.parts)))
        for j, each in enumerate(self.copied()):
            given = (None if of is None else of[:, :, j] for of in (working, exposure, target))
            each.precision = precision[:, j]
            each.fit(resp, *given)

    def finish(self, templates):
        """Fitted regressors, made of the unfitted templates."""
        of_outputs = zip(*(template.estimators for template in templates), strict=True)
        fitted = [
            experts.finish([clone(template) for template in of_output])
            for experts, of_output in zip(self.parts, of_outputs, strict=True)
        ]
        for template, estimators in zip(templates, zip(*fitted, strict=True), strict=True):
            template.estimators_ = list(estimators)
            for estimator in estimators:
                validate_data(estimator, self.source, skip_check_array=True)
        return templates
