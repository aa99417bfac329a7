"""Experts that say or do something in the process that fits them; workers import this file."""

from sklearn.tree import DecisionTreeRegressor
from threadpoolctl import threadpool_info

from skmoe._compat import n_openmp_threads


class CountingThreads(DecisionTreeRegressor):
    """Notes how many threads BLAS and OpenMP may use where it is fitted."""

    def fit(self, X, y, sample_weight=None):
        self.n_threads_ = [library["num_threads"] for library in threadpool_info()]
        self.n_threads_.append(n_openmp_threads())
        return super().fit(X, y, sample_weight)
