"""About how long linear experts take that are solved all at once."""

import numpy as np

from .._tables.encoding import labels_of
from .._tables.levels import Levels
from .._tables.mixed import describe_columns, is_table

FIRST_ROWS = 1_000  # in which levels are counted
SECONDS, PER_ENTRY = 0.05, 3e-6  # of an expert with ten starts, and for each entry of its columns
FEW_STARTS = 5  # as many starts cost what does not depend on their number
SEARCHED = 0.55  # of all experts that may be tried: a search ends two numbers behind the best
MOST_OFF = 5.0  # times, that one fit says of the next
last_ratio = {}  # by way of training: seconds of the last fit over those by the formula


def count_columns(X):
    """Number of the columns of X, levels of strings being columns, by its first rows."""
    first = X.iloc[:FIRST_ROWS] if is_table(X) else X[:FIRST_ROWS]
    strings, _ = describe_columns(first)
    levels = [Levels.of(first, label) for label in strings]
    kept = [len(each.values) for each in levels if each.kind in ("category", "effects")]
    return len(labels_of(X)) - len(strings) + sum(kept)


def seconds_of(plan):
    """Seconds that a fit takes by a formula, measured on a core of 2024."""
    n_rows, n_columns = plan.shape
    numbers = np.arange(1, plan.most_experts + 1)
    n_experts = plan.most_experts if plan.number_by is None else SEARCHED * numbers.sum()
    starts = (FEW_STARTS + plan.n_init) / (FEW_STARTS + 10)
    return n_experts * starts * (SECONDS + PER_ENTRY * n_rows * min(n_rows, n_columns))


def remember(plan, way, seconds):
    """Take what a fit took for the measure of the next ones."""
    if plan.most_expert_fits is None:
        last_ratio[way] = np.clip(seconds / seconds_of(plan), 1 / MOST_OFF, MOST_OFF)


def about(plan):
    """Seconds of a fit in words, by the last one of its kind in this process, if there was one."""
    return f"about {float(f'{seconds_of(plan) * last_ratio.get(plan.training, 1.0):.1g}'):g} s"
