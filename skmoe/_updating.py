"""Changes of a fitted mixture: batches of a stream, and experts that come and go."""

from ._base import BaseMixtureOfExperts
from ._doors import updates


def learns_streams(mixture):
    """For ``available_if`` of ``partial_fit``."""
    return updates("partial_fit").can_stream(mixture)


class UpdatableMixture(BaseMixtureOfExperts):
    """Methods that make another mixture of a fitted one."""

    _stream = None  # what the last fit left for a stream to go on from
    _grows = True  # whether experts can be added to the last fit

    def add_expert(self, X, y, expert=None, *, name=None, sample_weight=None, replay=None):
        """Add an expert for new rows; all others stay as they are.

        The old mixture goes, whole, behind one new logistic decision: old or new. This decision
        and the new expert, with its scale, are all that is trained, by EM. The old experts,
        their scales and the proportions in which the old gate shares rows among them do not
        change. ``gate_`` becomes a :class:`~skmoe.gates.TreeGate`.

        The decision has to know where the old rows were. A few of them are enough: in
        ``replay`` they stand for all old rows, and the new expert never learns from them. Without,
        rows are generated where the gate can do so (a :class:`~skmoe.gates.GaussianGate` without
        transformers); where it cannot, the new expert would take over everywhere, which is an error
        unless it is asked for.

        Pooled experts, the default ones, stay as they are too, with the uncertainty of their
        coefficients, and predictions go on to average over one expert where they did
        (:ref:`model_averaging`). The new expert is not pooled. Under Gaussian errors its predictive
        distribution is Student's t, with as many degrees of freedom as it has rows.

        The parameters of the mixture do not change: ``clone`` gives a mixture of the experts
        that it was made with, and ``fit`` begins with these again. ``lower_bounds_``,
        ``n_iter_`` and the like stay those of the last fit, ``oof_*`` attributes are deleted,
        and there is no ``bic``, ``aic`` or ``summary`` until the next fit. ``partial_fit`` goes on
        with the old sums and those of the new rows, where the new expert is linear or has
        ``partial_fit``.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            New rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their target; of a classifier, of classes that it knows.
        expert : estimator, default=None
            Estimator to add, cross-fitted where ``fit`` would cross-fit it; a ``FrozenEstimator``
            is taken as it is. None is one more like the others, where they are clones.
        name : str, default=None
            Its name. None is the first of ``expert0``, ``expert1`` and so on that is free.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the new rows. None is a weight of one for each.
        replay : (X_old, y_old), default=None
            Some of the rows that the mixture was trained on, drawn at random; about seven for each
            column will do. Each stands for ``n_samples_seen_ / len(y_old)`` rows. None is rows that
            the gate generates; ``()`` is to do without, with a
            :class:`~skmoe.exceptions.NoReplayWarning`.

        Returns
        -------
        self : object
            The mixture, with one expert more, the last.

        Raises
        ------
        ValueError
            If rows, name or expert cannot be used, there is neither ``replay`` nor a gate that
            generates rows, or the mixture is a stack or of specialists. The mixture is then as it
            was before.

        Examples
        --------
        >>> import numpy as np
        >>> from skmoe import MixtureOfExpertsRegressor
        >>> X = np.linspace(-2, 2, 200)[:, None]
        >>> y = np.abs(X[:, 0]) + 0.01 * np.sin(200 * X[:, 0])
        >>> moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(X, y)
        >>> X_new = np.linspace(4, 5, 50)[:, None]
        >>> moe = moe.add_expert(X_new, 10 - X_new[:, 0], replay=(X[::10], y[::10]))
        >>> moe.predict([[-1.0], [4.5]]).round(2)
        array([1. , 5.5])
        """
        return updates("add_expert").add_expert(self, X, y, expert, name, sample_weight, replay)

    def remove_expert(self, name, X=None, y=None, sample_weight=None):
        """Remove an expert; the others and their scales stay.

        Without rows the gate shares what was the expert's among the others in their old
        proportions. With rows a new gate is trained on them, by EM around the experts as they
        are; give it rows of all regimes, as for ``fit``.

        The parameters of the mixture do not change: ``clone`` gives a mixture of the experts
        that it was made with, and ``fit`` begins with these again. See ``add_expert`` for what
        becomes of the other fitted attributes.

        Parameters
        ----------
        name : str
            A name in ``named_experts_``.
        X : array-like or DataFrame of shape (n_samples, n_features), default=None
            Rows to train the gate on.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Their target.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights.

        Returns
        -------
        self : object
            The mixture, with one expert less.

        Raises
        ------
        ValueError
            If there is no such expert, or no other. The mixture is then as it was before.

        Examples
        --------
        >>> import numpy as np
        >>> from skmoe import MixtureOfExpertsRegressor
        >>> X = np.linspace(-2, 2, 200)[:, None]
        >>> moe = MixtureOfExpertsRegressor(n_experts=3, random_state=0)
        >>> noise = 0.01 * np.sin(200 * X[:, 0])
        >>> moe = moe.fit(X, np.abs(X[:, 0]) + (X[:, 0] > 1) + noise)
        >>> list(moe.remove_expert("expert2").named_experts_)
        ['expert0', 'expert1']
        """
        return updates("remove_expert").remove_expert(self, name, X, y, sample_weight)

    def replace_expert(self, name, estimator, X, y, sample_weight=None):
        """Put another expert in the place of one; the others and their scales stay.

        The new one is fitted once, on the rows that the old one answered for, weighted by
        responsibility, and cross-fitted where ``fit`` would do so. A ``FrozenEstimator`` is
        taken as it is. Then a new gate is trained on the rows, by EM around the experts as they
        are.

        The parameters of the mixture do not change: ``clone`` gives a mixture of the experts
        that it was made with, and ``fit`` begins with these again. See ``add_expert`` for what
        becomes of the other fitted attributes.

        Parameters
        ----------
        name : str
            A name in ``named_experts_``; place and name stay.
        estimator : estimator
            The new expert.
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows of all regimes, as for ``fit``.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights. None is a weight of one for each row.

        Returns
        -------
        self : object
            The mixture.

        Raises
        ------
        ValueError
            If there is no such expert, the rows cannot be used, or the mixture is a stack or of
            specialists. The mixture is then as it was before.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.ensemble import RandomForestRegressor
        >>> from skmoe import MixtureOfExpertsRegressor
        >>> X = np.linspace(-2, 2, 200)[:, None]
        >>> y = np.where(X[:, 0] < 0, -X[:, 0], np.sin(3 * X[:, 0]))
        >>> y += 0.01 * np.sin(200 * X[:, 0])
        >>> moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(X, y)
        >>> curved = max(
        ...     moe.named_experts_, key=lambda k: moe.named_experts_[k].coef_[0]
        ... )
        >>> forest = RandomForestRegressor(20, random_state=0)
        >>> moe = moe.replace_expert(curved, forest, X, y)
        >>> type(moe.named_experts_[curved]).__name__
        'RandomForestRegressor'
        """
        return updates("replace_expert").replace_expert(self, name, estimator, X, y, sample_weight)
