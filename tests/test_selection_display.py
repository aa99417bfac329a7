"""ExpertSelectionDisplay: the numbers of the selection, and where it chose."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmoe import MixtureOfExpertsRegressor
from skmoe.inspection import ExpertSelectionDisplay
from skmoe.model_selection import ExpertSelection

pytest.importorskip("matplotlib")

NUMBERS = np.arange(1, 4)
BY_BIC = {
    "n_experts": NUMBERS,
    "log_likelihood": np.array([-50.0, -20.0, -18.0]),
    "n_parameters": np.array([3, 8, 13]),
    "aic": np.array([106.0, 56.0, 62.0]),
    "bic": np.array([110.0, 70.0, 85.0]),
    "icl": np.array([110.0, 90.0, 120.0]),
}
BY_CV = {
    "n_experts": NUMBERS,
    "log_score": np.array([-1.5, -1.0, -1.1]),
    "difference": np.array([0.5, 0.0, 0.1]),
    "std_error": np.array([0.05, 0.0, 0.02]),
}


def test_information_criteria_end_at_zero_and_the_chosen_number_is_marked():
    selection = ExpertSelection(BY_BIC, 1, None, "bic")
    display = ExpertSelectionDisplay.from_selection(selection)
    assert [line.get_label() for line in display.lines_] == ["BIC", "ICL", "AIC"]
    for line, name in zip(display.lines_, ["bic", "icl", "aic"], strict=True):
        assert_array_equal(line.get_xdata(), NUMBERS)
        assert_allclose(line.get_ydata(), BY_BIC[name] - BY_BIC[name].min())
    assert display.best_line_.get_xdata()[0] == 2
    assert len({line.get_linestyle() for line in display.lines_}) == 3  # told apart in grey


def test_scores_have_the_standard_errors_of_their_differences():
    display = ExpertSelectionDisplay.from_selection(ExpertSelection(BY_CV, 1, None, "cv"))
    (line,) = display.lines_
    assert_allclose(line.get_ydata(), -BY_CV["difference"])
    (bars,) = display.ax_.containers[0].lines[2]
    lengths = [np.ptp(segment[:, 1]) for segment in bars.get_segments()]
    assert_allclose(lengths, 2 * BY_CV["std_error"], atol=1e-12)


def test_pooled_mixture_shows_the_evidence_of_what_it_tried():
    rng = np.random.default_rng(0)
    X = rng.uniform(-3, 3, size=(200, 1))
    y = np.abs(X[:, 0]) + 0.3 * rng.normal(size=200)
    moe = MixtureOfExpertsRegressor(n_init=2, random_state=0)
    pipe = make_pipeline(StandardScaler(), moe).fit(X, y)
    display = ExpertSelectionDisplay.from_estimator(pipe)
    tried = pipe[-1].log_evidence_
    numbers, values = display.lines_[0].get_data()
    assert_array_equal(numbers, sorted(tried))
    expected = 200 * np.array([tried[k] for k in sorted(tried)])
    assert_allclose(values, expected - expected.max())
    assert display.best_n_experts == len(pipe[-1].experts_) == 2


def test_mixture_that_tried_one_number_is_refused():
    X, y = np.arange(20.0)[:, None], np.arange(20.0) % 3
    moe = MixtureOfExpertsRegressor(n_experts=1, training="em").fit(X, y)
    with pytest.raises(ValueError, match="from_selection"):
        ExpertSelectionDisplay.from_estimator(moe)
