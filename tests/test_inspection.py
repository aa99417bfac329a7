"""Displays: what is drawn are the mixture's own numbers, in colours that can be told apart."""

import sys
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.distributions import GaussianComponents, MixtureDistribution, ScipyComponents
from skmoe.gates import ConstantGate, SoftmaxGate
from skmoe.inspection import CalibrationDisplay, ExpertDisplay, GateDisplay, PredictiveDisplay

ALL = [CalibrationDisplay, ExpertDisplay, GateDisplay, PredictiveDisplay]


regressor = partial(MixtureOfExpertsRegressor, training="em", tol=1e-4, random_state=0)


@pytest.fixture(scope="module")
def curve():
    """Three regimes in one column."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-3, 3, size=(300, 1))
    regime = np.searchsorted([-1, 1], X[:, 0])
    y = np.choose(regime, [-2 - 2 * X[:, 0], 0.5 * X[:, 0], 3 - 2 * X[:, 0]])
    y += np.array([0.1, 0.3, 0.2])[regime] * rng.normal(size=300)
    return regressor(n_experts=3).fit(X, y), X, y


@pytest.fixture(scope="module")
def plane():
    """Four regimes in two columns."""
    rng = np.random.default_rng(1)
    X = rng.uniform(-1, 1, size=(400, 2))
    region = 2 * (X[:, 0] > 0.2) + (X[:, 1] > 0)
    y = np.choose(region, [5 * X[:, 1], 2 * X[:, 0] - 3, 2 + X[:, 1], 6 - X[:, 0]])
    return regressor(n_experts=4).fit(X, y + 0.2 * rng.normal(size=400)), X, y


@pytest.fixture(scope="module")
def table():
    """Two regimes by dose and group, a column that says nothing, and a constant one."""
    rng = np.random.default_rng(2)
    X = pd.DataFrame(
        {
            "age": rng.normal(50, 10, size=300),
            "dose": rng.normal(size=300),
            "group": rng.choice(["a", "b", "c"], size=300),
            "unit": np.ones(300),
        }
    )
    responds = X["dose"] + (X["group"] == "b") + 0.3 * rng.normal(size=300) > 0
    y = np.where(responds, 0.1 * X["age"], -2 - X["dose"]) + 0.2 * rng.normal(size=300)
    return regressor(n_experts=2).fit(X, y), X, y


@pytest.fixture(scope="module")
def classes():
    """Two logistic experts in two columns."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(500, 2))
    score = np.where(X[:, 0] > 0, 1 + 2 * X[:, 1], -1 - 2 * X[:, 1])
    y = np.where(rng.logistic(size=500) < score, "yes", "no")
    return (
        MixtureOfExpertsClassifier(n_experts=2, tol=1e-4, random_state=0, training="em").fit(X, y),
        X,
        y,
    )


@pytest.fixture(scope="module")
def outputs():
    """Two outputs."""
    rng = np.random.default_rng(4)
    X = rng.uniform(-2, 2, size=(200, 1))
    y = np.column_stack([np.abs(X[:, 0]), 10 * X[:, 0]]) + 0.1 * rng.normal(size=(200, 2))
    return regressor(n_experts=2).fit(X, y), X, y


def luminance(colour):
    """Lightness of a colour in grey, from 0 to 1 (Rec. 709)."""
    return float(np.array(to_rgb(colour)) @ [0.2126, 0.7152, 0.0722])


# Gate -------------------------------------------------------------------------------------------


def test_gate_over_the_only_column_is_gate_proba(curve):
    moe, X, _ = curve
    display = GateDisplay.from_estimator(moe, X)
    at = np.linspace(X.min(), X.max(), 100)
    for k, line in enumerate(display.lines_[0]):
        assert_allclose(line.get_xdata(), at)
        assert_allclose(line.get_ydata(), moe.gate_proba(at[:, None])[:, k])
        assert line.get_label() == f"expert{k}"
    assert display.ax_.get_xlabel() == "x0"
    assert display.ax_.get_ylabel() == "gate probability"
    names = [text.get_text() for text in display.figure_.legends[0].get_texts()]
    assert names == ["expert0", "expert1", "expert2"]


