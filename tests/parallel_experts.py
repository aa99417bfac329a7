"""Experts that say or do something in the process that fits them; workers import this file."""

import os
from threading import get_ident

from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.tree import DecisionTreeRegressor
from threadpoolctl import threadpool_info

from skmoe._compat import n_openmp_threads


class CountingThreads(DecisionTreeRegressor):
    """Notes how many threads BLAS and OpenMP may use where it is fitted."""

    def fit(self, X, y, sample_weight=None):
        self.n_threads_ = [library["num_threads"] for library in threadpool_info()]
        self.n_threads_.append(n_openmp_threads())
        return super().fit(X, y, sample_weight)


class RecordingForest(RandomForestRegressor):
    """Notes the process and the thread that it is fitted in."""

    def fit(self, X, y, sample_weight=None):
        self.where_ = os.getpid(), get_ident()
        return super().fit(X, y, sample_weight)


class KillingItsWorker(RegressorMixin, BaseEstimator):
    """Fits ``expert``, but for the fit of number ``death``, which ends the process that it is in.

    Fits are counted by the bytes of ``file``, and not in the process ``spared``.
    """

    def __init__(self, expert, file, death, spared):
        self.expert, self.file, self.death, self.spared = expert, file, death, spared

    def fit(self, X, y, sample_weight=None):
        if os.getpid() != self.spared:
            with open(self.file, "ab", buffering=0) as file:
                file.write(b".")
                number = file.tell()
            if number == self.death:
                os._exit(1)
        self.expert_ = clone(self.expert).fit(X, y, sample_weight)
        return self

    def predict(self, X):
        return self.expert_.predict(X)
