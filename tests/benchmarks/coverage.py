"""Coverage of the 95 % intervals of ``summary``, for one likelihood after the other.

Each set is simulated from two linear experts behind a softmax gate (or proportions) and fitted from
the planted regimes, for the guide's page on inference. Some minutes for 200 sets of each::

    OMP_NUM_THREADS=1 python tests/benchmarks/coverage.py [n_sets [likelihood ...]]
"""

import sys
import time
import warnings
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import special

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate
from skmoe.likelihoods import Gaussian, RandomEffects

N_SETS, N_ROWS = 200, 500
LINES = np.array([[0.0, 1.0, -0.5], [1.5, -1.0, 0.5]])  # intercept and slopes, by regime
GATE = np.array([-0.3, 0.6, 0.8])  # log-odds of the second regime


@dataclass
class Simulated:
    """Rows with known parameters."""

    X: np.ndarray
    y: np.ndarray
    regime: np.ndarray  # (n_samples,): number of the expert that made each row
    truth: list  # parameters of each expert that has any, as its part of the summary has them
    gate: np.ndarray  # log-odds of the second regime
    facts: dict = field(default_factory=dict)  # what else ``fit`` is told of the rows
    params: dict = field(default_factory=dict)  # of the mixture
    cov: str = "observed"  # of the summary


def regimes(rng, n_rows=N_ROWS):
    """Columns, regimes behind a soft border, and the predictors of all rows in theirs."""
    X = rng.normal(size=(n_rows, 2))
    design = np.column_stack([np.ones(n_rows), X])
    regime = (rng.uniform(size=n_rows) < special.expit(design @ GATE)).astype(int)
    return X, regime, np.einsum("ij,ij->i", design, LINES[regime])


def lines_with(*beside):
    """Coefficients of both experts, with what stands beside them: a pair of numbers each."""
    return list(np.column_stack([LINES, *beside]))


def binomial(rng):
    X, regime, log_odds = regimes(rng)
    trials = rng.integers(5, 30, size=N_ROWS)
    y = rng.binomial(trials, special.expit(log_odds))
    params = {"likelihood": "binomial"}
    return Simulated(X, y, regime, list(LINES), GATE, {"trials": trials}, params)


def censored_log_normal(rng):
    X, regime, mean = regimes(rng)
    times = np.exp(mean + np.array([0.5, 0.7])[regime] * rng.normal(size=N_ROWS))
    ends = rng.exponential(8.0, size=N_ROWS)  # of what is observed
    upper = np.where(times <= ends, times, np.inf)
    truth = lines_with(np.log([0.5, 0.7]))
    params = {"likelihood": "log_normal"}
    return Simulated(X, np.minimum(times, ends), regime, truth, GATE, {"upper": upper}, params)


def student_t(rng):
    X, regime, mean = regimes(rng)
    scale = np.array([0.4, 0.3])
    y = mean + scale[regime] * rng.standard_t(4, size=N_ROWS)
    return Simulated(X, y, regime, lines_with(np.log(scale)), GATE, {}, {"likelihood": "student_t"})


def shared_scale(rng):
    X, regime, mean = regimes(rng)
    y = mean + 0.5 * rng.normal(size=N_ROWS)
    truth = lines_with(np.log([0.5, 0.5]))
    return Simulated(X, y, regime, truth, GATE, {}, {"likelihood": Gaussian("shared")})


def random_intercept(rng):
    n_subjects = 120
    subject = np.repeat(np.arange(n_subjects), 5)
    X = rng.normal(size=(len(subject), 2))
    of_subjects = (rng.uniform(size=n_subjects) < 0.4).astype(int)
    regime = of_subjects[subject]
    within, between = np.array([0.5, 0.4]), np.array([0.8, 0.6])
    y = LINES[regime, 0] + np.einsum("ij,ij->i", X, LINES[regime, 1:])
    y += (between[of_subjects] * rng.normal(size=n_subjects))[subject]
    y += within[regime] * rng.normal(size=len(subject))
    truth = lines_with(np.log(within), np.log(between))
    params = {"gate": ConstantGate(), "likelihood": RandomEffects()}
    gate = special.logit([0.4])
    return Simulated(X, y, regime, truth, gate, {"subject": subject}, params)


