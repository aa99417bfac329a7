"""What likelihoods say of random effects of subjects: none, by default."""


class SubjectEffects:
    """Which columns have coefficients that each subject shifts."""

    relative_factor_ = None  # of the covariances of the effects

    def of_columns(self, n_columns, names):
        """This likelihood for rows of these columns.

        Parameters
        ----------
        n_columns : int
            Number of columns of X.
        names : sequence of str or None
            Their names, if they have any.

        Returns
        -------
        likelihood : BaseLikelihood
            By default this one.

        Raises
        ------
        ValueError
            If there is no such column as it names.
        """
        return self

    def effects_of(self, X):
        """What subjects have random coefficients of.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        effects : ndarray of shape (n_samples, n_effects) or None
            The intercept's ones, then columns; None, the default, without random coefficients.
        """
        return
