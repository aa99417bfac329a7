"""Which expert is which, where some share coefficients, or some are known for rows."""

from itertools import islice, permutations

import numpy as np
from scipy import optimize

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


def as_known(resp, data):
    """Responsibilities in the order of experts that agrees best with what is known of ``data``.

    Rows of known experts are theirs alone.
    """
    if data.known is None:
        return resp
    known = data.known if data.subjects is None else data.subjects.of_rows(data.known)
    certain = np.eye(resp.shape[1])[np.maximum(known, 0)] * (known >= 0)[:, None]
    agreement = certain.T @ (data.weight[:, None] * resp)
    order = optimize.linear_sum_assignment(agreement, maximize=True)[1]
    return np.where((known >= 0)[:, None], certain, resp[:, order])
