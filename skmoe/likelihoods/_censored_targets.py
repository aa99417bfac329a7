"""What a likelihood promises of targets that are known to lie between bounds."""


class CensoredTargets:
    """Densities, expected targets and scales where targets are censored."""

    def log_probability(self, bounds, prediction):
        """Log-density of observed targets, and log-probability of the intervals of censored ones.

        Parameters
        ----------
        bounds : Bounds
            With ``lower`` and ``upper`` (n_samples,), equal where the target was observed.
        prediction : ndarray of shape (n_samples, n_experts)
            Prediction of each expert.

        Returns
        -------
        log_probability : ndarray of shape (n_samples, n_experts)
            Natural logarithm.
        """
        components = self.components(prediction)
        return components.log_between(bounds.lower[:, None], bounds.upper[:, None])

    def expected_target(self, bounds, prediction):
        """What experts are fitted on where targets are censored, and with which weights.

        Parameters
        ----------
        bounds : Bounds
            With ``lower`` and ``upper`` (n_samples,), equal where the target was observed.
        prediction : ndarray of shape (n_samples, n_experts)
            Prediction of each expert.

        Returns
        -------
        target : ndarray of shape (n_samples, n_experts)
            Expected ``expert_target`` within the bounds, under each expert.
        working : ndarray of shape (n_samples, n_experts) or None
            Factors of the responsibilities, as of ``working_weights``.
        """
        raise TypeError(f"{type(self).__name__} does not implement expected_target.")

    def update_censored(self, bounds, prediction, weights, penalty=0.0, pooled_rows=0.0):
        """``update`` where targets are censored.

        Parameters
        ----------
        bounds : Bounds
            With ``lower`` and ``upper`` (n_samples,), equal where the target was observed.
        prediction : ndarray of shape (n_samples, n_experts)
            Prediction of each expert.
        weights : ndarray of shape (n_samples, n_experts)
            Responsibilities times weights of the rows.
        penalty : float or ndarray of shape (n_experts,), default=0.0
            As in ``update``.
        pooled_rows : float, default=0.0
            As in ``update``.
        """
        raise TypeError(f"{type(self).__name__} does not implement update_censored.")

    def censored_terms(self):
        """The same for censored targets, or None.

        Returns
        -------
        terms : type or None
            Whose ``target_of`` takes bounds in place of y; by default None.
        """
        return None
