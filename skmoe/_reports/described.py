"""Reports on a fitted mixture, as tables."""

from functools import cached_property
from operator import attrgetter

import numpy as np

from .._data import RowMetadata, Rows
from .._doors import updates
from .._experts.fitting import offers
from .._model import MADE_LATER
from .._tables.known import check_weights
from .._validation import (
    AnyRows,
    check_exposure,
    check_fitted,
    check_known_rows,
    check_responsibilities,
    check_X,
)
from .by_regime import EXPERT, REGIME, groups_of, in_lines
from .coefficients import coefficient_table, shortened
from .column_names import shares_of_levels
from .expert_report import OF_GIVEN, report_of_sums, report_sums, report_training
from .profiles import check_columns, profile_experts


def finish_later(mixture):
    """Make what is made later, and release the training and its rows."""
    if mixture._trained is not None:
        attrgetter(*MADE_LATER)(mixture)
        mixture._trained = None


class DescribedMixture(AnyRows):
    """Reports, coefficients, importances and profiles of the experts of a fitted mixture."""

    _trained = None  # Trained, until all is made that is made of it later

    @cached_property
    def _training_reports(self):
        """ExpertReports on the training rows, by kind of line."""
        if self._trained is None:
            return {}
        each = {groups.kind: groups for groups in (groups_of(self, by) for by in (EXPERT, REGIME))}
        said = self.plan_.findings, self.plan_.sentence
        return {
            kind: report_training(self._trained, groups, *said) for kind, groups in each.items()
        }

    @cached_property
    def _level_shares(self):
        """Share of the training rows, by weight, of each level with a coefficient, by its name."""
        if self._trained is None:
            return {}
        return shares_of_levels(self, self._trained.rows)

    @cached_property
    def _stream(self):
        """What ``partial_fit`` continues from after the last fit; None if there is nothing."""
        if self._trained is None:
            leaf = None
        else:
            leaf = updates()
        if leaf is None:
            return None
        return leaf.Stream.begin(self._trained, self.n_features_in_)

    @property
    def _notes(self):
        """Notes on the last fit, for tables; nothing once the mixture was changed."""
        if self._changed_by is None:
            return self.plan_.findings
        return []

    @property
    def _short_notes(self):
        """First sentences but the evidence, for tables that are printed after others."""
        notes = [note for note in self._notes if not note.startswith("Evidence: ")]
        short = [note.split(". ")[0].rstrip(".") + "." for note in notes]
        if short != notes:
            short.append("More: print(mixture.plan_).")
        return short

    def __getstate__(self):
        finish_later(self)
        return super().__getstate__()

    def expert_report(
        self,
        X=None,
        y=None,
        sample_weight=None,
        *,
        exposure=None,
        trials=None,
        subject=None,
        upper=None,
        by="regime",
    ):
        """Report of each regime or expert: rows, load, certainty, overlap, error, scale.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or Files, default=None
            Rows, also as Dask collections. None: the training rows, out of fold if experts are
            cross-fitted.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Their target; not for Files, which have it.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights.
        exposure, trials, subject, upper : array-like of shape (n_samples,)
            As in ``fit``.
        by : {"regime", "expert"}, default="regime"
            Lines for each regime (regime0 is the experts of ``regimes_[0]`` together) or for each
            expert. The two differ only if experts are tied.

        Returns
        -------
        report : ExpertReport
            Prints as a table, shows as HTML, and turns into a DataFrame with ``to_frame``. Its
            docstring describes each column.

        Raises
        ------
        ValueError
            If only one of X and y is given, or neither after ``partial_fit`` or ``add_expert``.

        Examples
        --------
        >>> print(moe.expert_report(X, y))
        expert    load   rows   wins ...
        """
        check_fitted(self)
        metadata = RowMetadata(exposure, trials, subject, upper)
        groups = groups_of(self, by)
        trained = self._training_reports.get(groups.kind)
        if (X is None) != (y is None):
            raise ValueError("expert_report takes both X and y, or neither for the training rows.")
        if X is None:
            if self._changed_by is not None:
                raise ValueError(f"After {self._changed_by} a report needs rows: pass X and y.")
            return trained
        rows = check_known_rows(self, X, y, sample_weight, metadata)
        model = self._model
        report = report_of_sums(model, groups, report_sums(model, groups, rows), trained)
        if self._is_cross_fitted and self._changed_by is None:
            report.notes.append(OF_GIVEN)
        return report

    def coefficients(self, *, by="regime", max_rows=60):
        """Coefficients of experts and gate, in one table by the names of the columns.

        The sum of the coefficients of an expert, times the values of a row, is its prediction, or
        the logarithm or log-odds of its prediction. Those of the gate sum to the log-odds of each
        expert against the first. Columns of strings have a coefficient for each level,
        ``kind=low``, the difference from the most frequent one, "kind=high (reference)", which has
        0; ``age missing`` is added if age is missing. Under pooling they are means of the
        posterior, and ten or more levels of a column are random effects: differences from their
        mean, sorted, with their standard deviation. ``summary`` has the same, references as n/a.

        Standard deviations of the errors are shown if there are several experts. The intercept of a
        regime includes the mean of its errors. The gate between regimes is left out where it also
        determines the variance within one.

        Parameters
        ----------
        by : {"regime", "expert"}, default="regime"
            Columns for each regime (regime0 is the experts of ``regimes_[0]``) or for each expert.
            Experts are also shown if those of a regime have no coefficients in common.
        max_rows : int or None, default=60
            Rows that are printed under each heading at most, the first and the last. None is all.

        Returns
        -------
        table : CoefficientTable
            Prints as a table with a column for each regime or expert, shows as HTML, and turns into
            a DataFrame with ``to_frame``. In the units of X and y: the scaling in a Pipeline is
            undone. Results of other transformers, such as powers, are in their own units. A gate
            other than :class:`~skmoe.gates.SoftmaxGate` or
            :class:`~skmoe.gates.ConstantGate` is left out.

        Raises
        ------
        ValueError
            If an expert is not a linear model of scikit-learn.

        Examples
        --------
        >>> moe.coefficients().to_frame().columns.tolist()
        ['expert0', 'expert1']
        """
        check_fitted(self)
        table = shortened(coefficient_table(self, by), self, max_rows)
        table.note = "\n".join(filter(None, [table.note, *map(in_lines, self._notes)]))
        return table

    def expert_profiles(
        self,
        X,
        y=None,
        sample_weight=None,
        *,
        exposure=None,
        trials=None,
        subject=None,
        upper=None,
        responsibilities=None,
        described_by=None,
        by="regime",
    ):
        """Profile of each regime or expert: its share, prediction, and how its rows differ.

        The table has the columns and levels in which its rows differ most from all others, in
        standard deviations, and the row closest to the average of its rows. Rows are weighted by
        ``responsibilities``, or without y by ``gate_proba``. Columns of identifiers, free text or
        dates as strings are left out.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Their target.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights.
        exposure, trials, subject, upper : array-like of shape (n_samples,)
            As in ``fit``. ``subject`` and ``upper`` only with y.
        responsibilities : array-like of shape (n_samples, n_experts), default=None
            Used in place of those from y, as returned by ``responsibilities`` with the same ``by``.
            For the training rows of cross-fitted experts give ``oof_responsibilities_``.
        described_by : array-like or DataFrame of n_samples rows, default=None
            Columns for the description. None: X. For a mixture in a Pipeline, give the table before
            the transformers.
        by : {"regime", "expert"}, default="regime"
            Profiles of each regime (regime0 is the experts of ``regimes_[0]`` together) or of each
            expert. Experts are also shown if those of a regime have no coefficients in common.

        Returns
        -------
        profiles : ExpertProfiles
            Prints as a table, the largest first, and shows as HTML; ``to_frame`` has all
            columns and levels, with lifts.

        Examples
        --------
        >>> print(moe.expert_profiles(X, y))
        its rows ...
        expert0: ...
        """
        check_fitted(self)
        if y is None:
            X = check_X(self, X)
            weight = check_weights(sample_weight, X)
            rows = Rows(X, None, weight, check_exposure(self, exposure, X, trials))
        else:
            metadata = RowMetadata(exposure, trials, subject, upper)
            rows = check_known_rows(self, X, y, sample_weight, metadata)
        if described_by is None:
            table = rows.X
        else:
            table = check_columns(described_by, rows.X)
        groups = groups_of(self, by)
        if responsibilities is not None:
            membership = check_responsibilities(responsibilities, len(rows.weight), groups)
        elif y is None:
            routes = self._model.routes(rows.X)
            membership = groups.proba(routes.dense(routes.weights))
        else:
            membership = groups.proba(self._model.responsibilities(rows))
        return profile_experts(self, rows, groups, membership, table)

    @property
    def feature_importances_(self):
        """Importance of each column: the mean over the experts, weighted by their loads.

        Only if all experts have ``feature_importances_``, such as trees, forests and boosting.

        Returns
        -------
        importances : ndarray of shape (n_features,)
            Sum to one if those of each expert do.

        Raises
        ------
        AttributeError
            If an expert has none.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.tree import DecisionTreeRegressor
        >>> from skmoe import MixtureOfExpertsRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> tree = DecisionTreeRegressor(max_depth=3)
        >>> moe = MixtureOfExpertsRegressor(tree, n_experts=2, random_state=0)
        >>> moe.fit(X, y).feature_importances_.shape
        (10,)
        """
        check_fitted(self)
        experts = self.named_experts_.items()
        lacking = [name for name, each in experts if not offers(each, "feature_importances_")]
        if lacking:
            raise AttributeError(
                f"The experts {lacking} have no feature_importances_. For experts of any kind take "
                "sklearn.inspection.permutation_importance of the mixture."
            )
        of_experts = [expert.feature_importances_ for expert in self.experts_]
        return np.average(of_experts, axis=0, weights=self.expert_load_)
