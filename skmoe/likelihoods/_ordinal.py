"""Ordered classes: cumulative logits."""

import numpy as np

from .._doors import error_terms
from .._experts.ordered_logistic import ranks_of
from ._categorical import Categorical


class Ordinal(Categorical):
    r"""Ordered classes, whose experts are cumulative logits with proportional odds.

    .. math:: P_k(y \le c \mid x) = \frac{1}{1 + \exp(-(\theta_{kc} - x^T \beta_k))}

    Each expert has slopes, and a threshold between each class and the next [1]_: an
    :class:`~skmoe.OrderedLogisticRegression`. With one expert it is R's ``polr``.
    Experts are fitted by EM, without pooling.

    Parameters
    ----------
    order : list, default=None
        Labels from the lowest to the highest. None: the order of the categories if y is an ordered
        ``Categorical`` of pandas, else that of numbers.
    calibration : {"auto", "temperature", "smoothing"} or None, default="auto"
        As for :class:`Categorical`; nothing is calibrated in-sample.
    epsilon : float, default=0.001
        As for :class:`Categorical`.
    n_classes : int, default=0
        As for :class:`Categorical`.

    Attributes
    ----------
    temperature_, epsilon_ : ndarray of shape (n_experts,)
        As for :class:`Categorical`.
    class_share_ : ndarray of shape (n_classes,)
        Weighted shares of the classes in the training rows.

    References
    ----------
    .. [1] P. McCullagh, "Regression models for ordinal data", Journal of the Royal Statistical
       Society B 42 (1980) 109-142.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skmoe import MixtureOfExpertsClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 1))
    >>> grade = np.digitize(X[:, 0] + rng.logistic(size=500), [-1.0, 1.0])
    >>> y = pd.Categorical.from_codes(grade, ["low", "mid", "high"], ordered=True)
    >>> moe = MixtureOfExpertsClassifier(n_experts=1, likelihood="ordinal")
    >>> moe = moe.fit(X, y)
    >>> moe.classes_
    array(['high', 'low', 'mid'], dtype=object)
    >>> moe.predict_proba([[0.0]]).round(1)
    array([[0.3, 0.3, 0.4]])
    """

    name = "ordinal"

    is_ordered = True
    learns_batches = False

    def __init__(self, order=None, *, calibration="auto", epsilon=1e-3, n_classes=0):
        super().__init__(calibration=calibration, epsilon=epsilon, n_classes=n_classes)
        self.order = order

    @property
    def can_be_pooled(self):
        """Whether partial pooling can learn it: not yet."""
        return False

    @property
    def ranks(self):
        """Place of each class, in the order of class numbers, among the ordered ones."""
        return ranks_of(np.unique(self.order), self.order)

    @property
    def n_parameters_(self):
        return super().n_parameters_ + len(self.epsilon_) * (self.n_classes - 2)

    def terms(self):
        terms = error_terms().OrdinalTerms
        return terms if self.order is None else terms.of(tuple(self.ranks.tolist()))