def random_slopes(rng):
    n_subjects = 200
    subject = np.repeat(np.arange(n_subjects), 5)
    X = rng.normal(size=(len(subject), 2))
    of_subjects = (rng.uniform(size=n_subjects) < 0.4).astype(int)
    regime = of_subjects[subject]
    within, correlation = np.array([0.5, 0.4]), np.array([0.3, -0.3])
    scales = np.array([[0.8, 0.5], [0.6, 0.4]])  # of intercept and slope, by regime
    effects = rng.normal(size=(n_subjects, 2))
    of_subject = correlation[of_subjects]
    effects[:, 1] = of_subject * effects[:, 0] + np.sqrt(1 - of_subject**2) * effects[:, 1]
    shift = (scales[of_subjects] * effects)[subject]
    y = LINES[regime, 0] + shift[:, 0] + np.einsum("ij,ij->i", X, LINES[regime, 1:])
    y += shift[:, 1] * X[:, 0] + within[regime] * rng.normal(size=len(subject))
    truth = lines_with(np.log(within), np.log(scales), correlation)
    params = {"gate": ConstantGate(), "likelihood": RandomEffects([0])}
    gate = special.logit([0.4])
    return Simulated(X, y, regime, truth, gate, {"subject": subject}, params)


def weibull(rng):
    X, regime, location = regimes(rng)
    shape = np.array([2.5, 1.5])
    times = np.exp(location + np.log(rng.exponential(size=N_ROWS)) / shape[regime])
    ends = rng.exponential(8.0, size=N_ROWS)
    facts = {"upper": np.where(times <= ends, times, np.inf)}
    truth = np.array(lines_with(np.log(shape)))
    truth[:, 0] += special.gammaln(1 + 1 / shape)  # means, in place of locations
    y, params = np.minimum(times, ends), {"likelihood": "weibull"}
    return Simulated(X, y, regime, list(truth), GATE, facts, params)


def beta(rng):
    X, regime, log_odds = regimes(rng)
    rate, size = special.expit(log_odds), np.array([8.0, 30.0])
    y = np.clip(rng.beta(size[regime] * rate, size[regime] * (1 - rate)), 1e-9, 1 - 1e-9)
    truth = lines_with(np.log(size))
    return Simulated(X, y, regime, truth, GATE, {}, {"likelihood": "beta"})


def pooled(rng, n_rows=60, n_levels=0, cov="observed"):
    X, regime, mean = regimes(rng, n_rows)
    y, truth, gate = mean + 0.4 * rng.normal(size=n_rows), LINES, GATE
    if n_levels:
        X = pd.DataFrame(X, columns=["a", "b"])
        X["s"] = rng.permutation(np.arange(n_rows) % n_levels).astype(str)
        # The first level is as frequent as any, and thus the reference.
        truth, gate = (np.pad(of, [(0, 0), (0, n_levels)]) for of in (LINES, GATE[None]))
    truth = list(np.column_stack([truth, np.log([0.4, 0.4])]))
    params = {"training": "pooled", "init": "auto"}
    return Simulated(X, y, regime, truth, np.ravel(gate), {}, params, cov)


def pooled_with_levels(rng):
    return pooled(rng, n_levels=3)


def pooled_sandwich(rng):
    return pooled(rng, cov="sandwich")


def number_chosen(rng, n_rows=150, slope=1.0):
    X = rng.normal(size=(n_rows, 3))
    regime = (rng.uniform(size=n_rows) < 0.5).astype(int)
    truth = np.array([[0.0, slope, 0.5, 0.0, 0.0], [0.0, -slope, 0.5, 0.0, 0.0]])  # log sd last
    y = np.einsum("ij,ij->i", X, truth[regime, 1:4]) + rng.normal(size=n_rows)
    params = {"training": "auto", "n_experts": "auto", "init": "auto"}
    params |= {"gate": ConstantGate(), "n_init": 10}
    return Simulated(X, y, regime, list(truth), np.zeros(1), {}, params)


