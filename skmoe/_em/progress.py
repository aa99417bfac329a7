"""Messages while a fit runs, if ``verbose``."""

import time

import numpy as np

SILENCE = 2.0  # seconds between messages of a long search


class Progress:
    """Lines on standard output: one for each stage, start and iteration of a fit.

    Parameters
    ----------
    settings : Settings
        With ``verbose``.
    """

    def __init__(self, settings):
        self.asked = bool(settings.verbose)
        self._n_iter, self._objective = 0, None
        self._spoken = time.monotonic()

    def say(self, what, objective=None, more=""):
        """Print one line, if lines are asked for."""
        if self.asked:
            value = "" if objective is None else f"\t lower bound {objective:.6f}"
            print(f"{what}{value}{more}", flush=True)
            self._spoken = time.monotonic()

    def iteration(self, objective):
        """Tell of one more iteration, if it is one of those to report."""
        self._n_iter += 1
        if self._n_iter == 1:
            self.say("  Iteration 1", objective)
        else:
            gain = objective - self._objective
            self.say(f"  Iteration {self._n_iter}", objective, f"\t gain {gain:.2e}")
        self._objective = objective

    def of_search(self, n_experts):
        """Callable for each iteration of a mixture that is tried; it speaks after some silence."""

        def after(objectives):
            if self.asked and time.monotonic() - self._spoken > SILENCE:
                iteration = f"\t iteration {len(objectives)}"
                self.say(f"  Trying {count(n_experts)}", objectives[-1], iteration)

        return after

    def end(self, run, objective):
        """Tell how the last iterations ended."""
        ended = "Converged" if run.converged else "Stopped"
        self.say(f"{ended} after {count(self._n_iter, 'iteration')}", objective)


def count(number, what="expert"):
    """A number of things in words: "1 expert", "2 experts"."""
    return f"{number} {what}" if number == 1 else f"{number:,} {what}s"


def compared(criterion, values, chosen=None, what="expert"):
    """A sentence about numbers of experts, or of ``what``, of which the chosen one is first.

    ``values`` are in nats over all rows, higher is better. ``chosen`` None is the best; a larger
    number that is better than the chosen one was so by no more than chance.
    """
    best = max(values, key=values.get) if chosen is None else chosen
    finite = [k for k in values if k != best and np.isfinite(values[k])]  # others have no maximum
    lead = {k: values[best] - values[k] for k in sorted(finite, key=values.get, reverse=True)}
    ahead = [f"of {k} by {nats:.1f}" for k, nats in lead.items() if nats >= 0]
    behind = [f"{-nats:.1f} behind {k}" for k, nats in lead.items() if nats < 0]
    said = f"{criterion}: {count(best, what)}"
    if not lead:
        return f"{said}, and no other number was tried."
    if ahead:
        said += f", ahead {', '.join(ahead)} (nats over all rows)"
    if behind:
        said += f"; {', '.join(behind)}, which is too little for one more"
    return f"{said}."


def during_start(number):
    """Callable for each iteration of a start; it prints how far a long one is."""
    spoken = time.monotonic()

    def after(objectives):
        nonlocal spoken
        if time.monotonic() - spoken > SILENCE:
            print(f"  Start {number + 1}\t lower bound {objectives[-1]:.6f}\t goes on", flush=True)
            spoken = time.monotonic()

    return after


def print_start(number, objectives):
    """Tell of one start, from whatever process it runs in."""
    n_iter = count(len(objectives), "iteration")
    print(f"  Start {number + 1}\t lower bound {max(objectives):.6f}\t {n_iter}", flush=True)
