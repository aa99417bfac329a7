"""The columns that coefficients belong to: standardised, without those that others make up."""

import numpy as np
from scipy import linalg

from .._experts.prediction import columns_seen
from .._experts.traits import column_names
from .._numerics.statistics import independent_columns, standardisation
from .._reports.column_names import coding_of_levels, columns_of

MOST_TERMS = 6  # that a message names
NEGLIGIBLE = 1e-6  # standard deviations that one column adds to another


class DesignColumns:
    """Standardised columns with an intercept, and the way back to raw units.

    Parameters
    ----------
    X : ndarray of shape (n_used, n_columns)
        Rows of positive weight.
    weight : ndarray of shape (n_used,)
        Their weights.
    kept : ndarray of bool of shape (n_columns,)
        The columns that have coefficients; others depend on these.
    names : list of str, default=()
        Names of the columns, if some are not kept.

    Attributes
    ----------
    design : ndarray of shape (n_used, n_kept + 1)
        The last column is one.
    to_raw : ndarray of shape (n_columns + 1, n_kept + 1)
        Makes coefficients in raw units, intercept first, of those here, intercept last; zeros for
        columns that are not kept.
    from_raw : ndarray of shape (n_kept + 1, n_columns + 1)
        Makes those here of any in raw units.
    left_out : list of str
        Of each column that is not kept, what it is made of.
    """

    def __init__(self, X, weight, kept, names=()):
        self.kept = kept
        mean, scale = standardisation(X, weight)
        n_columns, kept = len(scale) + 1, np.append(kept, True)
        design = np.column_stack([(X - mean) / scale, np.ones(len(X))])
        self.design = design[:, kept]
        to_raw, from_raw = np.zeros((2, n_columns, n_columns))
        to_raw[0, :-1], to_raw[0, -1] = -mean / scale, 1.0
        to_raw[1:, :-1] = np.diag(1 / scale)
        from_raw[-1, 0], from_raw[-1, 1:] = 1.0, mean
        from_raw[:-1, 1:] = np.diag(scale)
        made_of = np.eye(n_columns)[kept]
        if not kept.all():
            root = np.sqrt(weight)[:, None]
            made_of[:, ~kept] = linalg.lstsq(root * self.design, root * design[:, ~kept])[0]
        self.to_raw, self.from_raw = to_raw[:, kept], made_of @ from_raw
        recode = self.to_raw @ self.from_raw
        size = np.append(1.0, scale)  # of what each coefficient adds
        self.left_out = [
            f"{names[j]} = {_formula(recode[:, j + 1], size / scale[j], names)}"
            for j in np.flatnonzero(~self.kept)
        ]

    @classmethod
    def seen_by(cls, mixture, estimator, X, used, weight, every=False):
        """Columns that the last step of a fitted estimator of a mixture sees.

        Unless ``every`` column is kept, those that depend on others are not.
        """
        X = columns_seen(estimator, X)[used]
        names = columns_of(estimator, column_names(mixture)).names
        if every:
            return cls(X, weight, np.ones(X.shape[1], bool), names)
        last = [reference for _, reference in coding_of_levels(mixture, estimator).values()]
        return cls(X, weight, independent_columns(X, weight, last), names)


def _formula(coef, size, names):
    """What a column is, from its coefficients by the intercept and by others."""
    terms = []
    for value, name in zip(coef, ["", *names], strict=True):
        text = f"{abs(value):.4g}"
        if name:
            text = name if text == "1" else f"{text} {name}"
        terms.append(("- " if value < 0 else "+ ") + text)
    shown = [terms[j] for j in np.flatnonzero(np.abs(coef) * size > NEGLIGIBLE)] or ["0"]
    shown[MOST_TERMS:] = ["+ ..."] * (len(shown) > MOST_TERMS)
    first, *others = shown
    return " ".join([first.removeprefix("+ ").replace("- ", "-"), *others])
