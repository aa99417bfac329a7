"""How often the number of regimes is the planted one, and what is said where it is not.

Tables in which one regression function is right (errors of many kinds, surfaces, other targets),
tables of regimes, and parallel lines, for the page on regimes. Half a second for each table of
300 rows::

    OMP_NUM_THREADS=1 python tests/benchmarks/regimes.py [n_tables [first_seed [n_rows [kind ...]]]]
"""

import sys
import time
import warnings
from collections import Counter

import numpy as np
import pandas as pd
from scipy import special

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

# What names one function: a rival of the mean, what errors are, or rows and target.
NAMED = "explains the rows", "repeat others", "calibrated", "two values", "few values"
CLOSE = "close call"


def line(X):
    return X @ [1.0, -0.7, 0.4]


def errors(rng, X, size=0.7):
    return size * rng.normal(size=len(X))


def skewed_uneven(rng, X):
    return line(X) + np.exp(0.6 * X[:, 0]) * (rng.exponential(size=len(X)) - 1)


def ratio(rng, X):
    weight, height = 75 + 12 * X[:, 0], 1.7 + 0.1 * X[:, 1]
    return 0.5 * weight / height**2 + 0.2 * X[:, 2] + errors(rng, X)


def codes(rng, X):
    X[:, 0] = rng.integers(3, size=len(X))
    return np.array([0.0, 2.0, 0.5])[X[:, 0].astype(int)] + X[:, 1] + errors(rng, X)


def drift(rng, X):
    year = X[:, 0] = rng.integers(10, size=len(X))
    return (-1 + 0.3 * year) * X[:, 1] + 0.5 * X[:, 2] + errors(rng, X)


def log_normal(rng, X):
    return np.exp(1 + 0.5 * line(X) + np.exp(0.4 * X[:, 2]) * errors(rng, X, 0.4))


