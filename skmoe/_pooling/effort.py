"""How hard mixtures of pooled experts are looked for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """Limits of a search; the defaults are those of a mixture that stands alone."""

    n_init: float = float("inf")  # starts without pooling at most
    searches: int = 1  # rounds of more such starts, at most: moves follow
    starts_anew: bool = True  # whether other numbers of experts are started anew, not only split
    tol: float = 1e-6  # per unit of weight; the mixtures to compare differ by little
    # Iterations between changes of the gate's precision.
    stretches: tuple = (10, 10, 20, 40, 80, 160, 160)


WHOLE = Effort()
IN_FOLD = Effort(tol=1e-5, stretches=(10, 10, 20))  # from what was found on all rows
IN_STACK = Effort(6, 0, False, 1e-5, WHOLE.stretches[:5])  # of one expert among others
BEHIND = 0.2  # nats a row behind the best of the others, who then has little use for more


def effort_of(settings, is_searched):
    """The effort that settings ask for; less in a stack where the number of experts is sought."""
    if settings.in_fold:
        return IN_FOLD
    return IN_STACK if is_searched and not settings.finds_regimes else WHOLE
