"""Parameters of regimes: what their experts have in common is told once."""

import numpy as np

from .._experts.fitting import split_last
from .._reports.coefficients import OF_LOGARITHM, predicted
from .._reports.column_names import columns_of
from ._estimates import parameter_names


class RegimeParameters:
    """Parameters of regimes as functions of those of the experts, and their derivatives.

    Parameters
    ----------
    mixture : mixture
        Fitted, with pooling.
    groups : Groups
        Regimes, whose experts have their slopes in common.
    raw : ndarray of shape (n_parameters,)
        Parameters of experts and gate, in raw units.

    Attributes
    ----------
    parts, terms : list of str
        Where each parameter belongs, and what it is.
    estimate : ndarray of shape (n_told,)
        Values.
    """

    def __init__(self, mixture, groups, raw):
        self._mixture, self._groups, self._raw = mixture, groups, raw
        self._experts = list(mixture.named_experts_)
        n_experts = len(self._experts)
        gate = split_last(mixture.gate_)[1]
        parts, terms = parameter_names(mixture)
        n_of_gate = sum(part.startswith("gate: ") for part in parts)
        labels = dict.fromkeys(part.partition(":")[1:] for part in parts[: -n_of_gate or None])
        self._labels = ["".join(label) for label in labels]
        numbers = np.arange(len(raw))
        self._of_experts = numbers[: len(raw) - n_of_gate]
        self._of_experts = self._of_experts.reshape(n_experts, len(self._labels), -1)
        self._of_gate = numbers[len(raw) - n_of_gate :].reshape(n_experts - 1, -1)
        self._names = terms
        # Whether experts of a regime are as probable, among each other, in all rows.
        self._has_offsets = mixture.likelihood_.offset_var_ is not None
        self._has_shares = self._has_offsets or not gate.sees_rows
        self.parts, self.terms, self.estimate, self._rows = [], [], [], []
        self._tell_experts()
        self._tell_gate()
        self.estimate = np.array(self.estimate)

    def covariance(self, cov):
        """Covariance by the delta method, from that of the parameters of experts and gate.

        NaN where one of these is.
        """
        derivatives, unknown = np.array(self._rows), np.isnan(np.diag(cov))
        found = derivatives @ np.where(np.isnan(cov), 0.0, cov) @ derivatives.T
        unknown = (derivatives[:, unknown] != 0).any(axis=1)
        found[unknown] = found[:, unknown] = np.nan
        return found

    def fewest(self, df):
        """Degrees of freedom: the fewest of the parameters that each is made of."""
        df = np.broadcast_to(df, len(self._raw))
        return np.where(np.array(self._rows) != 0, df, np.inf).min(axis=1)

    def _tell(self, part, term, value, derivatives):
        """Take a parameter; ``derivatives`` are pairs of places and numbers."""
        row = np.zeros(len(self._raw))
        for places, numbers in derivatives:
            row[places] = numbers
        self.parts.append(part)
        self.terms.append(term)
        self.estimate.append(value)
        self._rows.append(row)

    def _tell_same(self, part, places):
        """Take parameters as they are."""
        for i in places:
            self._tell(part, self._names[i], self._raw[i], [(i, 1.0)])

    def _tell_experts(self):
        expert = self._mixture.experts_[0]
        n_levels = 1 + len(columns_of(expert, None).names)
        last = split_last(expert)[1]
        through_log = predicted(self._mixture.likelihood_, last) == OF_LOGARITHM
        for r, name in enumerate(self._groups.names):
            members = self._members(r)
            for j, label in enumerate(self._labels):
                places, part = self._of_experts[:, j], name + label
                if len(members) == 1:
                    self._tell_same(part, places[members[0]])
                    continue
                levels = places[members, 0]
                self._tell(part, "intercept", *self._mean_level(members, levels, through_log))
                self._tell_same(part, places[members[0], 1:n_levels])
        for r, name in enumerate(self._groups.names):
            members = self._members(r)
            for k in members if len(members) > 1 else []:
                for j, label in enumerate(self._labels):
                    places, part = self._of_experts[k, j], f"{name}, {self._experts[k]}{label}"
                    self._tell_same(part, places[: self._has_offsets])
                    self._tell_same(part, places[n_levels:])

    def _mean_level(self, members, levels, through_log):
        """Mean of the intercepts of a regime, and derivatives; they are the same without shares."""
        level = self._raw[levels]
        if not self._has_shares:
            return level[0], [(levels[0], 1.0)]
        share = self._shares(members)
        if through_log:
            top = level.max()
            weight = share * np.exp(level - top)
            mean, weight = top + np.log(weight.sum()), weight / weight.sum()
            of_shares = weight - share
        else:
            mean, weight = share @ level, share
            of_shares = share * (level - mean)
        return mean, [(levels, weight), *self._of_log_odds(members, of_shares)]

    def _tell_gate(self):
        names, groups = self._experts, self._groups
        if not self._has_shares:
            for k in range(1, len(names)):
                self._tell_same(f"gate: {names[k]} against {names[0]}", self._of_gate[k - 1])
            return
        first = self._members(0)
        for r in range(1, len(groups.names)):
            members, part = self._members(r), f"gate: {groups.names[r]} against {groups.names[0]}"
            derivatives = [
                *self._of_log_odds(members, self._shares(members)),
                *self._of_log_odds(first, -self._shares(first)),
            ]
            log_odds = self._total(members) - self._total(first)
            self._tell(part, "intercept", log_odds, derivatives)
            self._tell_same(part, self._of_gate[members[0] - 1, 1:])
        for r in range(len(groups.names)):
            leader, *others = self._members(r)
            for k in others:
                value = np.diff(self._log_odds([leader, k]))[0]
                derivatives = self._of_log_odds([leader, k], [-1.0, 1.0])
                part = f"gate: {names[k]} against {names[leader]}"
                self._tell(part, "intercept", value, derivatives)

    def _members(self, r):
        return np.flatnonzero(self._groups.of_expert == r).tolist()

    def _log_odds(self, members):
        """The gate's intercepts of experts against the first of all, which has zero."""
        return np.array([self._raw[self._of_gate[k - 1, 0]] if k else 0.0 for k in members])

    def _of_log_odds(self, members, numbers):
        """Pairs of places and derivatives with respect to these."""
        return [
            (self._of_gate[k - 1, 0], number)
            for k, number in zip(members, numbers, strict=True)
            if k
        ]

    def _total(self, members):
        """Log-odds of a regime against the first expert."""
        return np.logaddexp.reduce(self._log_odds(members))

    def _shares(self, members):
        """Of the experts of a regime among these, as the gate has them."""
        return np.exp(self._log_odds(members) - self._total(members))
