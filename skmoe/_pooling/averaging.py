"""Predictions that average over one expert and the number of most evidence.

Of few rows the evidence does not know how many experts there are: a few nats decide, which a few
rows make. Predictions then average over both mixtures, by weights [1]_ in which the log-evidence
counts a fourth, since that of the best of many mixtures is the highest by chance as well, and only
bounds and approximations of it are known.

References
----------
.. [1] J. A. Hoeting, D. Madigan, A. E. Raftery and C. T. Volinsky, "Bayesian model averaging: a
   tutorial", Statistical Science 14 (1999) 382-417.
"""

from dataclasses import dataclass

from scipy import special

from .._em.progress import count
from .._em.settings import FEW_ROWS

TEMPER = 0.25  # part of the log-evidence that counts
PRIOR = 3.0  # nats that more experts than one have to be ahead
LEAST = 0.01  # weight of one expert, below which it is left out


@dataclass(frozen=True)
class Averaging:
    """One expert beside the mixture that was kept."""

    one: object  # PooledProblem of one expert
    weight: float  # of one expert
    n_experts: int  # of the mixture
    n_rows: float  # by weight

    @property
    def note(self):
        """What is averaged and why, a sentence."""
        few = f"Fewer than {FEW_ROWS} rows" if self.n_rows < FEW_ROWS else "As asked for"
        return (
            f"{few}: predictions average over {count(1)} and {self.n_experts}, with the weights "
            f"{self.weight:.2f} and {1 - self.weight:.2f}."
        )


def averaging(best, one, n_rows):
    """The Averaging of ``best`` and the problem that ``one()`` makes, or None."""
    n_experts = best.experts.n_experts
    if n_experts == 1:
        return None
    one = one()
    ahead = n_rows * (best.evidence - one.evidence) - PRIOR
    weight = float(special.expit(-TEMPER * ahead))
    return Averaging(one, weight, n_experts, n_rows) if weight >= LEAST else None
