"""A target and columns in other units give the same mixture."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression, TweedieRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._families.positive import GammaFamily, InverseGaussianFamily
from skmoe.distributions import ScipyComponents
from skmoe.gates import ClassifierGate, ConstantGate, ForestGate, GaussianGate, TreeGate
from skmoe.likelihoods import Gaussian, RandomEffects, StudentT
from skmoe.likelihoods._positive import Gamma, InverseGaussian

N = 240


def target(kind):
    """Columns, a target of two regimes, and what else ``fit`` takes."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(N, 2))
    is_first = rng.uniform(size=N) < 1 / (1 + np.exp(-4 * X[:, 1]))
    predictor = np.where(is_first, 1.0, 0.2) + np.where(is_first, 0.8, -0.6) * X[:, 0]
    given = {}
    if kind == "line":
        y = predictor + 0.2 * rng.standard_t(5, size=N)
    elif kind == "subjects":
        given["subject"] = np.arange(N) // 6
        effects = rng.normal(size=N // 6)[given["subject"]]
        y = predictor + 0.5 * effects + 0.2 * rng.normal(size=N)
    elif kind == "amounts":
        y = rng.wald(np.exp(predictor), np.where(is_first, 30.0, 6.0))
    elif kind == "counts":
        y = rng.poisson(np.exp(predictor) * rng.gamma(3.0, 1 / 3.0, size=N)).astype(float)
    elif kind == "trials":
        given["trials"] = rng.integers(5, 30, size=N)
        y = rng.binomial(given["trials"], 1 / (1 + np.exp(-predictor))).astype(float)
    elif kind == "rates":
        rate = 1 / (1 + np.exp(-predictor))
        y = rng.beta(20 * rate, 20 * (1 - rate))
    else:
        y = rng.uniform(size=N) < 1 / (1 + np.exp(-3 * predictor))
    return X, y, given


HAVE_UNITS = "line", "subjects", "amounts"
EM = {"n_experts": 2, "n_init": 2, "tol": 1e-9, "max_iter": 2000}
TREE = DecisionTreeRegressor(max_depth=2)
BY_CLASSIFIER = ClassifierGate(make_pipeline(StandardScaler(), LogisticRegression()))
WAYS = {
    "gaussian": ("line", EM),
    "shared scale": ("line", {**EM, "likelihood": Gaussian("shared")}),
    "student_t": ("line", {**EM, "likelihood": StudentT("estimate")}),
    "subjects": ("subjects", {**EM, "likelihood": RandomEffects(), "gate": ConstantGate()}),
    "log_normal": ("amounts", {**EM, "likelihood": "log_normal"}),
    "gamma": ("amounts", {**EM, "likelihood": "gamma"}),
    "weibull": ("amounts", {**EM, "likelihood": "weibull"}),
    "inverse_gaussian": ("amounts", {**EM, "likelihood": "inverse_gaussian"}),
    "poisson": ("counts", {**EM, "likelihood": "poisson"}),
    "negative_binomial": ("counts", {**EM, "likelihood": "negative_binomial"}),
    "binomial": ("trials", {**EM, "likelihood": "binomial"}),
    "beta": ("rates", {**EM, "likelihood": "beta"}),
    "classes": ("classes", EM),
    "pooled": ("line", {}),
    "pooled gamma": ("amounts", {"likelihood": "gamma"}),
    "pooled inverse_gaussian": ("amounts", {"likelihood": "inverse_gaussian"}),
    "pooled poisson": ("counts", {"likelihood": "poisson"}),
    "pooled beta": ("rates", {"likelihood": "beta"}),
    "pooled classes": ("classes", {}),
    "Gaussian gate": ("line", {**EM, "gate": GaussianGate()}),
    "constant gate": ("line", {**EM, "gate": ConstantGate()}),
    "classifier gate": ("line", {**EM, "gate": BY_CLASSIFIER, "max_iter": 20}),
    "tree gate": ("line", {**EM, "gate": TreeGate(), "max_iter": 20}),
    "forest gate": ("line", {**EM, "gate": ForestGate(20), "max_iter": 20}),
    "stack": (
        "line",
        {"experts": [LinearRegression(), TREE], "cv": 3, "training": "stack"},
    ),
    "specialists": ("line", {"experts": TREE, "cv": 3, "training": "specialists", "n_experts": 2}),
}
HAVE_TREES = "tree gate", "forest gate", "stack", "specialists"
HAVE_STANDARD_ERRORS = list(WAYS)[:13]


def fitted_in_unit(way, unit, unit_of_columns):
    kind, settings = WAYS[way]
    X, y, given = target(kind)
    X = X * unit_of_columns
    if kind in HAVE_UNITS:
        y = y * unit
    estimator = MixtureOfExpertsRegressor
    if kind == "classes":
        estimator = MixtureOfExpertsClassifier
    return estimator(**settings, random_state=0).fit(X, y, **given), X, y, given


@pytest.mark.parametrize("way", WAYS)
def test_units_change_units_alone(way):
    moe, X, y, given = fitted_in_unit(way, 1.0, 1.0)
    units = [(1e6, 1e-6), (1e-6, 1e6)]
    if way in HAVE_TREES:  # which see columns in single precision, and no gaps below 1e-7
        units = [(1e6, 2.0**-4), (1e-6, 2.0**20)]
    for unit, unit_of_columns in units:
        twin, *rows = fitted_in_unit(way, unit, unit_of_columns)
        log_density = twin.log_density(rows[0], rows[1], **given)
        if WAYS[way][0] in HAVE_UNITS:  # the density of each row, or of the rows of a subject
            log_density += N / len(log_density) * np.log(unit)
        assert_allclose(log_density, moe.log_density(X, y, **given), atol=1e-3)
        assert len(twin.experts_) == len(moe.experts_)
        resp = twin.responsibilities(rows[0], rows[1], **given)
        assert_allclose(resp, moe.responsibilities(X, y, **given), atol=1e-3)
        notes = twin.expert_report(rows[0], rows[1], **given).notes
        assert notes == moe.expert_report(X, y, **given).notes


@pytest.mark.parametrize("way", HAVE_STANDARD_ERRORS)
def test_standard_errors_are_in_their_units(way):
    moe, X, y, given = fitted_in_unit(way, 1.0, 1.0)
    table = moe.summary(X, y, **given).to_frame()
    for unit in (1e6, 1e-6):
        twin, *rows = fitted_in_unit(way, unit, 1 / unit)
        other = twin.summary(rows[0], rows[1], **given).to_frame()
        # Estimates over their errors have no unit, but for logarithms of scales and intercepts.
        is_slope = table.index.get_level_values("term").isin(["x0", "x1"])
        z = table["estimate"] / table["std_error"]
        assert_allclose((other["estimate"] / other["std_error"])[is_slope], z[is_slope], rtol=1e-2)


class UnitUnsaid(InverseGaussianFamily):
    scale_has_unit = False


class UnitWrong(GammaFamily):
    scale_has_unit = True


class UnitForgotten(InverseGaussianFamily):
    def components(self, mean, scale=1.0, size=1.0):
        shape = np.broadcast_to(scale, mean.shape)
        return ScipyComponents(stats.invgauss(mean / shape, scale=shape))


class UnitTaken(GammaFamily):
    def unit(self, y, predictor, scale=1.0):
        value, slope, curvature = super().unit(y, predictor, scale)
        return 2 * value, 2 * slope, 2 * curvature


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        (InverseGaussian, UnitUnsaid),
        (Gamma, UnitWrong),
        (InverseGaussian, UnitForgotten),
        (Gamma, UnitTaken),
    ],
)
def test_a_family_that_contradicts_itself_is_refused(kind, family):
    X, y, _ = target("amounts")
    wrong = type("Wrong", (kind,), {"family": family()})
    with pytest.raises(TypeError, match="contradict each other"):
        MixtureOfExpertsRegressor(n_experts=1, likelihood=wrong(), training="em").fit(X, y)


