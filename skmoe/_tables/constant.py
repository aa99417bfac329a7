"""A constant column for gates and experts that are shown no other."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import _num_samples

from .mixed import take_rows


class ConstantColumn(TransformerMixin, BaseEstimator):
    """Transformer of anything to a column of ones, beside which a model is its intercept alone."""

    def fit(self, X, y=None):
        """Nothing to learn; the transformer."""
        self.n_features_out_ = 1
        return self

    def transform(self, X):
        """Ones, (n_samples, 1)."""
        return np.ones((_num_samples(X), 1))

    def get_feature_names_out(self, input_features=None):
        """The name of the column."""
        return np.array(["constant"], dtype=object)


def fit_columns(transformer, X, y, weight=None):
    """Fit a Pipeline of transformers that may select no column, to rows of positive weight.

    Returns the transformer, followed by a ConstantColumn where it leaves no column, and what it
    makes of X.
    """
    if weight is None or weight.all():
        columns = transformer.fit_transform(X, y)
    else:
        used = np.flatnonzero(weight)
        columns = transformer.fit(take_rows(X, used), y[used]).transform(X)
    if columns.shape[1] > 0:
        return transformer, columns
    constant = ConstantColumn().fit(columns)
    return Pipeline([*transformer.steps, ("constant", constant)]), constant.transform(X)