def copies(rng, X):
    X[:] = np.repeat(X[::3], 3, axis=0)
    return np.repeat(line(X)[::3] + rng.normal(size=len(X) // 3), 3) + errors(rng, X, 0.1)


def flipped(log_odds, share=0.0):
    def labels(rng, X):
        y = rng.uniform(size=len(X)) < special.expit(log_odds(X))
        return y ^ (rng.uniform(size=len(X)) < share)

    return labels


def counts(rng, X):
    return rng.poisson(np.exp(0.8 + 0.6 * X[:, 0] - 0.3 * X[:, 1])).astype(float)


def mixed_counts(rng, X):
    mean = np.exp(1 + 0.6 * X[:, 0] - 0.3 * X[:, 1])
    return rng.poisson(mean * rng.gamma(2, 0.5, size=len(X))).astype(float)


def saturating(rng, X):
    return 4 * np.tanh(1.5 * X[:, 0]) + X[:, 1] + errors(rng, X)


def percentages(rng, X):
    return 100 * special.expit(0.5 + 1.2 * X[:, 0] - X[:, 1] + errors(rng, X, 0.3))


def one_line(draw):
    return lambda rng, X: line(X) + draw(rng, X)


def outliers(rng, X):
    return rng.normal(size=len(X)) * np.where(rng.uniform(size=len(X)) < 0.02, 8, 1)


def of_levels(n_levels):
    """A line whose target is one of so many values."""

    def target(rng, X):
        values = line(X) + rng.logistic(size=len(X)) / 2
        return np.digitize(values, np.linspace(-1.5, 1.5, n_levels + 1)[1:-1]).astype(float)

    return target


LINE = {
    "Gaussian": one_line(errors),
    "Student-t of 3 df": one_line(lambda rng, X: rng.standard_t(3, size=len(X))),
    "exponential": one_line(lambda rng, X: rng.exponential(size=len(X))),
    "Gaussian of sd exp(0.5 x0)": one_line(lambda rng, X: np.exp(X[:, 0] / 2) * errors(rng, X)),
    "Gaussian of sd 0.3 + abs(x0)": one_line(lambda rng, X: (0.3 + abs(X[:, 0])) * errors(rng, X)),
    "2 % outliers of eight times the sd": one_line(outliers),
    "Gaussian; rounded to whole numbers": lambda rng, X: np.round(line(X) + errors(rng, X, 1.0)),
    "of two values": of_levels(2),
    "of five values": of_levels(5),
}

ONE_FUNCTION = {
    "an interaction": lambda rng, X: X[:, 0] + X[:, 1] + X[:, 0] * X[:, 1] + errors(rng, X),
    "two squares": lambda rng, X: X[:, 0] ** 2 + X[:, 1] ** 2 + X[:, 2] + errors(rng, X),
    "a ratio": ratio,
    "a slope that drifts with the year": drift,
    "codes 0, 1 and 2": codes,
    "saturating": saturating,
    "percentages": percentages,
    "Poisson counts": counts,
    "counts mixed by a gamma": mixed_counts,
    "log-normal, heteroscedastic": log_normal,
    "errors skewed and heteroscedastic": skewed_uneven,
    "each row three times": copies,
    "classes: an interaction": flipped(lambda X: 2 * (X[:, 0] + X[:, 1] * X[:, 0])),
    "classes: a circle": flipped(lambda X: 3 * (1.5 - X[:, 0] ** 2 - X[:, 1] ** 2)),
    "classes: a square": flipped(lambda X: 3 * (X[:, 0] ** 2 - 1) + X[:, 1]),
    "classes: 15 % of the labels are wrong": flipped(lambda X: 3 * line(X), 0.15),
}


def mixture(slopes, share=(), scale=0.7, heavy=False, uneven=0.0):
    """Lines with these slopes of the first column, and this share of the rows or equal ones."""

    def target(rng, X):
        regime = rng.choice(len(slopes), size=len(X), p=share or None)
        noise = rng.standard_t(3, size=len(X)) if heavy else rng.normal(size=len(X))
        noise = scale * np.exp(uneven * X[:, 1]) * noise
        return np.array(slopes)[regime] * X[:, 0] + 0.5 * X[:, 1] + regime + noise

    return target


def gated(rng, X):
    up = rng.uniform(size=len(X)) < special.expit(3 * X[:, 2])
    return np.where(up, 1 + 2 * X[:, 0], -X[:, 0]) + X[:, 1] + errors(rng, X)


def by_string(rng, X):
    up = rng.integers(2, size=len(X)) == 1
    X[:, 2] = up
    return np.where(up, 2 * X[:, 0], -X[:, 0]) + X[:, 1] + errors(rng, X)


def parallel(distance, share):
    def target(rng, X):
        return line(X) + distance * (rng.uniform(size=len(X)) < share) + rng.normal(size=len(X))

    return target


REGIMES = {
    "two lines": (2, mixture([2.0, -2.0])),
    "two lines, 10 % and 90 %": (2, mixture([2.0, -2.0], (0.1, 0.9), 0.5)),
    "two lines, Student-t of 3 df": (2, mixture([2.0, -2.0], scale=0.5, heavy=True)),
    "two lines, heteroscedastic": (2, mixture([2.0, -2.0], uneven=0.4)),
    "two lines by a column of strings": (2, by_string),
    "two lines with a softmax gate": (2, gated),
    "three lines": (3, mixture([3.0, 0.0, -3.0], scale=0.5)),
    "parallel lines, 3 sd apart, equal shares": (2, parallel(3, 0.5)),
    "parallel lines, 4 sd apart, 30 %": (2, parallel(4, 0.3)),
    "parallel lines, 6 sd apart, 30 %": (2, parallel(6, 0.3)),
}


def found(kind, seed, n_rows):
    """Number of regimes of a table and, where it is not the true one, whether that is named."""
    rng = np.random.default_rng([seed, 7])
    classifies = kind.startswith("classes")
    X = rng.normal(size=(n_rows, 3))
    n_true, target = REGIMES.get(kind, (1, (LINE | ONE_FUNCTION).get(kind)))
    y = target(rng, X)
    if "strings" in kind:
        X = pd.DataFrame(X, columns=["a", "b", "c"])
        X["c"] = np.where(X["c"] > 0, "up", "down")
    Mixture = MixtureOfExpertsClassifier if classifies else MixtureOfExpertsRegressor
    moe = Mixture(random_state=0).fit(X, y)
    said = " ".join(moe.plan_.findings)
    n_found = len(moe.experts_) if classifies else moe.n_regimes_
    if n_found == n_true:
        word = "right"
    else:
        word = "named" if n_true == 1 and any(each in said for each in NAMED) else "wrong"
    more = {CLOSE: CLOSE in said, "may be one": n_true > 1 and "may be no regimes" in said}
    return word, [name for name, is_said in more.items() if is_said], n_found


if __name__ == "__main__":
    given = dict(enumerate(sys.argv))
    n_tables, first, n_rows = (int(given.get(i, of)) for i, of in ((1, 5), (2, 1000), (3, 300)))
    for kind in sys.argv[4:] or [*LINE, *ONE_FUNCTION, *REGIMES]:
        start, words, numbers = time.process_time(), Counter(), []
        for seed in range(first, first + n_tables):
            with warnings.catch_warnings(action="ignore"):
                word, more, number = found(kind, seed, n_rows)
            words.update([word, *more])
            numbers.append(number)
        seconds = (time.process_time() - start) / n_tables
        print(f"{kind}: {dict(words)}, numbers {numbers}, {seconds:.1f} s a table", flush=True)
