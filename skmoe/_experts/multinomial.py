"""Logistic experts of any number of classes that make their steps from sums over rows."""

import numpy as np

from .._numerics import multinomial
from .logistic import LogisticExperts


class MultinomialExperts(LogisticExperts):
    """Logistic experts with a linear function for each class; see ``LogisticExperts``.

    The functions of the classes sum to zero. ``learn_sums`` makes Newton steps of all of them
    together.
    """

    @property
    def functions(self):
        """Coefficients of the classes' linear functions, (n_experts, n_classes, p)."""
        return self.coef.swapaxes(1, 2)

    def learn_sums(self, sums, size=1.0):
        penalty, coef = self.column_penalty, self.coef.copy()
        if self.wants_curvature:
            each = [multinomial.hessian_of_pairs(grams, self.n_classes) for grams in sums.gram]
            self._curvature, self._drift = np.stack(each), 0.0
            self._factors = [multinomial.factor_hessian(hessian, penalty) for hessian in each]
        squares = 0.0
        for k, factor in enumerate(self._factors):
            slope = sums.cross[k] - penalty[:, None] * coef[k]
            step, decrement = multinomial.newton_direction(factor, slope)
            part = size * multinomial.shortening(step, sums.rows_gram).min()
            coef[k] += part * step
            squares += part * decrement
        self._drift_by(squares)
        self._set_coef(coef)

    def set_functions(self, functions):
        change = (functions - self.functions).reshape(self.n_experts, -1, 1)
        curvature = self._curvature.reshape(self.n_experts, change.shape[1], -1)
        self._drift_by(np.vdot(change, curvature @ change))
        self._set_coef(functions.swapaxes(1, 2))

    def _drift_by(self, squares):
        mass = 0.5 * np.einsum("kcc->", self._curvature[:, :, -1, :, -1])
        self._drift += np.sqrt(max(squares, 0.0) / max(mass, 1e-300))

    def curvature_of_each(self):
        """Curvature of the penalised log-likelihood of each expert, (n_experts, C p, C p)."""
        penalty = np.tile(self.column_penalty, self.n_classes)
        return self._curvature.reshape(-1, len(penalty), len(penalty)) + np.diag(penalty)

    def streaming_from_sums(self, order):
        bounds = 2 * np.einsum("kcpcq->kcpq", self._curvature[order])  # multinomial.curvature
        return self._streaming(list(bounds), order)

    def predict_standardised(self, columns):
        """Probabilities (n_rows, n_experts, n_classes) for rows of standardised columns."""
        logits = self.functions_of(columns, self.coef)
        log_proba = multinomial.log_softmax(logits.reshape(-1, self.n_classes))
        return np.exp(log_proba).reshape(logits.shape)
