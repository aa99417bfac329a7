"""Predictions that average over two mixtures, where few rows do not tell which is the better.

One has one expert, the other the number of most evidence: a few nats decide, which a few rows make.
Predictions average over both, by weights [1]_ in which the log-evidence counts a fourth, since that
of the best of many mixtures is the highest by chance as well, and there are only bounds of it.

Far from the rows of ``fit`` one expert has some weight whatever the evidence: where nothing was
seen, there may be another regime. ``Average`` has how much.

One expert of classes, whose slopes grow with their prior variance where columns all but separate
the classes, averages over the variance of most evidence and 1.

References
----------
.. [1] J. A. Hoeting, D. Madigan, A. E. Raftery and C. T. Volinsky, "Bayesian model averaging: a
   tutorial", Statistical Science 14 (1999) 382-417.
"""

from dataclasses import dataclass

from scipy import special

from .._em.loop import count
from .._em.problem import FEW_ROWS

TEMPER = 0.25  # part of the log-evidence that counts
PRIOR = 3.0  # nats by which several experts have to be better than one
OF_VARIANCE = 1.0  # nats by which the variance of most evidence is favoured by its choice
UNIT = "unit variance"  # of slopes, on standardised columns
LEAST = 0.01  # weight of the other mixture, below which it is left out


@dataclass(frozen=True)
class Averaging:
    """Another mixture beside the one that was kept."""

    other: object  # PooledProblem of one expert
    weight: float  # of it
    n_experts: int  # of the mixture that was kept

    @property
    def weights(self):
        """By number of experts, or name; the other last if there are two of one expert."""
        weights = {1: self.weight, self.n_experts: 1 - self.weight}
        return weights | ({UNIT: self.weight} if self.n_experts == 1 else {})

    @property
    def notes(self):
        """What is averaged in all rows and why, a sentence, in a list."""
        if self.weight == 0:
            return []
        over = f"{count(1)} and {self.n_experts}"
        if self.n_experts == 1:
            over = "a learned prior variance of the slopes and 1"
        weights = " and ".join(f"{each:.2f}" for each in self.weights.values())
        few = f"Fewer than {FEW_ROWS} rows"
        return [f"{few}: predictions average over {over}, with the weights {weights}."]


def averaging(best, one_line, n_rows):
    """The Averaging of ``best`` and what ``one_line(learns_variances)`` makes, or None.

    Only where rows are few, by weight, has the other any weight among those of ``fit``.
    """
    n_experts, weighs = best.experts.n_experts, n_rows < FEW_ROWS
    temper, prior = (1.0, OF_VARIANCE) if n_experts == 1 else (TEMPER, PRIOR)
    if n_experts == 1 and not (weighs and best.experts.averages_variances):
        return None
    other = one_line(n_experts > 1)
    ahead = n_rows * (best.evidence - other.evidence) - prior
    weight = float(special.expit(-temper * ahead)) if weighs else 0.0
    weight = weight if weight >= LEAST else 0.0
    return Averaging(other, weight, n_experts) if n_experts > 1 or weight > 0 else None


# Effort of the search for mixtures of pooled experts ---------------------------------------------


@dataclass(frozen=True)
class Effort:
    """Limits of a search; the defaults are those of a mixture that stands alone."""

    n_init: float = float("inf")  # starts without pooling at most
    tol: float = 1e-6  # per unit of weight; the mixtures to compare differ by little
    # Iterations between changes of the gate's precision.
    stretches: tuple = (10, 10, 20, 40, 80, 160, 160)


WHOLE = Effort()
IN_FOLD = Effort(tol=1e-5, stretches=(10, 10, 20))  # from what was found on all rows
IN_STACK = Effort(6, 1e-5, WHOLE.stretches[:5])  # of one expert among others
BEHIND = 0.2  # nats a row below the best other expert: more experts then help little
