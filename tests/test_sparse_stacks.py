"""Stacks and specialists of sparse rows: the mixtures of the same rows, dense."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import MultinomialNB
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.gates import SoftmaxGate

LINE = Ridge(solver="lsqr", tol=1e-12)  # whose default for sparse rows is another one


class DenseTree(RegressorMixin, BaseEstimator):
    """A tree of dense rows, that takes sparse ones: those of sparse rows have other ties."""

    def fit(self, X, y, sample_weight=None):
        self.tree_ = DecisionTreeRegressor(max_depth=3, random_state=0)
        self.tree_.fit(self._dense(X), y, sample_weight)
        return self

    def predict(self, X):
        return self.tree_.predict(self._dense(X))

    def _dense(self, X):
        return X.toarray() if sparse.issparse(X) else X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def words(n, n_columns=12, seed=0):
    """Counts of words in texts, and a target whose noise and slopes depend on the first word."""
    rng = np.random.default_rng(seed)
    X = sparse.csr_array(rng.poisson(0.4, size=(n, n_columns)).astype(float))
    first = X[:, [0]].toarray()[:, 0] > 0
    signal = X[:, :4] @ np.array([0.0, 1.0, -2.0, 0.5])
    y = np.where(first, -signal, signal) + np.where(first, 1.0, 0.2) * rng.normal(size=n)
    return X, y


@pytest.mark.parametrize("gate", [None, SoftmaxGate()])
@pytest.mark.parametrize(
    "params",
    [
        {"experts": [("line", LINE), ("tree", DenseTree())], "training": "stack"},
        {"experts": DenseTree(), "n_experts": 2, "training": "specialists"},
        {"experts": DenseTree(), "n_experts": 1, "training": "specialists"},
    ],
    ids=["stack", "specialists", "one"],
)
def test_sparse_rows_end_where_dense_ones_do(params, gate):
    X, y = words(300)
    mixture = MixtureOfExpertsRegressor(**params, gate=gate, cv=3, random_state=0)
    thin = mixture.fit(X[:200], y[:200])
    of_thin = thin.log_density(X[200:], y[200:]), thin.predict_interval(X[200:])
    dense = mixture.fit(X[:200].toarray(), y[:200])
    rows = X[200:].toarray()
    # A gate that is asked for is standardised without centring where rows are sparse.
    rtol = 1e-5 if gate is None else 1e-2
    assert_allclose(of_thin[0], dense.log_density(rows, y[200:]), rtol=rtol, atol=rtol)
    assert_allclose(of_thin[1], dense.predict_interval(rows), rtol=rtol, atol=rtol)


def test_classes_of_sparse_rows():
    X, y = words(300)
    labels = np.where(y > np.median(y), "high", "low")
    mixture = MixtureOfExpertsClassifier(
        [("line", LogisticRegression(tol=1e-8)), ("bayes", MultinomialNB())],
        training="stack",
        random_state=0,
    )
    proba = mixture.fit(X[:200], labels[:200]).predict_proba(X[200:])
    dense = mixture.fit(X[:200].toarray(), labels[:200]).predict_proba(X[200:].toarray())
    assert_allclose(proba, dense, atol=1e-4)
