"""A fit as scikit-learn's callbacks see it: one task, and a task for each EM iteration in it."""

from .._compat import has_callbacks


class NoTasks:
    """No callbacks, for fits within a fit."""

    def begin(self, max_iter):
        """Nothing."""

    def begin_iteration(self):
        """Nothing."""

    def end_iteration(self, fitted_attributes):
        """Does nothing; False, as no callback asks to stop."""
        return False


class FitTasks:
    """Callbacks of an estimator in one fit; X, y and weights are as they were given to ``fit``.

    scikit-learn has callbacks from version 1.9 on; on older versions this does nothing. They are
    torn down by the decorator of ``fit``, whatever it raises.
    """

    def __init__(self, estimator, X, y, sample_weight):
        self._context = estimator._init_callback_context(max_subtasks=None)
        self._has_callbacks, self._has_begun = has_callbacks(estimator), False
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._given = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}

    def begin(self, max_iter):
        """The fit begins, unless it has; it takes ``max_iter`` iterations at most."""
        if self._has_begun:
            return
        self._has_begun = True
        self._context.max_subtasks = max_iter  # known only once the data were looked at
        self._context.call_on_fit_task_begin(**self._given)

    def begin_iteration(self):
        """An EM iteration begins."""
        if not self._has_callbacks:
            return
        self._iteration = self._context.subcontext(task_name="EM iteration")
        self._iteration.call_on_fit_task_begin(**self._given)

    def end_iteration(self, fitted_attributes):
        """An EM iteration ends; whether a callback asks to stop.

        ``fitted_attributes()`` -> dict, what the estimator would hold if it stopped here; called
        only if a callback reads it.
        """
        return self._has_callbacks and self._iteration.call_on_fit_task_end(
            **self._given, reconstruction_attributes=fitted_attributes
        )

    def end(self):
        """The fit ends; the estimator is fitted."""
        self._context.call_on_fit_task_end(**self._given)
