"""What the guide says of other libraries, where they are installed."""

import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge

from skmoe import MixtureOfExpertsRegressor


def draw(seed, n_samples):
    """A quiet regime and a noisy one."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 3))
    quiet = X[:, 0] < 0
    noise = np.where(quiet, 0.2, 1.0) * rng.normal(size=n_samples)
    return X, np.where(quiet, X[:, 1], 3 + X[:, 2]) + noise


@pytest.fixture(name="moe", scope="module")
def _moe():
    return MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(*draw(0, 200))


def explained(shap, function, X):
    """Values and what they add up to, for the first rows."""
    explanation = shap.Explainer(function, X[:50], seed=0)(X[:5], silent=True)
    return explanation.values, explanation.base_values


def test_shap_explains_predictions_and_parts(moe):
    shap = pytest.importorskip("shap")
    X, _ = draw(1, 60)
    parts = {
        "predict": (moe.predict, moe.predict(X[:5])),
        "gate": (lambda X: moe.gate_proba(X)[:, 0], moe.gate_proba(X[:5])[:, 0]),
        "expert": (lambda X: moe.predict_experts(X)[:, 0], moe.predict_experts(X[:5])[:, 0]),
    }
    for function, expected in parts.values():
        values, base = explained(shap, function, X)
        assert_allclose(base + values.sum(axis=1), expected, atol=1e-8)
    values, _ = explained(shap, parts["gate"][0], X)
    size = np.abs(values).mean(axis=0)
    assert size[0] > 5 * size[1:].max()  # the first column decides who answers


class Quantile(RegressorMixin, BaseEstimator):
    """One quantile of a fitted mixture, as the guide has it."""

    fitted_ = True

    def __init__(self, mixture, q):
        self.mixture, self.q = mixture, q

    def fit(self, X, y):
        return self

    def predict(self, X):
        return self.mixture.predict_quantiles(X, self.q)


def test_mapie_makes_conformal_intervals(moe):
    mapie = pytest.importorskip("mapie.regression")
    calibration, (X, y) = draw(1, 500), draw(2, 3000)
    quiet = X[:, 0] < 0

    def holds_and_width(intervals):
        lower, upper = intervals[:, 0, 0], intervals[:, 1, 0]
        # 500 rows: the level of the intervals has a standard deviation of 0.013.
        assert 0.86 < np.mean((lower <= y) & (y <= upper)) < 0.94
        return np.mean((upper - lower)[quiet])

    split = mapie.SplitConformalRegressor(moe, 0.9).conformalize(*calibration)
    of_split = holds_and_width(split.predict_interval(X)[1])
    quantiles = mapie.ConformalizedQuantileRegressor(
        [Quantile(moe, q) for q in (0.05, 0.95, 0.5)], confidence_level=0.9, prefit=True
    )
    quantiles.conformalize(*calibration)
    assert holds_and_width(quantiles.predict_interval(X)[1]) < 0.6 * of_split


def draw_table(seed, n_samples):
    """The same with a column of strings that says which regime it is."""
    pandas = pytest.importorskip("pandas")
    X, y = draw(seed, n_samples)
    table = pandas.DataFrame(X, columns=["a", "b", "c"])
    return table.assign(kind=np.where(X[:, 0] < 0, "quiet", "noisy")), y


@dataclass
class DistributionPrediction:
    """What ScoringBench takes: the mass of bins for each row."""

    probas: np.ndarray
    bin_edges: np.ndarray
    bin_midpoints: np.ndarray
    mean: np.ndarray


def wrapper_of_the_guide(monkeypatch):
    """The class that the guide writes, over a stand-in for ScoringBench, which is no package."""
    base = SimpleNamespace(
        DistributionPrediction=DistributionPrediction, ProbabilisticWrapper=object
    )
    for name in ("scoringbench", "scoringbench.wrappers", "scoringbench.wrappers.base"):
        monkeypatch.setitem(sys.modules, name, base)
    page = Path(__file__).parents[1] / "doc/guide/ecosystem.rst"
    section = page.read_text("utf-8").split(".. _scoringbench:")[1]
    block = section.split(".. code-block:: python\n")[1].split("\nPut the class")[0]
    names = {}
    exec(textwrap.dedent(block), names)
    return names["SkmoeWrapper"]


def test_scoringbench_scores_the_densities_of_the_mixture(monkeypatch):
    X, y = draw(1, 200)
    wrapper = wrapper_of_the_guide(monkeypatch)(experts=None).fit(*draw(0, 200))
    bins = wrapper.predict_distribution(X)
    widths, rows = np.diff(bins.bin_edges), np.arange(len(y))
    assert bins.probas.shape == bins.bin_midpoints.shape == widths.shape
    assert (widths > 0).all()
    assert_allclose(bins.probas.sum(axis=1), 1)
    assert_allclose(bins.mean, wrapper.predict(X))
    assert_allclose((bins.probas * bins.bin_midpoints).sum(axis=1), bins.mean, atol=0.05)
    # The leaderboard's log-score: a row outside of all bins is in the outermost.
    k = (bins.bin_edges[:, 1:] < y[:, None]).sum(axis=1).clip(max=widths.shape[1] - 1)
    log_score = np.log(bins.probas[rows, k] / widths[rows, k])
    assert_allclose(log_score.mean(), wrapper.mixture.log_density(X, y).mean(), atol=0.005)


def threshold_autoregression(n):
    """A series that follows another line where it was positive two steps ago."""
    pd = pytest.importorskip("pandas")
    rng, series = np.random.default_rng(0), np.zeros(n)
    for now in range(2, n):
        slope, level = (0.5, -1.5) if series[now - 2] > 0 else (-0.4, 1.5)
        series[now] = level + slope * series[now - 1] + 0.3 * rng.normal()
    return pd.Series(series, pd.date_range("2026-01-01", periods=n))


@pytest.mark.filterwarnings("ignore:The default of config:FutureWarning")  # sktime's own
@pytest.mark.parametrize("library", ["sktime", "skforecast"])
def test_forecasts_by_lags_are_those_of_a_mixture_of_lags(library):
    reason = "no pandas 2, without which there is neither sktime nor skforecast"
    pytest.importorskip(library, reason=reason)
    series = threshold_autoregression(300)
    forecasts, moe = forecast_by(library, series)
    # By hand: the lags of the first step that is not known, then of the second.
    values = series.to_numpy()
    lags = np.column_stack([values[1:-1], values[:-2]])
    own = MixtureOfExpertsRegressor(random_state=0).fit(lags, values[2:])
    assert len(moe.experts_) == len(own.experts_) == 2
    first = own.predict(values[None, [-1, -2]])[0]
    second = own.predict([[first, values[-1]]])[0]
    assert_allclose(forecasts, [first, second], rtol=1e-3)


def forecast_by(library, series):
    """Two forecasts, and the mixture that made them."""
    moe = MixtureOfExpertsRegressor(random_state=0)
    if library == "sktime":
        from sktime.forecasting.compose import make_reduction

        forecaster = make_reduction(moe, window_length=2).fit(series)
        return forecaster.predict(fh=[1, 2]), forecaster.estimator_
    from skforecast.recursive import ForecasterRecursive

    forecaster = ForecasterRecursive(moe, lags=2)
    forecaster.fit(y=series)
    return forecaster.predict(steps=2), forecaster.estimator


def test_skrub_prepares_tables():
    skrub = pytest.importorskip("skrub")
    table, y = draw_table(0, 300)
    table.loc[::17, "b"] = np.nan
    moe = MixtureOfExpertsRegressor(Ridge(), n_experts=2, random_state=0)
    pipe = skrub.tabular_pipeline(moe).set_output(transform="pandas").fit(table, y)
    assert pipe.predict(table, quantiles=[0.05, 0.95]).shape == (300, 2)
    assert {"a", "b", "c"} < set(pipe[-1].coefficients().to_frame().loc["prediction"].index)
    assert pipe.score(table, y) > 0.5
