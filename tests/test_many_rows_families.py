"""Several outputs, three classes, counts and Gamma targets of rows that are not in memory."""

from functools import partial

import numpy as np
import pytest
from mixtures import assert_same_mixtures, mixture_of
from numpy.testing import assert_allclose
from planted import UNITS, in_parts, planted
from sklearn.linear_model import GammaRegressor, PoissonRegressor, Ridge

from skmoe._em.general import GeneralProblem
from skmoe._em.one_pass import OnePassProblem
from skmoe._em.trainer import Trainer
from skmoe.gates import ConstantGate
from skmoe.likelihoods import Gaussian

pytestmark = pytest.mark.usefixtures("few_rows_for_starts")


def rows_of_each_kind(n=2000):
    """Rows of two regimes, weights, and targets of each kind."""
    slopes = np.array([[1.0, -0.5, 0.0], [0.5, 1.0, -1.0], [-1.0, 0.0, 0.5]])
    coef = np.array([np.vstack([slopes, np.ones(3)]), np.vstack([-slopes.T, np.zeros(3)])])
    rows = planted(n, gate=[-1 / 0.3, 0, 0, 0], coef=0.5 * coef[..., 0], kind="poisson")
    y = {
        "counts": rows.y,
        "outputs": rows.target(coef, "normal", scale=0.3) * [1.0, 100.0, 0.01],
        "classes": rows.target(3 * coef, "classes"),
        "gamma": rows.target(coef[..., 0], "gamma"),
    }
    return rows.X * UNITS[0] + UNITS[1], y, rows.weights()


mixture = partial(mixture_of, n_experts=2, n_init=3, tol=1e-4, random_state=0)


KINDS = {
    "outputs": ("outputs", {}),
    "outputs of one scale": ("outputs", {"likelihood": Gaussian("shared"), "experts": Ridge()}),
    "classes": ("classes", {}),
    "proportions of classes": ("classes", {"gate": ConstantGate()}),
    "counts": ("counts", {}),
    "unpenalised counts": ("counts", {"experts": PoissonRegressor(alpha=0)}),
    "gamma": ("gamma", {"gate": ConstantGate()}),
    "unpenalised gamma": ("gamma", {"experts": GammaRegressor(alpha=0)}),
}


@pytest.mark.parametrize(("kind", "params"), KINDS.values(), ids=KINDS)
def test_mixtures_from_blocks_are_those_of_rows_in_memory(kind, params):
    X, y, weight = rows_of_each_kind()
    moe = mixture(kind, training="em", **params).fit(X, y[kind], weight)
    other = mixture(kind, **params).fit(
        in_parts(X, y[kind], weight, bounds=[1, 40, 40, 801, 1500, 2000])
    )
    assert_same_mixtures(moe, other)


@pytest.mark.parametrize("kind", ["outputs", "classes", "counts", "gamma"])
def test_mixtures_from_collections_of_dask_are_those_of_rows_in_memory(kind):
    array = pytest.importorskip("dask.array")
    X, y, _ = rows_of_each_kind()
    moe = mixture(kind, training="em").fit(X, y[kind])
    chunks = (700, 700, 600)
    target = array.from_array(y[kind], chunks=(chunks, 3) if kind == "outputs" else (chunks,))
    other = mixture(kind).fit(array.from_array(X, chunks=(chunks, 3)), target)
    assert_same_mixtures(moe, other)


def test_one_expert_of_counts_is_poisson_regression_on_all_rows():
    X, y, weight = rows_of_each_kind()
    moe = mixture("counts", n_experts=1, tol=1e-10)
    moe.fit(in_parts(X, y["counts"], weight, bounds=[900, 2000]))
    mean, scale = X.mean(axis=0), X.std(axis=0)  # for the solver of scikit-learn
    expected = PoissonRegressor(alpha=0, solver="newton-cholesky", tol=1e-10)
    expected.fit((X - mean) / scale, y["counts"], weight)
    assert_allclose(moe.predict(X), expected.predict((X - mean) / scale), rtol=1e-5)