def test_gate_over_a_feature_is_its_partial_dependence(table):
    moe, X, _ = table
    display = GateDisplay.from_estimator(
        moe, X, features=["dose", "group"], subsample=None, grid_resolution=7
    )
    assert [panel.get_xlabel() for panel in display.axes_] == ["dose", "group"]
    ((dose,), (group,)), (of_dose, of_group) = display.points, display.proba
    for value, proba in zip(dose, of_dose, strict=True):
        expected = moe.gate_proba(X.assign(dose=value)).mean(axis=0)
        assert_allclose(proba, expected)
    ticks = [label.get_text() for label in display.axes_[1].get_xticklabels()]
    assert ticks == ["a", "b", "c"]
    for value, place, proba in zip(ticks, group, of_group, strict=True):
        expected = moe.gate_proba(X.assign(group=value)).mean(axis=0)
        assert_allclose(proba, expected)
        assert_allclose([line.get_ydata()[int(place)] for line in display.lines_[1]], expected)


def test_regions_are_where_an_expert_is_the_most_probable(plane):
    moe, X, y = plane
    display = GateDisplay.from_estimator(moe, X, y, grid_resolution=30)
    display.figure_.canvas.draw()
    assert display.figure_.legends[0].get_window_extent().x0 >= 0  # all names are seen
    ((across, up),) = display.points
    grid = np.array([(a, b) for b in up for a in across])
    expected = moe.gate_proba(grid).reshape(30, 30, 4)
    assert_allclose(display.proba[0], expected)
    owner = expected.argmax(axis=2)
    # A cell has the colour of its expert, mixed with white: all three channels in one proportion.
    from skmoe.inspection._axes import colours

    (mesh,) = display.meshes_
    share = (1 - mesh.get_array()) / (1 - colours(4)[owner])
    assert np.ptp(share, axis=2).max() < 1e-9
    assert_array_equal(share[..., 0].argsort(axis=None)[-1], expected.max(axis=2).argmax())
    texts = display.ax_.texts
    assert len(texts) == 4
    for text in texts:
        k = moe.gate_proba([text.get_position()]).argmax()
        assert text.get_text() == f"expert{k}"
    marked = moe.responsibilities(X, y).argmax(axis=1)
    for k, scatter in enumerate(display.scatters_[0]):
        assert_array_equal(scatter.get_offsets(), X[marked == k])


# Experts ----------------------------------------------------------------------------------------


def test_expert_curves_are_predictions_and_thick_where_the_gate_prefers_them(curve):
    moe, X, y = curve
    display = ExpertDisplay.from_estimator(moe, X, y)
    assert display.ax_.get_legend().get_title().get_text() == "thick: preferred by the gate"
    at = display.points[:, None]
    preferred = moe.gate_proba(at).argmax(axis=1)
    for k in range(3):
        expected = moe.experts_[k].predict(at)
        assert_allclose(display.lines_[k].get_ydata(), expected)
        thick = display.preferred_lines_[k].get_ydata()
        assert_allclose(thick[preferred == k], expected[preferred == k])
        assert np.isnan(thick[preferred != k]).all()
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["expert0", "expert1", "expert2"]
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("x0", "y")
    named = ExpertDisplay.from_estimator(moe, X, pd.Series(y, name="yield"))
    assert named.ax_.get_ylabel() == "yield"


