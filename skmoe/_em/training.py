"""Which way a mixture is trained: pooled, by EM, as a stack, or as specialists."""

import numpy as np
from scipy import sparse
from sklearn.base import ClassifierMixin

from .._data import NO_FACTS
from .._experts.families import is_linear
from .._experts.fitting import split_last, supports_warm_start
from .._experts.traits import STACK, has_own_density, is_frozen
from .._tables.vectors import as_array
from ..gates import ConstantGate, SoftmaxGate
from ..likelihoods import Binomial, Categorical, Gamma, Gaussian, Poisson

TO_EM = "Set that, or set {} for maximum likelihood by EM, which takes all of these."
MOST_POOLED_ROWS = 10_000  # by "auto": beyond, it costs more than it tells


def pools(mixture, X, y, groups=None, facts=NO_FACTS):
    """Whether ``fit`` pools the experts: where ``pooling`` says so, or "auto" finds it available.

    Parameters
    ----------
    mixture : BaseMixtureOfExperts
        Unfitted.
    X, y, groups : array-like
        As ``fit`` was given them.
    facts : Facts, default=NO_FACTS
        What else it was given of the rows.

    Raises
    ------
    ValueError
        If pooling is asked for, and not available.
    """
    if not mixture.pooling:
        return False
    is_observed = facts.upper is None or np.array_equal(y, facts.upper)
    wanted = _wanted_by_pooling(mixture, X, groups)
    wanted["targets that are observed, none censored by upper"] = is_observed
    if isinstance(mixture.pooling, str):
        return (
            all(wanted.values()) and max(as_array("y", y).shape[:1], default=0) <= MOST_POOLED_ROWS
        )
    check_wanted(f"pooling={mixture.pooling} needs", wanted, TO_EM.format("pooling=False"))
    return True


def check_alternatives(mixture, X, facts):
    """Raise a ValueError if what ``fit`` is asked for is unknown to an alternative to plain EM.

    Parameters
    ----------
    mixture : BaseMixtureOfExperts
        Unfitted.
    X : array-like
        As ``fit`` was given it.
    facts : Facts
        What else it was given of the rows.
    """
    if facts.upper is not None and any(map(has_own_density, mixture._expert_list()[1])):
        raise ValueError("upper is for experts that predict a number; one of these is a mixture.")
    if mixture.subject_effect is not None:
        wanted = {
            "the subject of each row, by subject=": facts.subject is not None,
            "top_k=None": mixture.top_k is None,
        }
        check_wanted("subject_effect needs", wanted, "Set that, or set subject_effect=None.")
    if mixture.specialisation == 0:
        wanted = _wanted_by_stacking(mixture, X, facts.subject)
        wanted["targets that are observed, so no upper"] = facts.upper is None
        check_wanted("specialisation=0 needs", wanted, TO_EM.format("specialisation=1"))


def training_of(mixture, rows):
    """How ``fit`` trains experts that are not pooled: "em", "stacking" or "specialists".

    ``specialisation="auto"`` is EM where experts are linear, ready or go on from iteration to
    iteration, and where a parameter or the rows ask for what only EM takes.

    Parameters
    ----------
    mixture : BaseMixtureOfExperts
        Unfitted.
    rows : Rows
        Checked.
    """
    if not isinstance(mixture.specialisation, str):
        return "em" if mixture.specialisation == 1 else "stacking"
    _, templates = mixture._expert_list()
    is_prefit = isinstance(mixture.cv, str) and mixture.cv == "prefit"
    is_stream = mixture._buffer is not None
    is_special = rows.y.ndim > 1 or rows.bounds is not None or is_stream or is_prefit
    if is_special or all(map(_is_meant_for_em, templates)):
        return "em"
    if mixture._is_list:
        wanted = _wanted_by_stacking(mixture, rows.X, rows.subject)
        return "stacking" if all(wanted.values()) else "em"
    wanted = _wanted_out_of_fold(mixture, rows.X, rows.subject)
    is_one_of_one = len(templates) == 1 or has_own_density(templates[0])
    return "em" if is_one_of_one or not all(wanted.values()) else "specialists"


def _is_meant_for_em(expert):
    """Whether it is solved in sample, ready, or goes on in each iteration from the last."""
    return is_linear(expert) or is_frozen(expert) or supports_warm_start(expert)


def check_wanted(what, wanted, otherwise):
    """Raise a ValueError that names all that ``what`` needs and is not given, and a way out.

    Parameters
    ----------
    what : str
        Subject of the sentence: "pooling=True needs".
    wanted : dict of str to bool
        What it needs, and whether it is given.
    otherwise : str
        The way out.
    """
    lacking = [each for each, is_given in wanted.items() if not is_given]
    if lacking:
        raise ValueError(f"{what} {'; '.join(lacking)}. {otherwise}")


def _wanted_by_pooling(mixture, X, groups):
    likelihood, gate = mixture._likelihood(), split_last(mixture.gate)[1]
    is_gaussian = (
        type(likelihood) is Gaussian
        and isinstance(likelihood.scale, str)
        and likelihood.scale in ("expert", "shared")
        and likelihood.covariance == "diag"
    )
    is_known = is_gaussian or type(likelihood) in (Binomial, Categorical, Gamma, Poisson)
    is_softmax = type(gate) is SoftmaxGate and gate.learns_batches  # no part of the penalty is L1
    is_automatic = isinstance(mixture.cv, str) and mixture.cv == "auto"
    return {
        "experts=None, which are linear": mixture.experts is None,
        "likelihood='auto', 'gaussian', Gaussian('shared'), 'poisson', 'gamma' or 'binomial'": (
            is_known
        ),
        "no shared_effects of classes or of some experts": (
            not mixture._shared_effects()
            if type(likelihood) is Categorical
            else not isinstance(mixture._shared_effects(), dict)
        ),
        "calibration='auto'": mixture.calibration == "auto",
        "the gate None, SoftmaxGate() with l1_ratio=0 or ConstantGate()": (
            gate is None or is_softmax or type(gate) is ConstantGate
        ),
        "cv='auto'": mixture.cv is False or is_automatic,
        "top_k=None": mixture.top_k is None,
        "load_balance=0": mixture.load_balance == 0,
        "no groups, which are for folds": groups is None,
        "all rows at once, as fit has them": mixture._buffer is None,
        "dense X, none that is sparse": not sparse.issparse(X),
    }


def _wanted_by_stacking(mixture, X, subject):
    names, templates = mixture._expert_list()
    return {
        "a list of two named experts or more": mixture._is_list and len(names) > 1,
        f"another name than {STACK!r} for its experts": STACK not in names,
        "experts that are no mixtures": not any(map(has_own_density, templates)),
        **_wanted_out_of_fold(mixture, X, subject),
    }


def _wanted_out_of_fold(mixture, X, subject):
    """What gate and scales need that are learned from out-of-fold predictions alone."""
    classifies = isinstance(mixture, ClassifierMixin)
    return {
        "likelihood='auto' or 'student_t'": (
            classifies or mixture.likelihood in ("auto", "student_t")
        ),
        "subject_effect=None": mixture.subject_effect is None,
        "the default gate": mixture.gate is None,
        "out-of-fold predictions, so no cv=False": mixture.cv is not False,
        "shared_effects=None": not mixture._shared_effects(),
        "top_k=None": mixture.top_k is None,
        "load_balance=0": mixture.load_balance == 0,
        "warm_start=False": not mixture.warm_start,
        "rows that are independent, without subject": subject is None,
        "dense X, none that is sparse": not sparse.issparse(X),
    }
