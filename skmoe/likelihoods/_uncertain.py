"""Linear functions whose coefficients are known up to a normal posterior."""

import numpy as np

from .._encoding import numeric_matrix
from .._numerics.columns import quadratic_forms


class UncertainCoefficients:
    """What the likelihoods of pooled experts keep of the coefficients.

    Attributes
    ----------
    coef_cov_ : ndarray of shape (n_experts, n_functions, q, q)
        Covariances of the coefficients of ``columns_``, the intercept last.
    outside_var_ : ndarray of shape (n_functions,)
        Variance per unit of squared distance from the space of the rows of ``fit``.
    columns_ : StandardColumns
        Makes a design of what the experts see.
    transformer_ : Pipeline or None
        Makes what the experts see of X.
    """

    averages_experts = True
    n_parameters_ = None

    def take_coefficients(self, experts, coefficients, transformer, unit=1.0):
        """Take what experts have learned.

        Parameters
        ----------
        experts : Pooled
            Trained.
        coefficients : list of Coefficients
            Of each function.
        transformer : Pipeline or None
            Fitted; from X to what the experts see.
        unit : float or ndarray of shape (n_functions,), default=1.0
            Of the functions.
        """
        unit = np.broadcast_to(unit, len(coefficients))
        cov = np.stack([each.cov for each in coefficients], axis=1)
        self.coef_cov_ = cov * unit[:, None, None] ** 2
        self.outside_var_ = (experts.tau + experts.rho)[:, 0] * unit**2
        self.columns_, self.transformer_ = experts.columns, transformer

    def variances(self, X):
        """Of the linear functions of rows, (n_samples, n_experts, n_functions)."""
        X = numeric_matrix(X if self.transformer_ is None else self.transformer_.transform(X))
        design, functions = self.columns_.design(X), self.coef_cov_.swapaxes(0, 1)
        variance = np.stack([quadratic_forms(design, cov) for cov in functions], axis=2)
        variance += (self.columns_.outside(X)[:, None] * self.outside_var_)[:, None]
        return np.maximum(variance, 0.0)

    def into(self, plain, but=()):
        """Another likelihood with the attributes of this one, but for some and those above."""
        left_out = {"coef_cov_", "outside_var_", "columns_", "transformer_", *but}
        kept = {name: value for name, value in vars(self).items() if name not in left_out}
        vars(plain).update(kept)
        return plain
