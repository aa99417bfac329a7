"""Which expert is which, where some share coefficients."""

from itertools import islice, permutations

import numpy as np

MOST_PLACINGS = 24  # tried of each start
MOST_ORDERS = 5040  # looked through for these


def placed(problem, resp):
    """Responsibilities in the order of experts that explains the target best after one step.

    The order matters where only some of the experts share a coefficient, which starts do not
    consider. The problem, untrained, is left alone.
    """
    orders = [] if problem.experts.owner is None else unlike_orders(problem.experts.owner)
    if len(orders) < 2:
        return resp
    candidates = [resp[:, order] for order in orders]
    return max(candidates, key=lambda each: problem.fork().start(each).step())


def unlike_orders(owner):
    """Orders of the experts, some at most, that differ in who shares coefficients with whom.

    ``owner`` (n_experts, n_columns) has the number of the expert whose coefficient each has. The
    first order is that of the numbers.
    """
    numbers = range(len(owner))
    patterns = [of for of in np.unique(owner, axis=1).T if 1 < len(set(of)) < len(owner)]
    seen = {}
    for order in islice(permutations(numbers), MOST_ORDERS if patterns else 1):
        sharing = tuple(
            frozenset(frozenset(order[k] for k in numbers if of[k] == k0) for k0 in set(of))
            for of in patterns
        )
        seen.setdefault(sharing, list(order))
        if len(seen) == MOST_PLACINGS:
            break
    return list(seen.values())
