"""Scales, floors and calibration of the likelihoods."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.linear_model import LinearRegression

from skmoe import MixtureOfExpertsRegressor
from skmoe.likelihoods import BaseLikelihood, Categorical, Gaussian, StudentT


def started(y, weight=None, n_experts=2):
    y = np.asarray(y, dtype=float)
    return Gaussian().start(y, np.ones(len(y)) if weight is None else weight, n_experts)


# Gaussian ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_outputs", [None, 2])
def test_scale_is_the_weighted_root_mean_square_residual(n_outputs):
    rng = np.random.default_rng(0)
    shape = (50,) if n_outputs is None else (50, n_outputs)
    y, weights = rng.normal(size=shape), rng.uniform(size=(50, 3))
    prediction = rng.normal(size=(50, 3, *shape[1:]))
    penalty = np.full((3, *shape[1:]), 0.7)
    likelihood = started(y, n_experts=3)
    likelihood.update(y, prediction, weights, penalty)
    for k in range(3):
        squares = (weights[:, k] * ((y - prediction[:, k]) ** 2).T).T.sum(axis=0)
        expected = np.sqrt((squares + 0.7) / weights[:, k].sum())
        assert_allclose(likelihood.scale_[k], expected, rtol=1e-12)  # the same sums


@pytest.mark.parametrize("n_outputs", [None, 2])
def test_log_density_is_the_normal_one_joint_over_outputs(n_outputs):
    rng = np.random.default_rng(0)
    shape = (50,) if n_outputs is None else (50, n_outputs)
    y, prediction = rng.normal(size=shape), rng.normal(size=(50, 3, *shape[1:]))
    likelihood = started(y, n_experts=3)
    likelihood.update(y, prediction, rng.uniform(size=(50, 3)))
    expected = stats.norm.logpdf(y[:, None], prediction, likelihood.scale_)
    expected = expected if n_outputs is None else expected.sum(axis=2)
    assert_allclose(likelihood.log_density(y, prediction), expected, rtol=1e-12)


def test_expert_without_mass_gets_the_scale_of_the_target():
    y = np.random.default_rng(0).normal(size=100)
    likelihood = started(y)
    likelihood.update(y, np.zeros((100, 2)), np.column_stack([np.ones(100), np.zeros(100)]))
    assert_allclose(likelihood.scale_[1], y.std(), rtol=1e-12)


def test_scale_of_a_perfect_fit_is_a_thousandth_of_the_targets():
    y = np.random.default_rng(0).normal(size=100)
    likelihood = started(y)
    likelihood.update(y, np.column_stack([y, y]), np.ones((100, 2)))
    assert_allclose(likelihood.scale_, 1e-3 * y.std(), rtol=1e-12)


@pytest.mark.parametrize("step", [1.0, 0.5, 0.1, 1e-6, 7.0])
def test_targets_on_a_grid_have_the_rounding_error_for_a_floor(step):
    y = step * np.random.default_rng(0).integers(3, 12, size=300)
    assert_allclose(started(y).floor_, step / np.sqrt(12), rtol=1e-6)  # 0.1 is no binary number


def test_repeated_rows_do_not_make_a_grid():
    y = np.repeat(np.random.default_rng(0).normal(size=40), 25)
    assert_allclose(started(y).floor_, 1e-3 * y.std(), rtol=1e-12)


@pytest.mark.parametrize("values", [[0.0, 1.0], [0.0, 1.0, 100.0], [0.0, 1.0, np.pi]])
def test_few_values_scattered_values_and_irregular_ones_make_no_grid(values):
    y = np.repeat(values, 30)
    assert_allclose(started(y).floor_, 1e-3 * y.std(), rtol=1e-12)


def test_floor_does_not_see_rows_of_no_weight():
    y = np.r_[np.arange(20.0), 0.5, 0.1, 3.14]
    weight = np.r_[np.ones(20), np.zeros(3)]
    assert_allclose(started(y, weight).floor_, started(y[:20]).floor_, rtol=1e-12)


def test_each_output_has_its_own_floor():
    rng = np.random.default_rng(0)
    y = np.column_stack([rng.integers(0, 10, size=200), rng.normal(size=200)])
    expected = [1 / np.sqrt(12), 1e-3 * y[:, 1].std()]
    assert_allclose(started(y).floor_, expected, rtol=1e-12)


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ScaleFloorWarning")
@pytest.mark.parametrize("value", [0.0, 3.0, 1e10])
def test_constant_target_has_a_positive_scale_and_a_finite_density(value):
    X = np.random.default_rng(0).normal(size=(40, 2))
    y = np.full(40, value)
    moe = MixtureOfExpertsRegressor(LinearRegression(), 1).fit(X, y)
    assert (moe.likelihood_.scale_ > 0).all()
    # The scale is the rounding error of the target, and so is the fit.
    assert_allclose(moe.predict(X), value, atol=1e-14 * (1 + abs(value)))
    assert np.isfinite(moe.log_density(X, y)).all()


def test_whole_numbers_buy_no_spikes():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 1))
    y = np.round(X[:, 0] + rng.normal(size=400))
    moe = MixtureOfExpertsRegressor(
        n_experts=3, n_init=4, max_iter=300, random_state=0, training="em"
    ).fit(X, y)
    assert moe.likelihood_.scale_.min() >= 1 / np.sqrt(12) * (1 - 1e-12)


# Categorical ------------------------------------------------------------------------------------


def planted_predictions(temperature, epsilon, n=20_000, n_classes=3, seed=0):
    """Classes drawn from calibrated probabilities, and predictions that need calibration."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(n, n_classes))
    prediction = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    own = prediction ** (1 / temperature)
    own /= own.sum(axis=1, keepdims=True)
    truth = (1 - epsilon) * own + epsilon / n_classes  # all classes are equally frequent
    y = (rng.uniform(size=(n, 1)) > np.cumsum(truth, axis=1)[:, :-1]).sum(axis=1)
    return prediction[:, None], y, truth


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
def test_planted_temperature_is_learned(temperature):
    prediction, y, truth = planted_predictions(temperature, 0.0)
    likelihood = Categorical(calibration="temperature").start(y, np.ones(len(y)), 1)
    likelihood.update(y, prediction, np.ones((len(y), 1)))
    # Five standard errors of a scale parameter of 20,000 rows.
    assert_allclose(likelihood.temperature_, temperature, rtol=0.06)
    assert_allclose(likelihood.calibrate(prediction)[:, 0], truth, atol=0.02)


