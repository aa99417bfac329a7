"""What clones of a regressor beside a generalist are weighed by."""

import numpy as np

from ..likelihoods import StudentT
from .given_gate import size_columns
from .parameters import (
    ErrorSizes,
    StackedRows,
    TargetUnits,
    cross_fit_densities,
    cross_fit_parameters,
    cross_fit_sizes,
    posterior_of,
    refit_parameters,
)
from .specialists import Refitted, SpecialistsTrainer


class SpecialistRegression(SpecialistsTrainer):
    """Learns scales that depend on the row, Student's t tails and the gate."""

    def _begin(self, predictions):
        """Learn how large the errors of the generalist are, by row."""
        y, weight = self.data.y, self.data.weight
        self.likelihood = StudentT(df="estimate").start(y, weight, 1)
        units = self.units = TargetUnits.of(y, weight, self.likelihood.floor_)
        errors = units.standardise(y) - units.standardise(predictions)
        Z, encoder = size_columns(self.gate, self.data, self.parts.gate.encoder)
        models, log_size = cross_fit_sizes(Z, errors, weight, self.folds, units.floor)
        self.sizes = ErrorSizes(models, encoder, log_size, weight)
        self.log_size = self.sizes.centred(log_size)

    def _rows(self, means, Z):
        units, data = self.units, self.data
        y, means = units.standardise(data.y), units.standardise(means)
        return StackedRows(y=y, means=means, Z=Z, u=self.log_size, weight=data.weight)

    def _judge(self, means, Z, penalties):
        penalty, resp, log_density = cross_fit_parameters(
            self._rows(means, Z), self.units.floor, self.folds, penalties
        )
        return penalty, resp, log_density - np.log(self.units.unit)

    def _densities(self, means):
        rows = self._rows(means, np.empty((len(means), 0)))
        return cross_fit_densities(rows, self.units.floor, self.folds) - np.log(self.units.unit)

    def _refit(self, means, Z, penalty):
        rows, weight, units = self._rows(means, Z), self.data.weight, self.units
        parameters, objective, converged = refit_parameters(rows, units.floor, penalty)
        labels, log_density = posterior_of(parameters, rows, units.floor)
        self.sizes.slope = parameters.slope
        likelihood = self.likelihood
        likelihood.scale_ = units.unit * parameters.scales(units.floor)
        likelihood.df_ = np.full(means.shape[1], parameters.df)
        likelihood.scale_model_ = self.sizes
        return Refitted(
            likelihood=likelihood,
            labels=labels,
            objective=objective - np.log(units.unit),
            prior=objective * weight.sum() - weight @ log_density,
            converged=converged,
        )
