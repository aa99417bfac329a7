"""Logistic regressions of rates of success, all K of them at once."""

import numpy as np
from scipy import special
from sklearn.base import clone
from sklearn.utils.validation import validate_data

from .log_linear import LogLinearExperts


class BinomialExperts(LogLinearExperts):
    r"""K logistic regressions of successes in trials, a damped Newton step or two at a time.

    With weights w, trials t and rates y / t they maximise
    :math:`\sum w (y \log p + (t - y) \log(1 - p))` less half the penalty.

    Parameters
    ----------
    X, y, weight, n_experts, penalty, per_column_unit, units
        As for ``LinearExperts``.
    trials : ndarray of shape (n_samples,) or None
        Of the rows, for the first guess.
    """

    def __init__(
        self, X, y, weight, n_experts, *, penalty, per_column_unit, trials, units=None
    ):  # fmt: skip
        super().__init__(
            X, y, weight, n_experts, penalty=penalty, per_column_unit=per_column_unit,
            glm="binomial", exposure=trials, prior=True, units=units,
        )  # fmt: skip

    @staticmethod
    def _link(mean):
        return special.logit(np.clip(mean, 1e-3, 1 - 1e-3))

    _mean = staticmethod(special.expit)

    def _values(self, functions, targets):
        return targets * functions - np.logaddexp(0, functions)

    def _derivatives(self, functions, targets):
        proba = special.expit(functions)
        return targets - proba, proba * (1 - proba)

    def finish(self, templates):
        for template, coef in zip(templates, self.coef, strict=True):
            raw, intercept = self.raw(coef[:, None])
            model = clone(template.classifier)
            validate_data(model, self.source, skip_check_array=True)
            model.coef_, model.intercept_ = raw.T, intercept
            model.classes_ = np.array([0, 1])
            model.n_iter_ = np.array([self.n_fits // self.n_experts], dtype=np.int32)
            template.classifier_ = model
        return templates
