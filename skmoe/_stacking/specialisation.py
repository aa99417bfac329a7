"""Whether experts of their own rows are worth their while, by the out-of-fold log-density."""

from dataclasses import dataclass

import numpy as np

from .._reports.by_regime import in_lines

STANDARD_ERRORS = 1.0  # standard errors that the gain of specialised experts must exceed


@dataclass(frozen=True)
class Specialisation:
    """Out-of-fold log-densities with specialised experts and without, and what follows."""

    # Mean out-of-fold log-density without: of the generalist alone, or of the stack of a list.
    score_without: float
    score_with: float  # that of the mixture of the generalist and specialists, or of EM
    standard_error: float  # standard error of the difference, over the rows
    of_list: bool = False  # whether the experts are a list of named ones

    @classmethod
    def of(cls, log_density_without, log_density_with, weight, *, of_list=False):
        """From the log-densities (n,) of the rows, and their weights."""
        scores = np.average([log_density_without, log_density_with], axis=1, weights=weight)
        deviations = log_density_with - log_density_without - (scores[1] - scores[0])
        error = np.sqrt(weight @ deviations**2) / weight.sum()
        return cls(float(scores[0]), float(scores[1]), float(error), of_list)

    @property
    def gain(self):
        """Difference of the two scores."""
        return self.score_with - self.score_without

    @property
    def kept(self):
        """Whether the gain exceeds its standard error, so that specialised experts were kept."""
        return self.gain > STANDARD_ERRORS * self.standard_error

    def __str__(self):
        if self.kept:
            verdict = "kept"
        else:
            verdict = "left out"
        names = ("Specialists", "the generalist alone"), ("Experts by EM", "experts of all rows")
        what, other = names[self.of_list]
        what = f"{what} were {verdict}: compared with {other}"
        change = f"{self.gain:+.3f} a row (standard error {self.standard_error:.3f})"
        return in_lines(f"{what}, they change the out-of-fold log-density by {change}.")