def test_scales_of_outputs_on_grids_have_the_floors_of_all_rows():
    X, y, _ = rows_of_each_kind()
    target = np.column_stack([np.round(y["outputs"][:, 0], 1), y["outputs"][:, 1]])
    moe = mixture("outputs", max_iter=3, tol=0.5).fit(in_parts(X, target, bounds=[900, 2000]))
    variance = target.var(axis=0)
    floors = [0.1 / np.sqrt(12), 1e-3 * np.sqrt(variance[1])]
    assert_allclose(moe.likelihood_.floor_, floors, rtol=1e-10)


def test_rows_of_all_kinds_count_twice_where_they_are_given_twice():
    X, y, _ = rows_of_each_kind(n=1200)
    times = np.random.default_rng(1).integers(0, 3, size=len(X))
    twice = np.repeat(np.arange(len(X)), times)
    for kind, target in y.items():
        files = in_parts(X, target, times.astype(float), bounds=[500, 1200])
        again = in_parts(X[twice], target[twice], bounds=[300, len(twice)])
        assert_same_mixtures(mixture(kind).fit(files), mixture(kind).fit(again))


@pytest.mark.parametrize(
    ("kind", "value", "what"),
    [("counts", 0.5, "whole numbers"), ("counts", -1, "whole numbers"), ("gamma", 0, "positive")],
)
def test_one_value_of_the_wrong_kind_is_found_in_any_block(kind, value, what):
    X, y, _ = rows_of_each_kind()
    target = y[kind].copy()
    target[1990] = value
    with pytest.raises(ValueError, match=what) as error:
        mixture(kind).fit(in_parts(X, target, bounds=[900, 2000]))
    assert "block 1" in error.value.__notes__[0]


def test_counts_that_are_all_zero_are_refused():
    X, y, _ = rows_of_each_kind()
    with pytest.raises(ValueError, match="zero in every row"):
        mixture("counts").fit(in_parts(X, 0 * y["counts"], bounds=[900, 2000]))


@pytest.mark.parametrize(
    ("kind", "params", "is_exact"),
    [
        ("counts", {}, True),
        ("counts", {"experts": PoissonRegressor(alpha=0.1)}, False),
        ("outputs", {"likelihood": Gaussian(covariance="full")}, False),
    ],
    ids=range(3),
)
def test_what_has_no_sums_is_in_memory(kind, params, is_exact, monkeypatch):
    monkeypatch.setattr(Trainer, "train", 0)
    X, y, _ = rows_of_each_kind()
    with pytest.raises(TypeError) as error:  # of the trainer that is asked
        mixture(kind, **params).fit(in_parts(X, y[kind], bounds=[900, 2000]))
    trainer = error.traceback[-1].frame.f_locals["trainer"]
    assert type(trainer.problem) is (OnePassProblem if is_exact else GeneralProblem)


def test_the_logarithm_of_an_exposure_may_be_a_column_of_files():
    coef = [[0.5, 0.0, 1.0], [0.0, -0.5, -1.0]]
    rows = planted(4000, 2, kind="poisson", gate=[3, 0, 0], coef=coef, exposure=(2, 10))
    X = np.column_stack([rows.X, np.log(rows.exposure)])
    moe = mixture("counts", training="em").fit(rows.X, rows.y, exposure=rows.exposure)
    other = mixture("counts").fit(in_parts(X, rows.y, bounds=[1000, 4000]))
    assert_allclose([expert.coef_[2] for expert in other.experts_], 1.0, atol=0.1)
    expected = moe.log_density(rows.X, rows.y, exposure=rows.exposure).mean()
    # Four more parameters fit the rows better by about two nats, of 4000 rows.
    assert_allclose(other.log_density(X, rows.y).mean(), expected, atol=2e-3)