def test_temperature_and_smoothing_are_learned_together_and_raise_the_likelihood():
    prediction, y, truth = planted_predictions(0.6, 0.1)
    likelihood = Categorical().start(y, np.ones(len(y)), 1)
    values = []
    for _ in range(60):
        values.append(likelihood.log_density(y, prediction).mean())
        likelihood.update(y, prediction, np.ones((len(y), 1)))
    # The temperature is rounded to a thousandth, and its prior is worth a few rows of 20,000.
    assert np.diff(values).min() > -1e-6
    ideal = np.log(truth[np.arange(len(y)), y]).mean()
    assert abs(values[-1] - ideal) < 2e-4  # two parameters: a row or so of 20,000


def test_experts_are_calibrated_apart_by_their_own_rows():
    first, y, _ = planted_predictions(0.6, 0.0)
    second, y_second, _ = planted_predictions(2.5, 0.0, seed=1)
    n = len(y)
    prediction = np.concatenate([np.repeat(first, 2, axis=1), np.repeat(second, 2, axis=1)])
    weights = np.repeat(np.eye(2), n, axis=0)
    labels = np.concatenate([y, y_second])
    likelihood = Categorical(calibration="temperature").start(labels, np.ones(2 * n), 2)
    likelihood.update(labels, prediction, weights)
    assert_allclose(likelihood.temperature_, [0.6, 2.5], rtol=0.06)  # as above
    before = likelihood.calibrate(prediction)
    likelihood.reorder(np.array([1, 0]))
    assert_array_equal(likelihood.calibrate(prediction[:, ::-1]), before[:, ::-1])


@pytest.mark.parametrize("kind", [None, "temperature", "smoothing"])
def test_what_is_switched_off_stays(kind):
    prediction, y, _ = planted_predictions(2.0, 0.2)
    likelihood = Categorical(calibration=kind)
    likelihood.start(y, np.ones(len(y)), 1).update(y, prediction, np.ones((len(y), 1)))
    assert (likelihood.temperature_ == 1).all() == (kind != "temperature")
    assert (likelihood.epsilon_ == 1e-3).all() == (kind != "smoothing")
    assert likelihood.n_parameters_ == (0 if kind is None else 1)


@pytest.mark.parametrize("epsilon", [0.0, 1e-3])
def test_certain_and_wrong_predictions_have_a_finite_log_density(epsilon):
    y = np.array([0, 1, 1, 0])
    prediction = np.repeat(np.eye(2)[[1, 0, 1, 0]][:, None], 2, axis=1)  # two are wrong
    likelihood = Categorical(epsilon=epsilon).start(y, np.ones(4), 2)
    for _ in range(5):
        log_density = likelihood.log_density(y, prediction)
        assert np.isfinite(log_density).all()
        likelihood.update(y, prediction, np.full((4, 2), 0.5))
    proba = likelihood.calibrate(prediction)
    assert_allclose(proba.sum(axis=2), 1, rtol=1e-12)
    assert (likelihood.epsilon_ > 0.4).all()  # next to nothing to be learned from these


