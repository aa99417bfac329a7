"""Other numbers of regimes, and other partitions into as many, of nearly as much evidence."""

import numpy as np

from .._em.progress import count

CLOSE = 3.0  # nats over all rows: a factor of 20
ALIKE = 0.9  # adjusted Rand index of partitions that are told as one
MANY = 5  # experts, of which another seed may well find others
MOST_TRIED = 3  # rivals that are given the time to converge


class Rivals:
    """Mixtures that a search came by, to look among them for another partition of the rows.

    Parameters
    ----------
    weight : ndarray of shape (n_samples,)
        Weights of the rows.
    converge : callable
        ``converge(problem)`` iterates a problem to its optimum, and returns it: many were given up
        before, and may be on their way to the mixture that is kept.
    """

    def __init__(self, weight, converge):
        self.weight, self.converge, self._seen = weight, converge, []

    def add(self, problem):
        """Remember a mixture."""
        if problem.experts.n_experts > 1:
            self._seen.append(problem.fork())

    def close_to(self, chosen):
        """Other partitions of nearly as much evidence, or more, converged; a list of problems."""
        close = [each for each in self._seen if self._compared(chosen, each) is not None]
        close = sorted(close, key=lambda each: -each.evidence)[:MOST_TRIED]
        return [self.converge(each) for each in close]

    def _compared(self, chosen, problem):
        """Nats behind, and Rand index, if that is close and not the same; else None."""
        nats = self.weight.sum() * (chosen.evidence - problem.evidence)
        n_regimes, labels = partition(chosen)
        if nats >= CLOSE or n_regimes != count_regimes(problem):
            return None
        rand = rand_index(labels, partition(problem)[1], self.weight)
        return (nats, rand) if rand < ALIKE else None

    def notes(self, chosen, word="regime"):
        """That another partition is close to that of the chosen mixture, a sentence; a list.

        The partition is one into what ``word`` says, "regime" or "expert".
        """
        found = [self._compared(chosen, each) for each in self.close_to(chosen)]
        found = [each for each in found if each is not None]
        if not found:
            return []
        n_regimes, (nats, rand) = count_regimes(chosen), min(found)
        side = "behind" if nats >= 0 else "ahead"
        return [
            f"Another partition of the rows into {n_regimes} {word}s (adjusted Rand index "
            f"{round(rand, 2) + 0.0:.2f}) is {abs(nats):.1f} nats {side}: which rows belong "
            "together is a close call."
        ]


def close_numbers(support, chosen, word="regime"):
    """That other numbers are close to the one that is kept, a sentence; a list.

    ``support`` has the log-evidence over all rows of each number; ``word`` says what is counted,
    "regime" or "expert".
    """
    lead = {k: support[chosen] - each for k, each in support.items() if k != chosen}
    close = {k: nats for k, nats in lead.items() if nats < CLOSE}
    if not close:
        return []
    found = " and ".join(
        f"{count(k, word)} {'is' if k == 1 else 'are'} {abs(nats):.1f} nats "
        + ("behind" if nats >= 0 else "ahead of")
        for k, nats in close.items()
    )
    return [
        f"The number of {word}s is a close call: by log-evidence over all rows, {found} {chosen}."
    ]


def count_regimes(problem):
    """Number of regimes of a pooled mixture."""
    ties = problem.experts.ties
    return problem.experts.n_experts if ties is None else ties.n_regimes


def partition(problem):
    """Number of regimes of a pooled mixture, and that of each row, (n_samples,)."""
    ties, resp, n_regimes = problem.experts.ties, problem.resp, count_regimes(problem)
    regime = np.arange(n_regimes) if ties is None else ties.regime
    of_regimes = [resp[:, regime == r].sum(axis=1) for r in range(n_regimes)]
    return n_regimes, np.argmax(of_regimes, axis=0)


def rand_index(labels, others, weight):
    """Adjusted Rand index of two partitions, by weight, of pairs of rows drawn with replacement.

    For many rows it is that of pairs of different rows, and a weight of 2 is a row given twice.
    """
    shared = np.zeros((labels.max() + 1, others.max() + 1))
    np.add.at(shared, (labels, others), weight / weight.sum())
    both = np.square(shared).sum()
    one, other = (np.square(shared.sum(axis=axis)).sum() for axis in (0, 1))
    by_chance, most = one * other, 0.5 * (one + other)
    return 1.0 if most == by_chance else float((both - by_chance) / (most - by_chance))
