"""Callbacks of scikit-learn: progress, early stop, scores by iteration."""

import pickle

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.utils.fixes import parse_version

from skmoe import MixtureOfExpertsRegressor, _compat
from skmoe.metrics import log_score

HAS_CALLBACKS = parse_version(sklearn.__version__) >= parse_version("1.9")
needs_callbacks = pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn < 1.9")


class FittedOneByOne(LinearRegression):
    """Linear regression that the mixture does not recognise, and so fits as any estimator."""


class Recorder:
    """Notes what it is told; stops a fit after ``stop_after`` EM iterations."""

    max_propagation_depth = None

    def __init__(self, stop_after=np.inf):
        self.stop_after = stop_after
        self.begun, self.ended, self.fitted = [], [], []
        self.n_setups = self.n_teardowns = 0

    def setup(self, estimator, context):
        self.n_setups += 1

    def teardown(self, estimator, context):
        self.n_teardowns += 1

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context)

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.ended.append(context)
        if context.task_name == "EM iteration":
            self.fitted.append(fitted_estimator)
            return context.task_id + 1 >= self.stop_after

    def iterations(self):
        return [context for context in self.ended if context.task_name == "EM iteration"]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(240, 2))
    y = np.where(X[:, 0] > 0, 2 + 3 * X[:, 1], -1 - 2 * X[:, 1]) + 0.5 * rng.normal(size=240)
    return X, y


def linear(**params):
    return MixtureOfExpertsRegressor(n_experts=2, n_init=3, random_state=0, training="em", **params)


def cross_fitted(**params):
    return MixtureOfExpertsRegressor(Ridge(), 2, cv=3, n_init=3, random_state=0, **params)


@needs_callbacks
@pytest.mark.parametrize(("make", "most"), [(linear, 500), (cross_fitted, 10)])
def test_every_em_iteration_is_a_task_of_the_fit(data, make, most):
    recorder = Recorder()
    moe = make().set_callbacks(recorder).fit(*data)
    root, *iterations = recorder.begun
    assert (root.task_name, root.max_subtasks) == ("fit", most)
    assert [context.task_id for context in iterations] == list(range(moe.n_iter_))
    assert all(context.parent is root for context in iterations)
    assert recorder.ended == [*iterations, root]
    assert (recorder.n_setups, recorder.n_teardowns) == (1, 1)


@needs_callbacks
def test_a_callback_does_not_change_the_result(data):
    for make in (linear, cross_fitted):
        plain = make().fit(*data)
        heard = make().set_callbacks(Recorder()).fit(*data)
        assert heard.lower_bounds_ == plain.lower_bounds_
        assert heard.n_expert_fits_ == plain.n_expert_fits_
        assert_allclose(heard.predict(data[0]), plain.predict(data[0]), rtol=0, atol=0)


@needs_callbacks
def test_a_callback_that_asks_to_stop_ends_em(data):
    recorder = Recorder(stop_after=3)
    moe = linear(tol=0.0).set_callbacks(recorder).fit(*data)  # and nothing warns of max_iter
    assert moe.n_iter_ == len(moe.lower_bounds_) == len(recorder.iterations()) == 3
    assert not moe.converged_
    assert recorder.ended[-1].task_name == "fit"


@needs_callbacks
@pytest.mark.parametrize(
    "make", [linear, cross_fitted, lambda: linear(experts=FittedOneByOne(), cv=False)]
)
def test_what_a_callback_sees_after_an_iteration_predicts_as_if_fit_had_stopped_there(data, make):
    recorder = Recorder()
    moe = make().set_callbacks(recorder).fit(*data)
    bounds = [fitted.lower_bound_ for fitted in recorder.fitted]
    assert bounds == moe.lower_bounds_
    best = recorder.fitted[int(np.argmax(bounds))]
    assert_allclose(best.predict(data[0]), moe.predict(data[0]), rtol=1e-12)
    assert_allclose(best.log_density(*data), moe.log_density(*data), rtol=1e-12)
    assert_allclose(best.expert_load_, moe.expert_load_, rtol=1e-12)


@needs_callbacks
def test_a_scoring_monitor_follows_the_log_score(data):
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring={"log_score": log_score})
    moe = linear().set_callbacks(monitor).fit(*data)
    rows = monitor.get_logs().data
    scores = [row["log_score"] for row in rows if row["task_name"] == "EM iteration"]
    assert len(scores) == moe.n_iter_
    # Up to the penalties of gate and experts, the log-score is the objective.
    assert_allclose(scores, moe.lower_bounds_, atol=0.02)
    assert_allclose(scores[-1], log_score(moe, *data), rtol=1e-12)


@needs_callbacks
def test_progress_bars_count_refits_and_other_callbacks_see_none(data, monkeypatch):
    moe = linear().fit(*data)
    monkeypatch.setattr(_compat, "ProgressBar", Recorder)
    bar = Recorder()
    moe.set_callbacks(bar).stability(*data, n_resamples=2)
    assert len(bar.iterations()) == 4  # those of seeds and halves
    assert (bar.n_setups, bar.n_teardowns) == (1, 1)
    monkeypatch.setattr(_compat, "ProgressBar", ())
    moe.stability(*data, n_resamples=2)
    assert bar.n_setups == 1


@needs_callbacks
def test_callbacks_are_torn_down_and_nothing_is_left_when_fit_fails(data):
    class Failing(Recorder):
        def on_fit_task_end(self, estimator, context):
            raise RuntimeError("enough")

    for callback, X, error in [
        (Failing(), data[0], RuntimeError),
        (Recorder(), data[0][:5], ValueError),
    ]:
        moe = linear().set_callbacks(callback)
        before = set(vars(moe))
        with pytest.raises(error):
            moe.fit(X, data[1])
        assert callback.n_teardowns == 1
        assert set(vars(moe)) == before


def test_where_none_is_set_or_scikit_learn_has_none_a_fit_is_what_it_was(data):
    moe = linear().fit(*data)
    assert hasattr(moe, "set_callbacks") == HAS_CALLBACKS
    assert not [name for name in vars(moe) if "callback" in name]
    assert clone(pickle.loads(pickle.dumps(moe))).get_params() == moe.get_params()