def test_experts_of_a_classifier_give_the_class_probabilities(classes):
    moe, X, y = classes
    display = ExpertDisplay.from_estimator(moe, X, y, feature=1, subsample=None, grid_resolution=9)
    assert display.ax_.get_ylabel() == "probability of yes"
    resp = moe.responsibilities(X, y)
    for k, expert in enumerate(moe.experts_):
        for value, drawn in zip(display.points, display.predictions[:, k], strict=True):
            proba = expert.predict_proba(np.column_stack([X[:, 0], np.full(len(X), value)]))
            # The default calibration of logistic experts mixes in next to nothing.
            assert_allclose(drawn, np.average(proba[:, 1], weights=resp[:, k]), atol=1e-3)
    heights = np.concatenate([scatter.get_offsets()[:, 1] for scatter in display.scatters_])
    assert (heights > 1).sum() == (y == "yes").sum()
    assert (heights < 0).sum() == (y == "no").sum()
    other = ExpertDisplay.from_estimator(
        moe, X, y, feature=1, subsample=None, grid_resolution=9, class_of_interest="no"
    )
    assert_allclose(other.predictions, 1 - display.predictions)


def test_one_of_several_outputs_is_drawn(outputs):
    moe, X, y = outputs
    display = ExpertDisplay.from_estimator(moe, X, y, output=1)
    assert_allclose(display.predictions, moe.predict_experts(display.points[:, None])[:, :, 1])
    drawn = np.concatenate([scatter.get_offsets()[:, 1] for scatter in display.scatters_])
    assert_allclose(np.sort(drawn), np.sort(y[:, 1]))
    fan = PredictiveDisplay.from_estimator(moe, X, y, output=0, grid_resolution=5)
    assert_allclose(fan.mean, moe.predict(fan.points[:, None])[:, 0])
    assert fan.ax_.get_ylabel() == "output 0 of y"
    named = pd.DataFrame(y, columns=["near", "far"])
    assert ExpertDisplay.from_estimator(moe, X, named, output=1).ax_.get_ylabel() == "far"
    fan = PredictiveDisplay.from_estimator(moe, X, named, output=0, grid_resolution=2)
    assert fan.ax_.get_ylabel() == "near"
    pit = CalibrationDisplay.from_estimator(moe, X, y, output=1).pit
    assert_allclose(pit, moe.predict_dist(X).cdf(y)[:, 1])


# Predictive distribution ------------------------------------------------------------------------


def test_fan_holds_the_probability_it_names(curve):
    moe, X, y = curve
    display = PredictiveDisplay.from_estimator(moe, X, y, levels=(0.9, 0.5), grid_resolution=40)
    assert display.levels == (0.5, 0.9)
    at = display.points[:, None]
    assert_allclose(display.mean_line_.get_ydata(), moe.predict(at))
    dist = moe.predict_dist(at)
    for level, (low, high), fan in zip(
        display.levels, display.intervals, display.fans_, strict=True
    ):
        assert_allclose(dist.cdf(low), 0.5 - level / 2, atol=1e-6)
        assert_allclose(dist.sf(high), 0.5 - level / 2, atol=1e-6)
        (path,) = fan.get_paths()
        corners = set(map(tuple, path.vertices.round(9)))
        for ends in (low, high):
            assert set(map(tuple, np.column_stack([at, ends]).round(9))) <= corners
    greys = [luminance(fan.get_facecolor()[0][:3]) for fan in display.fans_]
    assert np.diff(greys).min() > 0.1  # the smaller the interval, the darker


# Calibration ------------------------------------------------------------------------------------


