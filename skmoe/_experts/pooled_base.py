"""What pooled experts have in common, of whichever target."""

import copy
from abc import ABC, abstractmethod

import numpy as np

from .._numerics.columns import StandardColumns, groups_of_slopes, sparse_rows
from .base import Ties

INTERCEPT_VARIANCE = 100.0  # of b_0, on a standardised target: as good as flat
FEW_OTHERS = 6  # columns for one that is no level, from which levels are solved apart
OFFSET_VARIANCE = 0.1  # of offsets, to begin with


class Pooled(ABC):
    """Linear experts with posteriors, a mixin for the ``LinearExperts`` of their kind.

    A ``PooledProblem`` asks for what is here, for ``fit``, ``state`` and ``restore``, and for
    nothing else; ``fit`` must not lower the sum of ``expected_log_density`` over rows and experts,
    weighted by responsibilities and weights of the rows, less ``divergence``.

    Attributes
    ----------
    columns : StandardColumns
        What coefficients belong to.
    y_scale : ndarray of shape (n_outputs,)
        Unit of the target in ``expected_log_density``; one for classes.
    tau, rho : ndarray of shape (n_functions, q + n_offsets)
        Prior variances, of deviations and of what is common; those of offsets within regimes last.
    has_scales : bool
        Whether experts of one function can differ.
    can_be_wider, can_be_tied : bool
        Whether errors are Gaussian, with scales, and whether ``tied`` is for these.
    ties : Ties or None
        Which experts are of one regime; None is each of its own.
    slope_variances : tuple of float
        Prior variances of slopes that one expert is started from; others from the first.
    is_one_expert : bool
        Whether the mixture is what one expert without a gate can be too.
    """

    y_scale = np.ones(1)
    is_one_expert = has_scales = can_be_wider = False
    averages_variances = False  # whether predictions of one expert are over its and 1
    can_be_tied, ties, slope_variances = True, None, (1.0,)

    def stand_on(self, X, weight, block=None):
        """Take the rows, in columns that the prior sees alike, but for levels of strings."""
        self.columns = StandardColumns.of(X, weight, block)
        self.mean, self.scale = self.columns.mean, self.columns.scale  # that ``raw`` takes
        self.levels = self.levels_apart = self.columns.levels  # of which a row has one at most
        if self.levels is not None and FEW_OTHERS * np.count_nonzero(~self.levels) > len(
            self.levels
        ):
            self.levels_apart = None  # it takes no longer to solve all columns together
        self._design = self.columns.design(X)
        # For sums over rows.
        self.sparse_design = sparse_rows(self._design, self.levels)

    design = property(lambda self: self._design)

    @property
    def own(self):
        """Columns of the design in which regimes differ, (q,)."""
        n_regimes = self.n_experts if self.ties is None else self.ties.n_regimes
        return np.full(self.columns.n_columns, n_regimes > 1)

    def _first_variances(self, n_functions):
        """tau and rho, (n_functions, q + n_offsets), to begin with."""
        n_offsets = 0 if self.ties is None else self.ties.n_offsets
        learned = np.append(self.own, np.full(n_offsets, True))  # of columns that differ, too
        self._groups = variance_groups(learned, self.columns.n_columns, self.columns.block)
        tau = self.own.astype(float)
        rho = np.append(np.full(len(tau) - 1, self.slope_variances[0]), INTERCEPT_VARIANCE)
        tau = np.append(tau, np.full(n_offsets, OFFSET_VARIANCE))
        rho = np.append(rho, np.zeros(n_offsets))
        return np.tile(tau, (n_functions, 1)), np.tile(rho, (n_functions, 1))

    def _set_penalty(self):
        self.penalty = 0.0  # priors are part of the evidence

    def resized(self, n_experts):
        """As many untrained experts on the same rows."""
        twin = copy.copy(self)
        twin.n_experts, twin.n_fits = n_experts, 0
        return twin

    def tied(self, regime, has_offsets):
        """Untrained experts on the same rows, of which some are of one regime; see ``Ties``."""
        twin = self.resized(len(regime))
        twin.ties = Ties(regime, has_offsets, self.columns.n_columns)
        return twin

    @abstractmethod
    def slope_sums(self, resp):
        """Gram (C, K, q - 1, q - 1) and cross (C, K, q - 1) of the slopes of C functions."""

    @abstractmethod
    def begin(self, resp):
        """Forget everything, and learn from the responsibilities (n, K) of a start."""

    @property
    @abstractmethod
    def divergence(self):
        """KL divergence of the posterior of the experts from the prior."""

    @abstractmethod
    def expected_log_density(self):
        """Expected log-density of each row, or a bound of it, (n, K)."""

    def raw(self, coef):
        """Coefficients (p, m) and intercepts (m,) in the units of X, from those of the design."""
        return super().raw(self.columns.standard(coef))


def variance_groups(learned, n_columns, block=None):
    """Which variances are learned, and as one: numbers (2, q + n_offsets) for tau and rho, or -1.

    ``learned`` (q + n_offsets,) are those of tau; ``block`` is that of ``StandardColumns``.
    """
    place = np.arange(len(learned)) - (n_columns - 1)  # from the intercept
    slopes = groups_of_slopes(place < 0, block)
    groups = np.full((2, len(learned)), -1, dtype=np.int32)
    for row, masks in zip(groups, ([*slopes, place == 0, place > 0], slopes), strict=True):
        for number, mask in enumerate(masks):
            row[mask] = number
    groups[0, ~learned] = -1
    return groups