def test_a_family_of_ones_own_is_not_pooled_as_that_of_its_parent():
    X, y, _ = target("amounts")
    own = type("Own", (Gamma,), {"family": GammaFamily(), "can_be_pooled": True})
    moe = MixtureOfExpertsRegressor(n_experts=2, likelihood=own())
    with pytest.raises(TypeError, match=r"no pooled_class\(Own\) was made"):
        moe.fit(X, y)
    moe = MixtureOfExpertsRegressor(n_experts=2, likelihood=type("Own", (Gamma,), {})())
    assert moe.plan(X, y).training == "em"


@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_one_inverse_gaussian_expert_is_the_tweedie_regression(unit, alpha):
    X, y, _ = target("amounts")
    model = TweedieRegressor(power=3, link="log", alpha=alpha / unit, tol=1e-9, max_iter=10_000)
    moe = MixtureOfExpertsRegressor(
        model, 1, likelihood="inverse_gaussian", training="em", tol=1e-12, max_iter=1000
    )
    moe.fit(X, unit * y)
    relative = clone(model).set_params(alpha=alpha).fit(X, y)
    # Steps by the expected curvature are slow where the penalty keeps the fit from the rows.
    close = 1e-6 if alpha == 0 else 2e-4
    assert_allclose(moe.predict(X), unit * relative.predict(X), rtol=close)
    shape = 1 / np.mean((y - relative.predict(X)) ** 2 / (relative.predict(X) ** 2 * y))
    assert_allclose(moe.likelihood_.shape_, unit * shape, rtol=close)


def test_inverse_gaussian_targets_are_positive_and_observed():
    X, y, _ = target("amounts")
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="inverse_gaussian")
    with pytest.raises(ValueError, match="InverseGaussian needs positive targets; y holds 0"):
        moe.fit(X, np.where(y < 1, 0.0, y))
    with pytest.raises(ValueError, match="upper needs likelihood='gamma'"):
        moe.fit(X, y, upper=y + 1)