def two_components(n, seed):
    """Weights and components of n rows, and targets drawn from them."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet([1.0, 2.0], size=n)
    means = rng.normal(size=(n, 2)) + [-1, 1]
    scales = np.array([0.5, 1.5])
    k = (rng.uniform(size=n) > weights[:, 0]).astype(int)
    y = means[np.arange(n), k] + scales[k] * rng.normal(size=n)
    return weights, means, scales, y


def kolmogorov_distance(pit, mass):
    """Largest distance of a weighted sample from the uniform distribution, in units of 1/sqrt(n).

    Above 1.95 with a probability of 0.001, if it is uniform (n is the effective number).
    """
    order = np.argsort(pit)
    share = mass[order] / mass.sum()
    distance = np.abs(np.cumsum(share) - pit[order]).max()
    return distance * np.sqrt(1 / (share**2).sum())


def test_pit_is_uniform_of_true_distributions_and_not_of_narrow_ones():
    weights, means, scales, y = two_components(2000, seed=0)
    true = MixtureDistribution(weights, GaussianComponents(means, scales))
    display = CalibrationDisplay.from_predictions(true, y, n_bins=20)
    assert stats.kstest(display.pit, "uniform").pvalue > 0.01
    assert_allclose(display.pit, true.cdf(y))
    assert_allclose(np.mean(display.densities_[0]), 1)
    low, high = display.bands_[0]
    assert np.mean((low <= display.densities_[0]) & (display.densities_[0] <= high)) > 0.8
    assert_allclose((low, high), stats.binom.interval(0.95, 2000, 0.05) / np.array(100))
    narrow = MixtureDistribution(weights, GaussianComponents(means, 0.6 * scales))
    display = CalibrationDisplay.from_predictions(narrow, y, n_bins=20)
    assert stats.kstest(display.pit, "uniform").pvalue < 1e-6
    density = display.densities_[0]
    assert min(density[0], density[-1]) > 1.5 > 1 > density[5:15].max()  # like a U
    (bars,) = display.ax_.patches[:1]
    assert_allclose(bars.get_data().values, density)


def test_pit_of_counts_is_randomised():
    rng = np.random.default_rng(0)
    weights = rng.dirichlet([1.0, 1.0], size=3000)
    rates = rng.uniform([0.5, 4.0], [2.0, 9.0], size=(3000, 2))
    k = (rng.uniform(size=3000) > weights[:, 0]).astype(int)
    y = rng.poisson(rates[np.arange(3000), k]).astype(float)
    counts = MixtureDistribution(weights, ScipyComponents(stats.poisson(rates)))
    display = CalibrationDisplay.from_predictions(counts, y, random_state=0)
    assert display.ax_.get_xlabel() == "randomised PIT"
    assert stats.kstest(display.pit, "uniform").pvalue > 0.01
    assert stats.kstest(counts.cdf(y), "uniform").pvalue < 1e-6
    assert (display.pit <= counts.cdf(y) + 1e-12).all()
    assert (display.pit >= counts.cdf(y - 1) - 1e-12).all()
    for k in range(2):
        mass = display.responsibilities[:, k]
        assert kolmogorov_distance(display.expert_pit[:, k], mass) < 1.95
    again = CalibrationDisplay.from_predictions(counts, y, random_state=0)
    assert_array_equal(again.pit, display.pit)


def test_coverage_is_the_share_of_targets_in_central_intervals(curve):
    moe, X, y = curve
    weight = np.random.default_rng(0).integers(0, 3, size=300)
    display = CalibrationDisplay.from_estimator(
        moe, X, y, kind="coverage", sample_weight=weight, name="three lines"
    )
    levels = [0.1, 0.5, 0.8, 0.95]
    for level, covered in zip(levels, display.coverage(levels), strict=True):
        low, high = moe.predict_dist(X).interval(level)
        assert_allclose(covered, np.average((low <= y) & (y <= high), weights=weight))
        assert_allclose(covered, display.coverage(level))
    line = display.coverage_line_
    assert_allclose(line.get_ydata(), display.coverage(line.get_xdata()))
    assert_allclose(display.coverage(0.9), 0.9, atol=0.04)
    # A second curve goes into the same axes, in another dash.
    second = CalibrationDisplay.from_estimator(moe, X, y, kind="coverage", ax=display.ax_)
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["calibrated", "three lines", "MixtureOfExpertsRegressor"]
    assert second.coverage_line_.get_linestyle() != line.get_linestyle()


# Any estimator, any table, any axes -------------------------------------------------------------


def test_pipelines_and_searches_are_drawn_over_the_columns_they_are_given(table):
    _, X, y = table
    X = X[["age", "dose"]]
    pipeline = make_pipeline(StandardScaler(), regressor(n_experts=2, n_init=3)).fit(X, y)
    inner = pipeline[-1]
    gate = GateDisplay.from_estimator(
        pipeline, X, features="dose", subsample=None, grid_resolution=5
    )
    for value, proba in zip(gate.points[0][0], gate.proba[0], strict=True):
        Z = pipeline[0].transform(X.assign(dose=value))
        assert_allclose(proba, inner.gate_proba(Z).mean(axis=0))
    fan = PredictiveDisplay.from_estimator(pipeline, X, feature="age", grid_resolution=5)
    away = (X - X.median()).abs()  # the others are as in the row nearest to the medians
    typical = X.iloc[[(away / away.mean()).sum(axis=1).argmin()]]
    assert_allclose(fan.mean, pipeline.predict(pd.concat([typical] * 5).assign(age=fan.points)))
    pit = CalibrationDisplay.from_estimator(pipeline, X, y).pit
    assert_allclose(pit, inner.predict_dist(pipeline[0].transform(X)).cdf(y))
    search = GridSearchCV(
        regressor(n_experts=2, n_init=1, max_iter=500), {"n_experts": [2]}, cv=2
    ).fit(X, y)
    experts = ExpertDisplay.from_estimator(search, X, y, "dose", grid_resolution=5)
    assert experts.names == ["expert0", "expert1"]


def test_drawing_on_given_axes(curve, plane):
    moe, X, y = curve
    figure, ax = plt.subplots()
    display = ExpertDisplay.from_estimator(moe, X, y, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    figure, axes = plt.subplots(1, 4)
    display = CalibrationDisplay.from_estimator(moe, X, y, kind="experts", ax=axes[:3])
    assert_array_equal(display.axes_, axes[:3])
    assert display.figure_ is figure
    for few in (axes[:2], axes[3]):
        with pytest.raises(ValueError, match=r"has [12] axes, but there are 3 panels"):
            display.plot(few, kind="experts")
    display = GateDisplay.from_estimator(plane[0], plane[1], features=[0, 1])
    redrawn = display.plot(np.array(axes[:2]))
    assert redrawn is display
    assert redrawn.ax_ is axes[0]
    assert len(redrawn.axes_[0].get_legend().get_texts()) == 4


def test_without_matplotlib_the_message_says_what_to_install(curve, monkeypatch):
    moe, X, y = curve
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="ExpertDisplay.plot requires matplotlib"):
        ExpertDisplay.from_estimator(moe, X, y)
    with pytest.raises(ImportError, match="PredictiveDisplay.plot requires matplotlib"):
        PredictiveDisplay(axis=None).plot()


# Bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize("display", ALL)
def test_what_is_not_a_fitted_mixture_is_refused(display, curve):
    moe, X, y = curve
    data = X, y
    for unfitted in (
        regressor(n_experts=2),
        make_pipeline(StandardScaler(), regressor(n_experts=2)),
    ):
        with pytest.raises(NotFittedError):
            display.from_estimator(unfitted, *data)
    with pytest.raises(NotFittedError):
        display.from_estimator(GridSearchCV(regressor(n_experts=2), {"n_experts": [2]}), *data)
    with pytest.raises(TypeError, match="LinearRegression is no mixture"):
        display.from_estimator(LinearRegression().fit(X, y), *data)
    with pytest.raises(TypeError, match="pass a fitted estimator"):
        display.from_estimator(MixtureOfExpertsRegressor, *data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": "weight"}, "no feature 'weight': .*or one of age, dose, group, unit"),
        ({"features": 4}, "no feature 4: give a number below 4"),
        ({"features": True}, "no feature True"),
        ({"features": "unit"}, "'unit' has 1 values"),
        ({"features": ("age", "age")}, "two different ones"),
        ({"features": [("age", "dose", "group")]}, "two different ones"),
        ({"features": []}, "features is empty"),
        ({"features": "age", "grid_resolution": 1}, "grid_resolution must be 2 or more"),
        ({"features": "age", "subsample": 0}, "subsample must be a positive number"),
        ({"responsibilities": np.ones((3, 2))}, r"shape \(3, 2\); \(300, 2\) is needed"),
    ],
)
def test_what_the_gate_cannot_be_drawn_over(table, options, message):
    moe, X, _ = table
    with pytest.raises(ValueError, match=message):
        GateDisplay.from_estimator(moe, X, **options)


def test_other_bad_input(curve, table, classes, outputs):
    with pytest.raises(ValueError, match="no column of two values"):
        GateDisplay.from_estimator(table[0], table[1].iloc[:1])
    moe, X, y = curve
    with pytest.raises(ValueError, match="X is an array without names"):
        GateDisplay.from_estimator(moe, X, features="x0")
    with pytest.raises(ValueError, match="no gate to draw: this mixture has one expert"):
        GateDisplay.from_estimator(MixtureOfExpertsRegressor(n_experts=1).fit(X, y), X)
    from scipy import sparse

    with pytest.raises(TypeError, match="need dense X"):
        PredictiveDisplay.from_estimator(moe, sparse.csr_array(X))
    for levels in ((), (0.5, 1.0)):
        with pytest.raises(ValueError, match="levels must be probabilities"):
            PredictiveDisplay.from_estimator(moe, X, levels=levels)
    with pytest.raises(ValueError, match="kind must be one of"):
        CalibrationDisplay.from_estimator(moe, X, y, kind="pie")
    with pytest.raises(ValueError, match="takes both X and y"):
        moe.expert_report(X)
    with pytest.raises(ValueError, match="output=0 is for several outputs"):
        ExpertDisplay.from_estimator(moe, X, output=0)
    with pytest.raises(ValueError, match="(?i)sample.weight.*zero"):
        CalibrationDisplay.from_estimator(moe, X, y, sample_weight=np.zeros(300))
    moe, X, y = table
    for display in (ExpertDisplay, PredictiveDisplay):
        with pytest.raises(ValueError, match="X has 4 columns: select one by feature"):
            display.from_estimator(moe, X, y)
    for display in (ExpertDisplay, GateDisplay, PredictiveDisplay):  # the third parameter is y
        with pytest.raises(ValueError, match="y needs .* values; feature= or features= select"):
            display.from_estimator(moe, X, "age")
    moe, X, y = classes
    with pytest.raises(TypeError, match="For classes take sklearn.calibration"):
        CalibrationDisplay.from_estimator(moe, X, y)
    with pytest.raises(ValueError, match=r"class_of_interest must be one of \['no', 'yes'\]"):
        ExpertDisplay.from_estimator(moe, X, y, 0, class_of_interest="maybe")
    moe, X, y = outputs
    for display in (ExpertDisplay, PredictiveDisplay, CalibrationDisplay):
        for output in (None, 2, "first"):
            with pytest.raises(ValueError, match="pass output=0 to output=1"):
                display.from_estimator(moe, X, y, output=output)
    with pytest.raises(ValueError, match="pass output=0 to output=1"):
        CalibrationDisplay.from_predictions(moe.predict_dist(X), y)


@pytest.mark.parametrize("features", [None, [(0, 1)], [0, (1, 2)]])
def test_legend_says_of_a_flat_gate_alone_that_it_is_flat(features):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(120, 3))
    y = np.where(X[:, 0] + X[:, 1] > 0, 3, -3) * X[:, 2] + 0.1 * rng.normal(size=120)
    for gate, is_flat in ((SoftmaxGate(), False), (ConstantGate(), True)):
        moe = MixtureOfExpertsRegressor(gate=gate, n_experts=2, training="em", random_state=0)
        display = GateDisplay.from_estimator(moe.fit(X, y), X, y, features)
        (legend,) = display.figure_.legends
        assert legend.get_title().get_text().startswith("The gate hardly") == is_flat
