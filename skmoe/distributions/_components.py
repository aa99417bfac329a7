"""What components of a mixture have, beside mean, density, distribution function and samples."""


class BaseComponents:
    """One distribution for each row and expert; defaults of what few kinds have."""

    nested = None  # mixtures in place of some of them
    has_atoms = False  # single values of some probability beside values that have a density
    edges = ()  # where panels of a quadrature should end, beside quantiles

    def without_noise(self):
        """The components without noise; the same where there is none.

        Returns
        -------
        components : BaseComponents
            Of the same shape.
        """
        return self

    def crps(self, weights, y):
        """CRPS of their mixture in closed form, or None where there is none.

        Parameters
        ----------
        weights : ndarray of shape (n_samples, n_experts)
            Of the components.
        y : ndarray of shape (n_samples, n_values) or (n_samples, n_values, n_outputs)
            Targets.

        Returns
        -------
        crps : ndarray or None
            In the units of the target.
        """
        return None