def test_class_that_an_expert_never_saw_gets_its_share_of_the_smoothing():
    y = np.array([0, 0, 1, 2])
    prediction = np.array([[[0.7, 0.3, 0.0]]])
    likelihood = Categorical(epsilon=0.1).start(y, np.ones(4), 1)
    expected = 0.9 * prediction[0, 0] + 0.1 * np.array([0.5, 0.25, 0.25])
    assert_allclose(likelihood.calibrate(prediction)[0, 0], expected, rtol=1e-12)
    assert_allclose(likelihood.log_density(np.array([2]), prediction), np.log(0.025), rtol=1e-12)


def test_class_shares_are_weighted():
    likelihood = Categorical().start(np.array([0, 1, 1]), np.array([2.0, 1.0, 1.0]), 1)
    assert_allclose(likelihood.class_share_, [0.5, 0.5], rtol=1e-14)


# Every likelihood ---------------------------------------------------------------------------------

EVERY_LIKELIHOOD = [
    *sorted(BaseLikelihood.by_name.keys() - {"categorical"}),
    StudentT("estimate"),
    Gaussian("shared"),
]


@pytest.mark.parametrize("likelihood", EVERY_LIKELIHOOD, ids=str)
def test_reports_under_every_likelihood_are_printed_and_tables(likelihood):
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(100, 1))
    y = 1.0 + rng.poisson(np.exp(1 + 2 * X[:, 0]))
    if likelihood == "binomial":
        y = (y > 4).astype(float)
    if likelihood == "beta":
        y = y / (1 + y.max())
    moe = MixtureOfExpertsRegressor(
        n_experts=2, likelihood=likelihood, n_init=1, random_state=0, training="em"
    )
    report = moe.set_params(tol=1e-3).fit(X, y).expert_report()
    frame = report.to_frame()
    assert len(frame) == 2
    scale = moe.likelihood_.scale_
    expected = np.full(2, np.nan) if scale is None else scale
    assert_array_equal(frame["scale"], expected)
    header, *rows = str(report).splitlines()
    assert "scale" in header
    for row, scale in zip(rows[:2], expected, strict=True):
        assert row.split()[-2] == ("-" if np.isnan(scale) else f"{scale:.3g}")
    html = report._repr_html_()
    assert html.count("<td>-</td>") == np.isnan(expected).sum()
    assert "nan" not in str(report) + html


class Nameless:
    """Not a likelihood: it lacks nearly all."""

    def log_density(self, y, prediction, experts=None):
        return -np.abs(y[:, None] - prediction)

    def update(self, y, prediction, weights, penalty=0.0, pooled_rows=0.0):
        pass


@pytest.mark.parametrize("wrong", ["bad", Gaussian, "Gaussian"])
def test_a_likelihood_that_does_not_exist_is_refused_by_the_names_of_those_that_do(wrong):
    X, y = np.arange(20.0)[:, None], np.arange(20.0)
    moe = MixtureOfExpertsRegressor(n_experts=2, likelihood=wrong, training="em")
    with pytest.raises(
        ValueError, match=r"one of \['beta', 'binomial', 'gamma', .*; got "
    ) as caught:
        moe.fit(X, y)
    assert repr(wrong) in str(caught.value)
    assert not hasattr(moe, "likelihood_")


@pytest.mark.parametrize(
    ("method", "attribute"),
    [
        ("expert_target", "changes_target"),
        ("working_weights", "is_robust"),
        ("working_exposure", "is_reweighted"),
        ("learn_batch", "learns_batches"),
    ],
)
def test_what_a_likelihood_does_is_an_attribute_of_its_class(method, attribute):
    own = {method: lambda self, *args: None}
    with pytest.raises(TypeError, match=f"Own has {method}: .* {attribute} = True"):
        type("Own", (BaseLikelihood,), own)
    stated = type("Own", (BaseLikelihood,), own | {attribute: True})
    assert getattr(stated, attribute)
    assert not getattr(BaseLikelihood, attribute)


def test_what_is_no_likelihood_is_refused_when_fit_begins(monkeypatch):
    X, y = np.arange(20.0)[:, None], np.arange(20.0)
    begun = []
    monkeypatch.setattr(LinearRegression, "fit", lambda *args: begun.append(args))
    moe = MixtureOfExpertsRegressor(LinearRegression(), 2, likelihood=Nameless(), cv=2)
    with pytest.raises(ValueError, match=r"derives from skmoe.likelihoods.BaseLikelihood"):
        moe.fit(X, y)
    assert not begun
