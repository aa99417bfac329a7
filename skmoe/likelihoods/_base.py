"""Base class of likelihoods."""

from abc import ABCMeta, abstractmethod

import numpy as np
from sklearn.base import BaseEstimator, clone

from .._compat import QuickParameters
from .._data import Subjects
from .._numerics.columns import outlier_bounds
from ._learned import LearnedParameters

STATED = {  # methods, and the attributes that declare them
    "expert_target": "changes_target",
    "working_weights": "is_robust",
    "working_exposure": "is_reweighted",
    "learn_batch": "learns_batches",
}


class BaseLikelihood(LearnedParameters, QuickParameters, BaseEstimator, metaclass=ABCMeta):
    """Base class of likelihoods: the distribution of the target given the prediction of an expert.

    A likelihood owns the scales of the experts. In EM it computes the log-density of each row under
    each expert, and re-estimates its scales from weighted rows; afterwards it returns the
    distribution around a prediction.

    A likelihood of your own derives from this class and implements ``update``, ``log_density``
    and ``components``; everything else has a default. Its parameters are arguments of ``__init__``,
    as in scikit-learn. Arrays are replaced, never written to, since EM keeps earlier states.

    Shapes: y (n,) or (n, m), predictions (n, K) or (n, K, m), with m outputs and K experts.

    Attributes
    ----------
    name : str or None
        String that stands for it; None if it is only available as an object.
    family : Family or None
        Errors around the linear predictors of its experts, if predictions are positive means or
        rates.
    expert_family : Family or None
        Family of the default experts, generalised linear models; None if they are linear. By
        default ``family``.
    takes_exposure : bool
        Whether means may be multiplied by an exposure.
    takes_trials : bool
        Whether rows may have several trials. Predictions are then expected successes.
    takes_upper : bool
        Whether targets may be censored, which needs ``expected_target`` and ``update_censored``.
    takes_subjects : bool
        Whether rows of a subject are dependent given their expert.
    taken_by_subjects : callable or None
        ``taken_by_subjects(subjects, design, targets, resp)`` -> LeastSquaresStatistics, the
        sufficient statistics of random effects.
    target_dtype : dtype
        Dtype of targets in training.
    can_be_pooled, can_be_stacked, has_sums : bool
        Whether partial pooling can learn it, whether experts fitted on all rows are combined under
        it, out of fold, and whether linear experts under it are learned from sums over rows that
        are not in memory.
    independent_outputs : bool
        Whether the errors of several outputs are independent.
    regime_ : ndarray of int of shape (n_experts,) or None
        Number of the regime of each expert; None if each is a regime.
    columns_ : StandardColumns or None
        Columns of pooled coefficients; None without pooling.
    averages_experts : bool
        Whether predictions are averages over the posterior of the experts, which are then not at a
        maximum of the likelihood.
    scale_model_ : callable or None
        ``scale_model_(X)`` -> factors (n, 1), or (n, 1, n_outputs), of the scales, if these
        depend on the row.
    has_scale_free_mean : bool
        Whether the mean of a component does not depend on its scale.
    scale_ : ndarray of shape (n_experts,) or (n_experts, n_outputs), or None
        Scale of each expert in ``expert_report``; None without scales.
    own_density_ : ndarray of bool of shape (n_experts,) or None
        Which experts have a density of their own, in place of this one; None: those that are
        mixtures.
    at_floor_ : sequence of bool
        Whether the scale of each expert is the smallest allowed; empty without scales.
    per_expert : tuple of str
        Names of the fitted attributes whose first axis are the experts.
    learned_logs, learned_values : tuple of str
        Names of the attributes that EM learns for each expert, positive ones and those of any sign.
        If these are all fitted attributes of ``per_expert``, they (or their logarithms) are
        extrapolated when EM is slow.
    learns_batches : bool
        Whether there is ``learn_batch``, which ``partial_fit`` needs.
    changes_target : bool
        Whether experts are fitted on, and predict, ``expert_target`` in place of y.
    looks_at_target : bool
        Whether ``start`` raises for targets that ``start_target`` cannot take.
    is_robust, is_reweighted : bool
        Whether there are ``working_weights``, and whether a single expert iterates, too, because
        of these or of working exposures or targets.
    """

    name = family = None
    by_name = {}  # all classes that have one
    takes_exposure = False
    takes_trials = takes_upper = takes_subjects = False
    taken_by_subjects = None
    target_dtype = np.dtype(np.float64)
    can_be_pooled = can_be_stacked = has_sums = False
    independent_outputs = True
    averages_experts = has_scale_free_mean = False
    scale_model_ = regime_ = None
    at_floor_ = ()
    scale_ = df_ = columns_ = None
    changes_target = looks_at_target = is_robust = is_reweighted = False
    _linear = False  # whether generalised linear models that EM solves are the experts

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if vars(cls).get("name") is not None:
            cls.by_name[cls.name] = cls
        # For this class only: a subclass may have another density.
        for name in ("can_be_pooled", "can_be_stacked", "has_sums", "has_scale_free_mean"):
            if name not in vars(cls):
                setattr(cls, name, False)
        for method, name in STATED.items():
            if method in vars(cls) and not getattr(cls, name):
                raise TypeError(
                    f"{cls.__name__} has {method}: give it the attribute {name} = True."
                )

    # Names -----------------------------------------------------------------------------------

    @classmethod
    def names_where(cls, does):
        """Names of the likelihoods with a property, for messages.

        Parameters
        ----------
        does : callable
            ``does(likelihood)``, for an unstarted likelihood.

        Returns
        -------
        names : str
            In quotes, with "or" before the last one.
        """
        names = [repr(name) for name, kind in sorted(cls.by_name.items()) if does(kind())]
        return " or ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))

    # Rows and their subjects ----------------------------------------------------------------

    def of_columns(self, n_columns, names):
        """A likelihood like this one, adapted to the columns of X.

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
        """
        return self

    def subjects_of(self, X, subject, weight):
        """The rows of each subject.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        subject : ndarray of shape (n_samples,)
            Subject of each row.
        weight : ndarray of shape (n_samples,)
            Weights of the rows.

        Returns
        -------
        subjects : Subjects
            With everything that the likelihood needs of them.
        """
        return Subjects(subject, weight)

    # Before EM ------------------------------------------------------------------------------

    def fitting(self, *, in_sample, linear):
        """This likelihood as it is to be trained.

        Parameters
        ----------
        in_sample : bool
            Whether predictions are for training rows of the experts.
        linear : bool
            Whether experts are solved by a linear family.

        Returns
        -------
        likelihood : BaseLikelihood
            A new one, unstarted.
        """
        twin = clone(self)
        twin._linear = linear
        return twin

    def start(self, y, weight, n_experts):
        """Examine the target once before EM; raise a ValueError if it is not suitable.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        weight : ndarray of shape (n_samples,)
            Weights of the rows.
        n_experts : int
            Number of experts.

        Returns
        -------
        self : BaseLikelihood
            This likelihood, with what it has learned, such as ``floor_`` of the scales.
        """
        return self

    def start_target(self, y, weight):
        """The target for starts of EM, on a scale on which its noise is about constant.

        Square roots of counts, for instance, arcsines of those of rates, or logarithms of what is
        positive.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Target, divided by the exposure.
        weight : ndarray of shape (n_samples,)
            Weights of the rows.

        Returns
        -------
        target : ndarray of shape (n_samples,) or (n_samples, n_outputs) or None
            None for classes.
        """
        target = self.expert_target(y)
        if not self.is_robust:
            return target
        return np.clip(target, *outlier_bounds(target, weight))

    # Within EM ------------------------------------------------------------------------------

    def row_arguments(self, row_scale=None, exposure=None, subjects=None, X=None):
        """Keyword arguments of ``update``, ``log_density`` and ``components`` about the rows.

        Parameters
        ----------
        row_scale : ndarray of shape (n_samples, 1), default=None
            Factors of the scales, where these depend on the row.
        exposure : ndarray of shape (n_samples,), default=None
            Factors of the means, or trials.
        subjects : Subjects, default=None
            Which rows belong to which subject.
        X : array-like or DataFrame of shape (n_samples, n_features), default=None
            Rows, for a likelihood that depends on them.

        Returns
        -------
        arguments : dict
            Those that this likelihood takes.
        """
        if row_scale is None:
            arguments = {}
        else:
            arguments = {"row_scale": row_scale}
        if self.takes_trials and exposure is not None:
            arguments["trials"] = exposure[:, None]
        if self.takes_subjects and subjects is not None:
            arguments["subjects"] = subjects
        return arguments

    @abstractmethod
    def update(self, y, prediction, weights, penalty=0.0, pooled_rows=0.0):
        """Re-estimate the scales, or other parameters of the likelihood.

        The first call finds what ``start`` has set. For EM to rise, later ones must not lower
        ``(weights * log_density).sum() + log_prior(penalty)``. ``row_scale``, ``trials`` and
        ``subjects``, if the likelihood takes any, are those of ``row_arguments``.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        prediction : ndarray of shape (n_samples, n_experts) or (..., n_outputs)
            Prediction of each expert; (..., n_classes) for classes.
        weights : ndarray of shape (n_samples, n_experts)
            Responsibilities times weights of the rows.
        penalty : float or ndarray of shape (n_experts,) or (n_experts, n_outputs), default=0.0
            Penalty of the coefficients of each expert, as ``log_prior`` takes it.
        pooled_rows : float, default=0.0
            Number of rows that each expert borrows from all, if the likelihood supports it, so that
            an expert with few rows does not rely on these alone; 0 except in sparse mixtures.
        """

    @abstractmethod
    def log_density(self, y, prediction, experts=None):
        """Log-density of each row under each expert; for discrete targets, log-probability.

        ``row_arguments`` names which of ``row_scale``, ``trials``, ``subjects`` and ``effects``
        the likelihood takes. With subjects, weighted sums over the rows of each make its joint
        log-density.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        prediction : ndarray of shape (n_samples, n_experts) or (..., n_outputs)
            Prediction of each expert; (..., n_classes) for classes.
        experts : ndarray of shape (n_samples, k), default=None
            Numbers of the experts, if each row has k of them; None: all in order.

        Returns
        -------
        log_density : ndarray of shape (n_samples, n_experts)
            Joint over the outputs; minus infinity where y is impossible.
        """

    @abstractmethod
    def components(self, prediction, experts=None):
        """Distributions around the predictions.

        ``row_arguments`` names which of ``row_scale``, ``trials`` and ``effects`` the likelihood
        takes.

        Parameters
        ----------
        prediction : ndarray of shape (n_samples, n_experts) or (..., n_outputs)
            Prediction of each expert.
        experts : ndarray of shape (n_samples, k), default=None
            Numbers of the experts; None: all in order.

        Returns
        -------
        components : object
            One for each row and expert; see :mod:`skmoe.distributions`.
        """

    def expert_target(self, y):
        """Target of the experts.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Target.

        Returns
        -------
        target : ndarray, shaped like y
            By default y itself.
        """
        return y

    def working_weights(self, y, prediction):
        """Factors of the responsibilities with which experts are fitted.

        With them weighted least squares raises the likelihood, which counts as robust: EM starts
        from a target with trimmed outliers.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        prediction : ndarray of shape (n_samples, n_experts) or (..., n_outputs)
            Prediction of each expert.

        Returns
        -------
        working : ndarray of shape (n_samples, n_experts) or None
            None, the default: factors of one.
        """
        return None

    def working_exposure(self, y, prediction):
        """Factors of the exposure with which experts are fitted.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        prediction : ndarray of shape (n_samples, n_experts) or (..., n_outputs)
            Mean of each expert.

        Returns
        -------
        working : ndarray of shape (n_samples, n_experts) or None
            None, the default: factors of one.
        """
        return None

    def working_data(self, y, prediction):
        """Working weights and exposures, in the order in which experts take them.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        prediction : ndarray of shape (n_samples, n_experts) or (..., n_outputs)
            Prediction of each expert.

        Returns
        -------
        working : tuple of two ndarrays or None
            From ``working_weights`` and ``working_exposure``.
        """
        return self.working_weights(y, prediction), self.working_exposure(y, prediction)

    @property
    def expert_family(self):
        """Family of the default experts."""
        return self.family

    def check_values(self, y):
        """Raise a ValueError for values that the likelihood does not support; by default none.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Target, or a part of it.
        """


def unfitted(likelihood):
    """A likelihood to ``start``, from a name or from an object with the same parameters.

    A ValueError if there is none of that name, or it does not derive from ``BaseLikelihood``.
    """
    kinds = BaseLikelihood.by_name
    known = {name: kinds[name] for name in kinds if kinds[name].target_dtype.kind == "f"}
    if isinstance(likelihood, str) and likelihood in known:
        return known[likelihood]()
    if not isinstance(likelihood, BaseLikelihood):
        raise ValueError(
            f"A likelihood must be one of {sorted(known)} or an object of a class that derives "
            f"from skmoe.likelihoods.BaseLikelihood; got {likelihood!r}."
        )
    return clone(likelihood)
