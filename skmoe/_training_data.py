"""The rows of one fit, as the parts of the mixture see them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.utils import _safe_indexing

from . import _starts
from ._statistics import standardisation
from ._subjects import Subjects


@dataclass
class TrainingData:
    """The rows of one fit, as the parts of the mixture see them.

    Attributes
    ----------
    X : array-like or DataFrame of n_samples rows
        For the experts.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Target, or class numbers.
    weight : ndarray of shape (n_samples,)
        Weights.
    Z : array-like of n_samples rows
        For the gate: X behind the gate's transformers.
    seen : ndarray of shape (n_samples,) or (n_samples, n_outputs) or None
        The target as starts see it, for robust likelihoods with its outliers drawn in; None for
        classifiers.
    exposure : ndarray of shape (n_samples,) or None
        Factors of the predictions.
    subjects : Subjects or None
        Rows that share an expert.
    rows : ndarray of ints or None
        Numbers of the rows in the data that these are a sample of.
    """

    X: object
    y: np.ndarray
    weight: np.ndarray
    Z: object
    seen: np.ndarray | None = None
    exposure: np.ndarray | None = None
    subjects: Subjects | None = None
    rows: np.ndarray | None = None

    @cached_property
    def columns(self):
        """Z in numbers, standardised, few: for the starts; (n_samples, n_columns)."""
        return _starts.start_columns(self.Z, self.weight)

    @cached_property
    def target(self):
        """Standardised target (n_samples, n_outputs); None for classifiers."""
        if self.seen is None:
            return None
        target = self.seen.reshape(len(self.y), -1)
        mean, scale = standardisation(target, self.weight)
        return (target - mean) / scale

    def sample(self, n_rows):
        """About so many of the rows, with weights of the same sum; see ``_starts.spread_rows``."""
        rows, weight = _starts.spread_rows(self.Z, self.y, self.weight, n_rows)
        X, Z = _safe_indexing(self.X, rows), _safe_indexing(self.Z, rows)
        seen, exposure = (
            None if each is None else each[rows] for each in (self.seen, self.exposure)
        )
        return TrainingData(X, self.y[rows], weight, Z, seen, exposure, rows=rows)

    @cached_property
    def points(self):
        """Columns and target side by side."""
        return self.columns if self.target is None else np.column_stack([self.columns, self.target])