def number_chosen_many_rows(rng):
    return number_chosen(rng, n_rows=400)


def few_subjects(rng):
    n_subjects = 15
    subject, X = np.repeat(np.arange(n_subjects), 4), rng.normal(size=(4 * n_subjects, 2))
    y = LINES[0, 0] + X @ LINES[0, 1:] + 0.6 * rng.normal(size=n_subjects)[subject]
    y += 0.7 * rng.normal(size=len(subject))
    truth, params = [[*LINES[0], np.log(np.hypot(0.6, 0.7))]], {"n_experts": 1, "init": "auto"}
    none, facts = np.zeros(len(y), dtype=int), {"subject": subject}
    return Simulated(X, y, none, truth, np.empty(0), facts, params, "sandwich")


SIMULATIONS = [
    pooled,
    pooled_with_levels,
    pooled_sandwich,
    number_chosen,
    number_chosen_many_rows,
    few_subjects,
    weibull,
    beta,
    binomial,
    censored_log_normal,
    student_t,
    shared_scale,
    random_intercept,
    random_slopes,
]


def fitted(simulated):
    """Fitted from the planted regimes, or from the starts of the mixture."""

    def planted(X, y, n_experts, random_state):
        return np.eye(2)[simulated.regime]

    params = {"n_experts": 2, "training": "em", "init": planted, "n_init": 1, "tol": 1e-4}
    moe = MixtureOfExpertsRegressor(**params | simulated.params, random_state=0)
    return moe.fit(simulated.X, simulated.y, **simulated.facts)


def covered(simulated):
    """Whether the interval of each parameter holds it, of the regimes in their order; or NaN."""
    moe = fitted(simulated)
    rows = simulated.X, simulated.y
    summary = moe.summary(*rows, **simulated.facts, cov=simulated.cov, by="expert")
    resp = moe.responsibilities(*rows, **simulated.facts, by="expert")
    swapped = len(simulated.truth) == 2 and resp[simulated.regime == 0, 0].mean() < 0.5
    order = -1 if swapped else 1
    truth = [np.ravel(each) for each in simulated.truth[::order]]
    holds = np.concatenate([*truth, order * simulated.gate])
    if len(holds) != len(summary.lower):
        raise ValueError("one regime")
    holds = (summary.lower <= holds) & (holds <= summary.upper)
    holds = np.where(np.isnan(summary.std_error), np.nan, holds)
    if swapped:
        half = len(truth[0])
        holds[: 2 * half] = np.roll(holds[: 2 * half], half)
    return holds


def measure(simulate, n_sets):
    """Print the coverage over all parameters, the lowest and highest of one, and refusals."""
    found, refused, start = [], 0, time.process_time()
    for seed in range(n_sets):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found.append(covered(simulate(np.random.default_rng([seed, 5]))))
            except ValueError as error:
                refused += 1
                print(f"  {error}"[:100], file=sys.stderr)
    of_each = np.nanmean(found, axis=0)
    n_gate = len(simulate(np.random.default_rng(0)).gate)
    print(
        f"{simulate.__name__}: {len(of_each)} parameters, {n_sets} sets, {refused} refused, "
        f"coverage {np.nanmean(found):.1%} ({np.nanmin(of_each):.1%} to {np.nanmax(of_each):.1%}), "
        f"gate {np.round(of_each[len(of_each) - n_gate :], 3)}, "
        f"{(time.process_time() - start) / n_sets:.2f} s a set",
        flush=True,
    )


if __name__ == "__main__":
    n_sets = int(sys.argv[1]) if len(sys.argv) > 1 else N_SETS
    names = sys.argv[2:] or [simulate.__name__ for simulate in SIMULATIONS]
    for simulate in SIMULATIONS:
        if simulate.__name__ in names:
            measure(simulate, n_sets)
