"""Random mixtures on random data, extremes included: each is refused by a clear error or right.

``python tests/fuzz.py --fits 2000 --seed 0`` goes on until so many fits were accepted and prints
every fault with the seed that brings it back: ``python tests/fuzz.py --case SEED``. With
``--tables`` the data are DataFrames as people have them, and the calls next to the default.
"""

import argparse
import copy
import pickle
import sys
import time
import traceback
import warnings
from collections import Counter

import numpy as np
import pandas as pd
from scipy import sparse, special
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge
from sklearn.model_selection import GroupKFold, KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor, metrics
from skmoe.gates import ConstantGate, GaussianGate, SoftmaxGate, TreeGate
from skmoe.likelihoods import (
    Categorical,
    Gamma,
    Gaussian,
    NegativeBinomial,
    Poisson,
    StudentT,
)

REFUSALS = (ValueError, TypeError)
SLOW = 30  # seconds, which no case should take
FEW = 4  # rows, of which everything is asked
LEVELS = np.array([0.01, 0.1, 0.5, 0.9, 0.99])


class Fault(AssertionError):
    """Something that must hold does not."""


def ensure(holds, what):
    if not np.all(holds):
        raise Fault(what)


# What is fitted -----------------------------------------------------------------------------


class Case:
    """A mixture, its data and what goes with them, all drawn from one seed."""

    is_table = False

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.is_classifier = self.chance(0.3)
        self.n = int(self.rng.integers(6, 60))
        self.target = self.pick("real", "real", "real", "counts", "positive", "rates", "outputs")
        self.X, plain = self._rows()
        self.y = self._labels(plain) if self.is_classifier else self._numbers(plain)
        self.estimator = self._estimator(plain)
        self.fit_params = self._fit_params()
        self.new = self._new_rows()

    def chance(self, share):
        return self.rng.random() < share

    def pick(self, *options):
        return options[self.rng.integers(len(options))]

    def unit(self):
        """1 as a rule, else any scale that numbers may have."""
        return 1.0 if self.chance(0.7) else 10.0 ** self.rng.uniform(-100, 100)

    def spread(self, numbers):
        """Numbers over far more orders of magnitude than they have digits, in some cases."""
        sizes = 10.0 ** self.rng.uniform(-60, 60, size=numbers.shape)
        return self.pick(
            np.sign(numbers) * sizes,
            numbers * 10.0 ** self.rng.integers(-60, 60),
            np.where(np.arange(len(numbers)) == 0, 1e100, numbers.T).T,
            np.where(np.arange(len(numbers)) % 2, 5e-324, numbers.T).T,
            numbers + 1e15,
        )

    def _rows(self):
        n_columns = self.pick(1, 2, 3, 5, self.n + 3 if self.n < 20 else 4)
        plain = self.rng.normal(size=(self.n, n_columns))
        if self.chance(0.2):
            plain[:, -1] = self.pick(0.0, 1.0, -1e9)
        if self.chance(0.15) and n_columns > 1:
            plain[:, 1] = plain[:, 0]
        if self.chance(0.2):
            plain = plain[self.rng.integers(self.n // 3 + 1, size=self.n)]
        if self.chance(0.15):
            plain = plain.round()
        X = plain * self.unit()
        if self.chance(0.15):
            X = X * [self.unit() for _ in range(n_columns)]
        if self.chance(0.1):
            X = X + self.pick(1e3, 1e6, -1e9)
        if self.chance(0.1):
            X[:, -1] = self.spread(plain[:, -1])
        self.kind = self.pick("float64", "float64", "float32", "sparse", "table", "mixed", "list")
        return self._as_kind(X), plain

    def _as_kind(self, X):
        if self.kind == "float32":
            with np.errstate(over="ignore"):
                return X.astype(np.float32)
        if self.kind == "sparse":
            return sparse.csr_array(np.where(X > np.median(X), X, 0.0))
        if self.kind == "list":
            return X.tolist()
        if self.kind in ("table", "mixed"):
            table = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
            if self.kind == "mixed":
                town = self.rng.choice(["Rome", "Oslo", "Lima"], len(X)).astype(object)
                table["town"] = np.where(self.rng.random(len(X)) < 0.1, None, town)
                table.loc[self.rng.random(len(X)) < 0.1, "x0"] = np.nan
            return table
        return X

    def _signal(self, plain):
        first, last = plain[:, 0], plain[:, -1]
        return np.where(first > 0, 2 * last, 1 - last) + 0.2 * self.rng.normal(size=len(plain))

    def _numbers(self, plain):
        signal = self._signal(plain)
        if self.target == "counts":
            counts = self.rng.poisson(np.exp(np.clip(signal, -3, 5))).astype(self.pick(int, float))
            if self.chance(0.15):
                counts = np.floor(10.0 ** self.rng.uniform(-3, self.pick(6, 15), size=self.n))
            return counts
        if self.target == "positive":
            positive = np.exp(np.clip(signal, -20, 20)) * self.unit()
            return np.abs(self.spread(positive)) if self.chance(0.15) else positive
        if self.target == "rates":
            return special.expit(np.clip(signal, -20, 20))
        if self.target == "outputs":
            signal = np.column_stack([signal, -self._signal(plain)])
        if self.chance(0.1):
            signal[:] = self.pick(0.0, 3.0, -1e12)
        if self.chance(0.1):
            signal[0] = 1e4
        if self.chance(0.1):
            signal = signal.round()
        if self.chance(0.15):
            return self.spread(signal)
        return signal * self.unit()

    def _labels(self, plain):
        names = self.pick(["no", "yes"], [0, 1], ["a", "b", "c"], [10, 20, 30, 40])
        ranks = np.argsort(np.argsort(self._signal(plain)))
        return np.array(names)[ranks * len(names) // len(ranks)]

    def _expert(self):
        if self.kind == "mixed":
            return None
        if self.kind == "sparse":
            if self.is_classifier:
                return self.pick(LogisticRegression(), DecisionTreeClassifier(max_depth=2))
            return self.pick(Ridge(), DecisionTreeRegressor(max_depth=2))
        if self.is_classifier:
            return self.pick(
                None,
                None,
                LogisticRegression(),
                LogisticRegression(C=self.pick(1e-3, 1e3)),
                DecisionTreeClassifier(max_depth=2),
                RandomForestClassifier(self.pick(3, 20), max_depth=3),
                KNeighborsClassifier(2),
                GaussianNB(),
                make_pipeline(StandardScaler(), LogisticRegression()),
                MixtureOfExpertsClassifier(n_experts=2, n_init=1, max_iter=3),
            )
        return self.pick(
            None,
            None,
            None,
            LinearRegression(),
            Ridge(self.pick(0.0, 1.0, 1e3)),
            Ridge(fit_intercept=False),
            DecisionTreeRegressor(max_depth=2),
            RandomForestRegressor(self.pick(3, 20), max_depth=3),
            KNeighborsRegressor(2),
            DummyRegressor(),
            PoissonRegressor(),
            make_pipeline(StandardScaler(), LinearRegression()),
            MixtureOfExpertsRegressor(n_experts=2, n_init=1, max_iter=3),
        )

    def _gate(self):
        if self.kind in ("mixed", "sparse"):
            return self.pick(None, None, ConstantGate(), SoftmaxGate(l1_ratio=0.5))
        return self.pick(
            None,
            None,
            SoftmaxGate(alpha=self.pick(0.0, 1e-6, 1.0, 1e3)),
            SoftmaxGate(alpha=0.1, l1_ratio=self.pick(0.5, 1.0)),
            GaussianGate(self.pick("full", "diag", "tied")),
            ConstantGate(),
            TreeGate(),
            SoftmaxGate(load_balance=self.pick(1e-6, 0.1, 10.0)),
            GaussianGate(load_balance=0.1),
            ConstantGate(load_balance=0.1, target_load=self.rng.uniform(0.1, 1, size=3)),
            LogisticRegression(),
            DecisionTreeClassifier(max_depth=2),
            GaussianNB(),
        )

    def _likelihood(self):
        any_target = [
            "gaussian",
            "student_t",
            Gaussian(self.pick("expert", "shared", "auto", DecisionTreeRegressor(max_depth=2))),
            StudentT(df=self.pick(2.5, 4.0, "estimate")),
        ]
        if self.target == "outputs":
            any_target.append(Gaussian(covariance="full"))
        if self.target == "counts":
            any_target += ["poisson", "negative_binomial", Poisson(), NegativeBinomial()] * 2
        if self.target == "positive":
            any_target += ["gamma", "inverse_gaussian", "log_normal", "weibull", Gamma()]
        if self.target == "rates":
            any_target += ["beta"] * 4
        return self.pick(*any_target)

    def _estimator(self, plain):
        rng = self.rng
        n_experts = int(rng.integers(1, 5))
        expert = self._expert()
        if self.chance(0.2):
            experts = [self._expert() for _ in range(n_experts)]
            default = LogisticRegression() if self.is_classifier else LinearRegression()
            if self.chance(0.3) and self.kind != "mixed":
                experts[0] = default
                try:
                    experts[0] = FrozenEstimator(clone(default).fit(self.X, self.y))
                except REFUSALS:
                    pass
            expert = [
                (f"e{k}", default if each is None else each) for k, each in enumerate(experts)
            ]
        params = {
            "experts": expert,
            "n_experts": "auto" if isinstance(expert, list) else n_experts,
            "gate": self._gate(),
            "n_init": self.pick(1, 1, 2, 6),
            "max_iter": self.pick(1, 3, 10),
            "random_state": int(rng.integers(1000)),
        }
        some = {
            "cv": self.pick(False, 2, 3, "oob", KFold(3)),
            "n_experts": "auto",
            "training": self.pick("em", "pooled", "stack", "specialists"),
            "top_k": self.pick(1, 2, 10),
            "tol": self.pick(0.0, 1e-2),
            "warm_start": True,
            "forget_factor": self.pick(0.9, 1e-3),
            "init": self.pick("kmeans_x", "scattered", "functions", "residuals", _halves),
        }
        if self.is_classifier:
            some["likelihood"] = Categorical(
                calibration=self.pick("temperature", "smoothing", None)
            )
            some["class_weight"] = "balanced"
        else:
            params["likelihood"] = self._likelihood()
            if self.chance(0.1) and not isinstance(expert, list):
                params["likelihood"] = [self._likelihood() for _ in range(n_experts)]
        params |= {name: value for name, value in some.items() if self.chance(0.15)}
        kind = MixtureOfExpertsClassifier if self.is_classifier else MixtureOfExpertsRegressor
        return kind(**params)

    def _weights(self):
        weight = self.pick(
            self.rng.uniform(size=self.n),
            self.rng.integers(0, 3, size=self.n).astype(float),
            np.full(self.n, 1 / self.n),
            np.full(self.n, 10.0 ** self.rng.uniform(-21, 21)),
            10.0 ** self.rng.uniform(-12, 12, size=self.n),
            np.where(np.arange(self.n) == 0, 1e8, 1.0),
            (np.arange(self.n) < 3).astype(float),
        )
        return weight

    def _fit_params(self):
        params = {}
        if self.chance(0.3):
            params["sample_weight"] = self._weights()
        if self.chance(0.15):
            ids = self.rng.integers(self.n // 2 + 1, size=self.n)
            params["subject"] = self.pick(ids, np.array([f"s{i}" for i in ids], dtype=object))
            if self.chance(0.7):
                self.estimator.set_params(gate=ConstantGate())
        elif self.chance(0.1):
            params["groups"] = self.rng.integers(5, size=self.n)
            if self.chance(0.5):
                self.estimator.set_params(cv=GroupKFold(3))
        counts = str(getattr(self.estimator, "likelihood", "")).lower()
        if counts.startswith(("poisson", "negative")) and self.chance(0.3):
            params["exposure"] = self.rng.uniform(0.1, 10, size=self.n)
        return params

    def _new_rows(self):
        """Rows to predict: some of the old ones, and far ones."""
        X = self.X
        if self.kind == "list":
            return (np.asarray(X)[:FEW] * self.pick(1.0, 10.0)).tolist()
        if self.kind == "mixed":
            return X.iloc[:FEW]
        return X[:FEW] * self.pick(1.0, 10.0)


def _halves(X, y, n_experts, random_state):
    """A start of the user's own."""
    resp = np.full((len(y), n_experts), 0.1)
    resp[np.arange(len(y)), np.arange(len(y)) % n_experts] = 1.0
    return resp


COLUMNS = ["number", "strings", "strings", "category", "boolean", "dates", "integers", "codes"]
COLUMNS += ["constant", "many levels", "identifiers"]
TOWNS = np.array(["Rome", "Oslo", "Lima", "Quito", ""], dtype=object)
LABELS = np.array(["x0", "intercept", "x0 missing", "home=town", "x1", "errors"], dtype=object)


class TableCase(Case):
    """A table as people have it, a target of effects that interact, and a call near the default."""

    is_table, kind = True, "mixed"

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.n = int(self.rng.integers(20, self.pick(60, 300)))
        self.target = self.pick("real", "real", "counts", "rounded", "two", "three")
        self.is_classifier = self.target in ("two", "three")
        columns = [self._column(self.pick(*COLUMNS)) for _ in range(self.pick(1, 2, 3, 4, 6))]
        self.X = pd.DataFrame(dict(enumerate(values for values, _ in columns)))
        if self.chance(0.8):
            self.X.columns = (
                [f"x{j}" for j in self.X] if self.chance(0.7) else LABELS[self.X.columns]
            )
        self.y = self._table_target([effect for _, effect in columns])
        if self.chance(0.2):
            self.X.index = self.rng.permutation(self.n) + 7
        self.estimator = self._estimator_of_tables()
        self.fit_params = {"sample_weight": self._table_weights()} if self.chance(0.15) else {}
        self.new = self._new_table()

    def _column(self, kind):
        """Values of a column, a Series, and their effect on the target, an array."""
        codes = self.rng.integers(self.pick(2, 3, 4), size=self.n)
        if self.chance(0.1):
            codes[: self.n - 2] = 0  # a level that is rare
        effect = self.rng.normal(size=5)[codes]
        if kind in ("number", "integers"):
            effect = self.rng.normal(size=self.n)
            values = pd.Series(effect * self.pick(1.0, 1e4) + self.pick(0.0, 50.0))
            if kind == "integers":
                values = values.round().astype(self.pick("int64", "Int64", "float32"))
        elif kind == "strings":
            values = pd.Series(TOWNS[codes], dtype=self.pick(object, "string", "str"))
        elif kind == "category":
            towns = pd.Categorical.from_codes(codes, TOWNS, ordered=self.chance(0.3))
            values = pd.Series(towns if self.chance(0.7) else towns.remove_unused_categories())
        elif kind == "boolean":
            values = pd.Series(codes > 0).astype(self.pick(bool, bool, "boolean", object))
        elif kind == "dates":
            days = self.rng.integers(700, size=self.n)
            values = pd.Timestamp("2023-05-01") + pd.Series(pd.to_timedelta(days, unit="D"))
            effect = days / 350 - 1
        elif kind == "codes":
            values = pd.Series(codes)
        elif kind == "constant":
            values, effect = pd.Series([self.pick("same", 1.0, np.nan, True)] * self.n), 0 * effect
        elif kind == "many levels":
            codes = self.rng.integers(40, size=self.n)
            values, effect = pd.Series([f"L{code}" for code in codes]), np.sin(codes)
        else:
            values = pd.Series([f"id-{code}" for code in self.rng.permutation(self.n)])
        if self.chance(0.25):
            values = values.mask(self.rng.random(self.n) < self.pick(0.02, 0.2, 0.9))
            if values.dtype == object and self.chance(0.5):
                values = values.where(values.notna(), None)
        return values, effect

    def _table_target(self, effects):
        """Effects add up, and the first two multiply, so that experts differ; or there are none."""
        signal = np.sum(effects, axis=0) + self.pick(0.0, 3.0) * effects[0] * effects[-1]
        signal = self.pick(0.0, 1.0, 1.0, 1.0) * signal
        signal = signal + self.pick(0.05, 0.5, 1.0) * self.rng.normal(size=self.n)
        if self.target == "counts":
            return self.rng.poisson(np.exp(np.clip(signal, -3, 4)))
        if self.target == "rounded":
            return signal.round(self.pick(0, 1))
        if self.target == "real":
            return self.pick(signal, np.exp(signal), pd.Series(signal * 1e5 + 1e6))
        names = self.pick(["no", "yes"], [False, True], [0, 1])
        if self.target == "three":
            names = self.pick(["low", "medium", "high"], [1, 2, 3])
        cuts = np.quantile(signal, self.pick([0.5, 0.8], [0.05, 0.5])[: len(names) - 1])
        labels = np.array(names)[np.digitize(signal, cuts)]
        return pd.Series(labels, dtype="category") if self.chance(0.2) else labels

    def _table_weights(self):
        return self.pick(self.rng.uniform(size=self.n), self.rng.integers(1, 4, size=self.n))

    def _estimator_of_tables(self):
        """The default, with one thing changed or two."""
        experts = [Ridge(), HistGradientBoostingRegressor(max_iter=10), DecisionTreeRegressor()]
        likelihoods = ["gaussian", "student_t"]
        if self.is_classifier:
            experts = [LogisticRegression(), HistGradientBoostingClassifier(max_iter=10)]
            likelihoods = ["auto", "categorical"]
        if self.target == "counts":
            likelihoods = ["poisson", "negative_binomial"]
        some = {
            "n_experts": self.pick(1, 2, 3),
            "likelihood": self.pick(*likelihoods),
            "experts": self.pick(*experts),
            "gate": self.pick(ConstantGate(), SoftmaxGate(alpha=1.0), TreeGate()),
            "training": "em",
            "n_init": 2,
        }
        params = {name: value for name, value in some.items() if self.chance(0.12)}
        kind = MixtureOfExpertsClassifier if self.is_classifier else MixtureOfExpertsRegressor
        return kind(random_state=int(self.rng.integers(1000)), **params)

    def _new_table(self):
        """Some of the rows, of which one has levels that nobody has seen, and one has nothing."""
        new = self.X.iloc[:FEW].copy()
        for label in new:
            if isinstance(new[label].iloc[0], str):
                new[label] = new[label].astype(object)
                new.loc[new.index[0], label] = "Atlantis"
        if self.chance(0.5):
            new = new.mask(np.arange(FEW)[:, None] == np.full(new.shape[1], 1))
        return new


# What must hold -----------------------------------------------------------------------------


def run(seed, kind=Case):
    """One case; "accepted" or the class of the refusal. Raises a Fault, or whatever came."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        case = kind(seed)
        outcome = _fit_and_check(case)
    for warning in caught:
        ours = "skmoe" in warning.filename
        ensure(
            not ours or issubclass(warning.category, UserWarning),
            f"{warning.category.__name__} at {warning.filename}:{warning.lineno}: "
            f"{warning.message}",
        )
    return outcome


def refusal(function, *args, **kwargs):
    """The answer and None, or None and the error where it is a refusal with a message."""
    try:
        return function(*args, **kwargs), None
    except np.linalg.LinAlgError:
        raise
    except REFUSALS as error:
        ensure(len(str(error)) > 10, f"{type(error).__name__} says only {str(error)!r}")
        return None, error


def _fit_and_check(case):
    moe = case.estimator
    before = dict(vars(moe))
    _, error = refusal(moe.fit, case.X, case.y, **case.fit_params)
    if error is not None:
        ensure(_same(vars(moe), before), "a refused fit changed the estimator")
        return f"{type(error).__name__}: {str(error)[:60]}"
    _, error = refusal(moe.predict, case.new)
    if error is not None:
        ensure(case.is_table and "cannot take NaN" in str(error), "new rows are refused")
        case.new = case.X.iloc[:FEW]
    _check_gate(moe, case)
    (_check_classifier if case.is_classifier else _check_regressor)(moe, case)
    _check_reports(moe, case)
    if case.is_table:
        _check_tables(moe, case)
    _check_refusals(moe, case)
    _check_changes(moe, case)
    return "accepted"


def _same(attributes, before):
    return list(attributes) == list(before) and all(
        attributes[name] is value for name, value in before.items()
    )


def _near(one, other, rtol=1e-6, atol=1e-8):
    return np.allclose(one, other, rtol=rtol, atol=atol)


def _rows_given(case):
    """``exposure`` and ``subject`` as the methods take them, with weights for subjects."""
    given = {k: v for k, v in case.fit_params.items() if k in ("exposure", "subject")}
    if "subject" in given and "sample_weight" in case.fit_params:
        given["sample_weight"] = case.fit_params["sample_weight"]
    return given


def _check_gate(moe, case):
    n_experts = len(moe.experts_)
    ensure(np.isfinite(moe.lower_bound_), f"lower_bound_ is {moe.lower_bound_}")
    ensure(_near(moe.expert_load_.sum(), 1), f"loads {moe.expert_load_}")
    ensure(len(moe.lower_bounds_) == moe.n_iter_ >= 1, "lower_bounds_ and n_iter_ disagree")
    for X in (case.X, case.new):
        proba = moe.gate_proba(X)
        ensure(proba.shape[1] == n_experts and (proba >= 0).all(), "gate_proba is no probability")
        ensure(_near(proba.sum(axis=1), 1), "gate_proba does not sum to one")
        experts, weights = moe.route(X)
        ensure(_near(weights.sum(axis=1), 1), "route weights do not sum to one")
        ensure((experts >= 0) & (experts < n_experts), "route to no expert")
    given = _rows_given(case)
    resp = moe.responsibilities(case.X, case.y, **given)
    ensure(resp >= 0, "responsibilities are negative")
    ensure(_near(resp.sum(axis=1), 1), "responsibilities do not sum to one")
    ensure(np.isfinite(moe.log_density(case.X, case.y, **given)), "log_density is not finite")
    score, _ = refusal(moe.score, case.X, case.y)
    ensure(score is None or np.isfinite(score), "score is not finite")


def _check_classifier(moe, case):
    for X in (case.X, case.new):
        proba = moe.predict_proba(X)
        far = 1e-3 if X is case.new else 1e-6  # where those of GaussianNB itself do not
        ensure((proba >= 0) & (proba <= 1 + far), "predict_proba is no probability")
        ensure(_near(proba.sum(axis=1), 1, far), "predict_proba does not sum to one")
        ensure(np.isin(moe.predict(X), moe.classes_), "predict is no class")
        ensure(np.isin(moe.predict_experts(X), moe.classes_), "predict_experts is no class")
        ensure(not np.isnan(moe.predict_log_proba(X)).any(), "predict_log_proba is NaN")
        ensure(np.isin(moe.sample_y(X, 3, random_state=0), moe.classes_), "sample_y is no class")


def _check_regressor(moe, case):
    exposure = case.fit_params.get("exposure")
    for X in (case.X, case.new):
        given = {}
        if exposure is not None:
            given["exposure"] = exposure[: FEW if X is case.new else case.n]
        answer, error = refusal(moe.predict, X, return_std=True, **given)
        if answer is None:  # a negative mean of counts, or an infinite one of logarithms
            ensure(X is case.new or "infinite" in str(error), f"training rows: {error}")
            return
        mean, std = answer
        ensure(np.isfinite(mean), "predict is not finite")
        ensure(std >= 0, "std is negative or NaN")
        ensure(np.isfinite(moe.predict_experts(X)), "predict_experts is not finite")
        draws = moe.sample_y(X, 2, random_state=0, **given)
        ensure(np.isfinite(draws), "sample_y is not finite")
        dist = moe.predict_dist(X[:FEW], **_first(given))
        _check_distribution(dist, mean[:FEW], thorough=case.chance(0.2))
        lower, upper = np.moveaxis(moe.predict_interval(X, 0.8, **given), 1, 0)
        ensure(lower <= upper, "interval is not ordered")
    for score in (metrics.log_score, metrics.pinball_score):
        value, _ = refusal(score, moe, case.X, case.y)
        ensure(value is None or not np.isnan(value), f"{score.__name__} is NaN")


def _first(given):
    return {name: value[:FEW] for name, value in given.items()}


def _check_distribution(dist, mean, thorough):
    axis = 1
    quantiles = dist.ppf(LEVELS)
    ensure(np.isfinite(quantiles), "quantiles are not finite")
    ensure(np.diff(quantiles, axis=axis) >= 0, "quantiles are not ordered")
    columns = [dist.output(j) for j in range(mean.shape[1])] if mean.ndim == 2 else [dist]
    for j, one in enumerate(columns):
        places = quantiles[..., j] if mean.ndim == 2 else quantiles
        last = 0.0
        for level, place in zip(LEVELS, places.T, strict=True):
            below, above = one.cdf(place), one.sf(place)
            ensure(below >= last - 1e-9, "cdf falls")
            ensure((below <= 1 + 1e-9) & (above >= -1e-9), "cdf beyond one")
            ensure(_near(below + above, 1), "cdf and sf do not sum to one")
            spread = places[:, -1] - places[:, 0]
            wide = spread > 1e-8 * np.abs(place)  # else the next float is another probability
            near = 1e-6 * spread  # cdf may jump
            ensure(~wide | (one.cdf(place + near) >= level - 1e-6), f"cdf(ppf({level})) is below")
            ensure(~wide | (one.cdf(place - near) <= level + 1e-6), f"cdf(ppf({level})) is above")
            ensure(~np.isnan(one.logpdf(place)), "logpdf is NaN")
            last = below
        if not thorough:
            continue
        ensure(one.crps(places[:, 2]) >= -1e-9 * np.maximum(1, np.abs(places[:, 2])), "crps < 0")
        ensure(~np.isnan(one.entropy()), "entropy is NaN")
        ensure(np.isfinite(one.median()), "median is not finite")
    ensure(dist.var_within() >= 0, "var_within is negative or NaN")
    ensure(dist.var_between() >= 0, "var_between is negative or NaN")


def _check_reports(moe, case):
    given = {k: v for k, v in case.fit_params.items() if k in ("exposure", "subject")}
    weight = case.fit_params.get("sample_weight")
    str(moe.expert_report())
    str(moe.expert_report(case.X, case.y, weight, **given))
    bic, _ = refusal(moe.bic, case.X, case.y, weight, **given)
    aic, _ = refusal(moe.aic, case.X, case.y, weight, **given)
    icl, _ = refusal(moe.icl, case.X, case.y, weight, **given)
    if bic is not None:
        ensure(np.isfinite([bic, aic, icl]), "information criteria are not finite")
        ensure(icl >= bic - 1e-6 * abs(bic), "icl is below bic")
    summary, _ = refusal(moe.summary, case.X, case.y, weight, **given)
    if summary is not None:
        ensure(len(str(summary)) > 0, "summary is empty")
        ensure(~np.isinf(summary.estimate), "summary has infinite estimates")  # NaN: not estimable
        ensure(~(summary.std_error < 0), "summary has negative standard errors")


def _check_tables(moe, case):
    """What is printed, and whether it agrees with predictions and with what else is printed."""
    weight = case.fit_params.get("sample_weight")
    planned, report = clone(moe).plan(case.X, case.y), moe.expert_report()
    profiles = moe.expert_profiles(case.X, case.y), moe.expert_profiles(case.new)
    table, _ = refusal(moe.coefficients, by="expert")
    summary, _ = refusal(moe.summary, case.X, case.y, weight)
    for each in (planned, moe.plan_, report, *profiles, table, summary):
        if each is not None:
            ensure("nan" not in str(each).lower().split(), f"{type(each).__name__} prints NaN")
            each._repr_html_()
    ensure(planned.training == moe.plan_.training or moe.plan_.notes, "trained otherwise")
    as_planned = planned.n_experts in (None, len(moe.experts_)) or "none or" in str(planned)
    ensure(as_planned, "another number than planned")
    ensure(_near(np.sum(report.columns["load"]), 1), "loads of the report do not sum to one")
    n_rows = case.n if weight is None else np.sum(weight)
    ensure(_near(np.sum(report.columns["rows"]), n_rows), "the report is of other rows")
    if moe.plan_.n_regimes is not None:
        ensure(moe.plan_.n_regimes == moe.n_regimes_ == len(moe.regimes_), "n_regimes_")
        ensure(len(report.columns["load"]) in (moe.n_regimes_, len(moe.experts_)), "lines")
    every = moe.predict(case.X)
    alone = moe.predict(case.X.iloc[[0]])
    ensure(np.all(alone == every[:1]) if case.is_classifier else _near(alone, every[:1]), "alone")
    if table is not None:
        _check_sums(moe, case, table)
    if case.chance(0.1):
        effects, _ = refusal(moe.marginal_effects, case.X, case.y, sample_weight=weight)
        ensure(effects is None or str(effects), "marginal effects are empty")
    if case.chance(0.1):
        same = clone(moe).fit(_as_other_types(case.X), case.y, **case.fit_params)
        answer = "predict_proba" if case.is_classifier else "predict"
        one, other = (getattr(each, answer)(case.X.iloc[:FEW]) for each in (moe, same))
        ensure(_near(one, other, rtol=1e-4), "the same values as other types are another fit")
    if not case.is_classifier:
        quantiles = moe.predict(case.new, quantiles=[0.1, 0.5, 0.9])
        ensure(np.isfinite(quantiles), "quantiles are not finite")
        ensure(np.diff(quantiles, axis=1) >= 0, "quantiles are not ordered")


def _as_other_types(X):
    """The same values: numbers as floats, strings as categories and these as strings."""
    columns = {}
    for label, column in X.items():
        if column.dtype.kind in "biuf":
            columns[label] = column.astype(float)
        elif isinstance(column.dtype, pd.CategoricalDtype):
            columns[label] = column.astype(object)
        else:
            is_text = isinstance(column.dropna().max(), str)
            columns[label] = column.astype("category") if is_text else column
    return pd.DataFrame(columns).reset_index(drop=True)


def _check_sums(moe, case, table):
    """Coefficients times the values of rows without gaps are the predictions of the experts."""
    whole = case.X.notna().all(axis=1).to_numpy()
    dates = [label for label, dtype in case.X.dtypes.items() if dtype.kind == "M"]
    if set(table.parts) - {"errors"} != {"prediction"} or dates or not whole.any():
        return
    X, values = case.X[whole].infer_objects(), {}
    for i, (label, column) in enumerate(X.items()):
        label = label if isinstance(label, str) else f"x{i}"  # as scikit-learn names it
        if column.dtype.kind in "biuf":
            term = "intercept (2)" if label == "intercept" else str(label)
            values[term] = column.to_numpy(float)
        else:
            values |= {f"{label}={level}": column == level for level in column.unique()}
    values["intercept"] = np.ones(len(X))
    total = np.zeros((len(X), len(moe.experts_)))
    for term, coefficients in table.to_frame().loc["prediction"].iterrows():
        value = values.get(term.removesuffix(" (reference)"), np.zeros(len(X)))  # or of gaps
        total += np.outer(value, np.nan_to_num(coefficients))
    near = _near(total, moe.predict_experts(X), atol=1e-6 * np.std(case.y))
    ensure(near, "coefficients do not add up")


def _check_refusals(moe, case):
    """Bad input to a fitted mixture: refused, and the mixture stays as it is."""
    before = dict(vars(moe))
    bad = np.full((3, moe.n_features_in_), case.pick(np.inf, 1e200, -np.inf))
    for X in (bad, np.zeros((3, moe.n_features_in_ + 1)), None, np.zeros(3), "rows"):
        answer, _ = refusal(moe.predict, X)
        ensure(answer is None or (X is bad and case.kind == "mixed"), "bad rows are predicted")
    _, error = refusal(moe.fit, case.X, None)
    ensure(error is not None, "y=None is accepted")
    _, error = refusal(moe.fit, case.X, case.y, subject=[None] * case.n)
    ensure(error is not None, "missing subjects are accepted")
    ensure(_same(vars(moe), before), "a refusal changed the estimator")


def _check_changes(moe, case):
    """Pickles, streams, experts that come and go."""
    if case.chance(0.2):
        twin = pickle.loads(pickle.dumps(moe))
        same = np.array_equal(twin.predict_experts(case.X), moe.predict_experts(case.X))
        ensure(same and np.array_equal(twin.gate_proba(case.X), moe.gate_proba(case.X)), "pickle")
    weight = case.fit_params.get("sample_weight")
    if case.chance(0.5) and hasattr(moe, "partial_fit"):
        _change(moe, case, "partial_fit", case.X, case.y, sample_weight=weight)
    name = case.pick(*moe.named_experts_)
    if case.chance(0.4):
        _change(moe, case, "remove_expert", name)
    expert = DecisionTreeClassifier if case.is_classifier else DecisionTreeRegressor
    if case.chance(0.2):
        old = (case.X, case.y) if case.chance(0.7) else None
        given = None if case.chance(0.5) else expert(max_depth=2)
        _change(moe, case, "add_expert", case.X, case.y, given, replay=old)


def _change(moe, case, method, *args, **kwargs):
    twin = copy.deepcopy(moe)
    before = dict(vars(twin))
    _, error = refusal(getattr(twin, method), *args, **kwargs)
    if error is not None:
        ensure(_same(vars(twin), before), f"a refused {method} changed the estimator")
        return
    ensure(_near(twin.expert_load_.sum(), 1), f"loads {twin.expert_load_} after {method}")
    answer, _ = refusal(twin.predict_proba if case.is_classifier else twin.predict, case.X)
    ensure(answer is None or np.isfinite(answer).all(), f"{method}: predictions are not finite")
    ensure(_near(twin.gate_proba(case.X).sum(axis=1), 1), f"gate_proba after {method}")
    ensure(
        ~np.isnan(twin.log_density(case.X, case.y)),
        f"log_density is NaN after {method}",
    )


# The command --------------------------------------------------------------------------------


def describe(seed, kind):
    case = kind(seed)
    rows = {name: type(value).__name__ for name, value in case.fit_params.items()}
    columns = "" if kind is Case else f" ({', '.join(map(str, case.X.dtypes))})"
    what = f"rows: {case.kind}, {case.n}{columns}; target: {case.target}; {rows}"
    return f"{case.estimator!r}\n  {what}"


def search(n_fits, seed, kind=Case, minutes=np.inf):
    """Cases from this seed on until so many are accepted: outcomes, and the seeds of faults."""
    outcomes, faults, end = Counter(), [], time.perf_counter() + 60 * minutes
    while outcomes["accepted"] < n_fits and time.perf_counter() < end:
        start = time.perf_counter()
        try:
            outcomes[run(seed, kind)] += 1
        except Exception as error:  # what nobody thought of, which is what is looked for
            faults.append(seed)
            where = traceback.extract_tb(error.__traceback__)
            ours = [frame for frame in where if "skmoe" in frame.filename] or where
            print(f"seed {seed}: {type(error).__name__}: {str(error)[:300]}")
            print(f"  at {ours[-1].filename}:{ours[-1].lineno}; {describe(seed, kind)}", flush=True)
        took = time.perf_counter() - start
        if took > SLOW:
            print(f"seed {seed}: took {took:.0f} s\n  {describe(seed, kind)}", flush=True)
        seed += 1
    return outcomes, faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, default=2000, help="accepted fits to make")
    parser.add_argument("--minutes", type=float, default=np.inf, help="time to make them in")
    parser.add_argument("--tables", action="store_true", help="fit DataFrames, near the default")
    parser.add_argument("--seed", type=int, default=0, help="of the first case")
    parser.add_argument("--case", type=int, help="run this case alone")
    parser.add_argument("--refusals", action="store_true", help="print what was refused, and why")
    options = parser.parse_args()
    kind = TableCase if options.tables else Case
    if options.case is not None:
        print(describe(options.case, kind))
        print(run(options.case, kind))
        return 0
    outcomes, faults = search(options.fits, options.seed, kind, options.minutes)
    n_refused = sum(outcomes.values()) - outcomes["accepted"]
    print(f"{outcomes['accepted']} accepted, {n_refused} refused, {len(faults)} faults: {faults}")
    if options.refusals:
        for outcome, times in outcomes.most_common():
            print(f"{times:6d} {outcome}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
