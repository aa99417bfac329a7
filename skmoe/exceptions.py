"""Warnings that a user may want to catch, and notes on errors."""

import re
import sys
import threading
import warnings
from contextlib import contextmanager

from sklearn.exceptions import ConvergenceWarning

INTERRUPTED = "Training interrupted by user"  # what nets warn of where they catch Ctrl-C
LONG = 5.0  # seconds, above which users are warned of a wait
OURS = ("skmoe", "sklearn", "contextlib", "joblib")  # whose frames a warning does not point to

UNENCODED = (
    " A Pipeline gets X with its strings: let it begin with make_column_transformer((OneHotEncoder("
    "handle_unknown='ignore', sparse_output=False), make_column_selector(dtype_exclude='number')), "
    "remainder='passthrough')."
)

__all__ = [
    "ExpertCollapseWarning",
    "IgnoredWeightsWarning",
    "LeftOutColumnsWarning",
    "LongFitWarning",
    "NoReplayWarning",
    "NumbersAsStringsWarning",
    "ScaleFloorWarning",
    "SmallWeightsWarning",
    "ThinnedRowsWarning",
]


class ExpertCollapseWarning(UserWarning):
    """Issued when an expert has almost no rows after a fit.

    The share of a collapsed expert is negligible: fewer experts, more data, another start
    (``n_init``, ``random_state``) or another gate may help.
    """


class IgnoredWeightsWarning(UserWarning):
    """Issued when ``sample_weight`` cannot reach an expert or the gate.

    An estimator whose ``fit`` takes no ``sample_weight`` is fitted without the user's weights;
    the scales, the likelihood and the other parts of the mixture still use them.
    """


class LeftOutColumnsWarning(UserWarning):
    """Issued when the default experts and gate leave out columns of a table.

    Identifiers, free text and dates as strings have nearly as many levels as rows: one-hot columns
    of them would not generalise.
    """


class LongFitWarning(UserWarning):
    """Issued where a fit, or a number of refits, will take more than about five seconds.

    It gives the time, within a factor of five up to 50 columns, and ways to shorten the fit.
    ``warnings.simplefilter("ignore", LongFitWarning)`` turns it off.
    """


class NoReplayWarning(UserWarning):
    """Issued when ``add_expert`` is called without old rows, by ``replay=()``.

    The gate then learns from new rows only, and may use the new expert for the old regimes.
    """


class NumbersAsStringsWarning(UserWarning):
    """Issued when a column of strings holds numbers, which are encoded as categories.

    A single cell that is not a number, such as "6.2?" or "n/a", turns a column into strings; the
    warning names such cells.
    """


class ScaleFloorWarning(UserWarning):
    """Issued when the scale of an expert ends at its floor.

    The expert predicts its rows almost without error. Unless the target has no noise, it has
    memorised its rows, and intervals for new rows are too narrow: out-of-fold predictions (``cv``),
    fewer experts or more data help.
    """


class SmallWeightsWarning(UserWarning):
    """Issued when ``sample_weight`` is far below one for each row, such as weights that sum to one.

    A row of weight 2 counts as two rows, and rows whose weights sum to one count as one row:
    penalties and priors then outweigh the data. If only ratios matter, divide by their mean.
    """


class ThinnedRowsWarning(UserWarning):
    """Issued when a mixture is fitted on a sample of rows that are not in memory.

    Mixtures that do not learn from sums over rows are fitted on at most ``max_expert_rows``, drawn
    by a hash of their content.
    """


def warn_user(message, category):
    """Warn, and point to the line outside this package and scikit-learn that led here."""
    frame = sys._getframe(1)
    level = 2
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] in OURS:
        frame = frame.f_back
        level = level + 1
    warnings.warn(message, category, stacklevel=level)


def warn_if_long(what, seconds, quicker, is_told=False, unsure=""):
    """Warn of a wait of so many seconds, if it is long; whether it is. ``is_told`` is verbose."""
    if seconds > LONG:
        about = f"{what} may take about {float(f'{seconds:.1g}'):,g} s{unsure}. Quicker: {quicker}."
        if not is_told:
            about += " verbose=1 shows progress."
        warn_user(about, LongFitWarning)
    return seconds > LONG


@contextmanager
def noted(note):
    """Adds a note to whatever error is raised, such as which expert's ``fit`` raised it."""
    try:
        yield
    except Exception as error:  # estimators and readers of a user's may raise anything; it goes on
        error.add_note(note + UNENCODED * ("could not convert string" in str(error)))
        raise


@contextmanager
def one_fit():
    """Context of a whole fit: Ctrl-C ends it, and what all its fits warn of is shown once.

    Nets of scikit-learn catch a KeyboardInterrupt, warn of it and stay half-trained: it is raised
    again. Experts and gates that have not converged would warn in every iteration.

    In other threads nothing is done: filters of warnings are those of the whole process.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("error", INTERRUPTED, UserWarning)
        show = warnings.showwarning
        said = set()

        def show_first(message, category, *where):
            kind = re.split(r"\d", str(message))[0]  # numbers of iterations, and gaps, differ
            if issubclass(category, LeftOutColumnsWarning):  # each member of a list has its own
                kind = category
            if kind is category or issubclass(category, ConvergenceWarning):
                if kind in said:
                    return
                said.add(kind)
            show(message, category, *where)

        warnings.showwarning = show_first
        try:
            yield
        except UserWarning as warning:
            if not str(warning).startswith(INTERRUPTED):
                raise
            raise KeyboardInterrupt from None
        finally:
            warnings.showwarning = show
