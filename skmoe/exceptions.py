"""Warnings that a user may want to catch."""


class ExpertCollapseWarning(UserWarning):
    """Issued when an expert ends a fit with next to no rows.

    A collapsed expert still answers, but its share of the mixture is negligible: fewer
    experts, more data, another start (``n_init``, ``random_state``) or another gate may help.
    """


class IgnoredWeightsWarning(UserWarning):
    """Issued when ``sample_weight`` cannot reach an expert or the gate.

    An estimator whose ``fit`` takes no ``sample_weight`` is fitted without the user's weights;
    the scales, the likelihood and the other parts of the mixture still use them.
    """


class ScaleFloorWarning(UserWarning):
    """Issued when the scale of an expert ends at its floor.

    The expert then predicts its rows next to without error. That is right where the target is
    free of noise; else it has learned its rows by heart, and the intervals for new rows are far
    too narrow: out-of-fold predictions (``cv``), fewer experts or more data help.
    """
