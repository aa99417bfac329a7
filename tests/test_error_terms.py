"""Standard errors under long tails, and of several outputs."""

from functools import partial

import numpy as np
import pytest
from scipy import special

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate
from skmoe.inference._estimates import Estimates
from skmoe.likelihoods import Gaussian, StudentT


def two_lines(errors, seed=0, n=500):
    """Lines of slopes 1 and -2 behind a logistic gate of slope 3, with errors of scale 0.5."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, size=(n, 1))
    first = rng.uniform(size=n) < special.expit(3 * X[:, 0])
    if errors == "outputs":
        lines = np.where(first[:, None], [3, 0, 1] + X, [-3, 1, 0] - X)
        return X, lines + 0.5 * rng.normal(size=(n, 3))
    drawn = rng.standard_t(4, size=n) if errors == "student" else rng.normal(size=n)
    y = np.where(first, 3 + X[:, 0], -1 - 2 * X[:, 0]) + 0.5 * drawn
    return X, np.exp(y / 5) if errors == "log" else y


CASES = {
    "student": (StudentT(), "student"),
    "student_df": (StudentT("estimate"), "student"),
    "log": ("log_normal", "log"),
    "one_scale": (Gaussian("shared"), "outputs"),
}


mixture = partial(
    MixtureOfExpertsRegressor, n_experts=2, training="em", n_init=3, tol=1e-7, random_state=0
)


@pytest.mark.parametrize("case", CASES)
def test_gradient_and_information_are_derivatives(case):
    likelihood, errors = CASES[case]
    X, y = two_lines(errors, n=200)
    estimates = Estimates(mixture(likelihood=likelihood).fit(X, y), X, y)
    of_rows, theta = estimates.likelihood, estimates.fitted()
    theta = theta + 0.02 * np.random.default_rng(1).normal(size=len(theta))
    _, gradient, information = of_rows.derivatives(theta)
    steps = 1e-5 * np.eye(of_rows.size)
    up, down = ([of_rows.derivatives(theta + sign * step) for step in steps] for sign in (1, -1))
    differences = [(u[0] - d[0]) / 2e-5 for u, d in zip(up, down, strict=True)]
    np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-5)
    differences = -np.array([(u[1] - d[1]) / 2e-5 for u, d in zip(up, down, strict=True)])
    size = np.abs(information).max()
    np.testing.assert_allclose(information / size, differences / size, atol=1e-7)


def test_agrees_with_refit_of_flexmix(shared_data):
    # refit() of flexmix 2.3-20 for yn ~ x + I(x^2) and yp ~ x, two components.
    table, normal, *_ = shared_data("NPreg")
    x, counts = table["x"].to_numpy(), table["yp"].to_numpy()
    params = {
        "n_experts": 2, "gate": ConstantGate(), "training": "em", "tol": 1e-12, "max_iter": 5000,
        "random_state": 0,
    }  # fmt: skip
    for likelihood, X, y, log_likelihood, known in (
        (
            "gaussian",
            np.column_stack([x, x**2]),
            normal,
            -642.5451665,
            [1.32377439, 0.59158299, 0.05526030, 0.07825097]
            + [1.00920643, 0.50960961, 0.04975510, 0.08168561, 0.15891644],
        ),
        (
            "poisson",
            x[:, None],
            counts,
            -440.6402943,
            [0.17435658, 0.03940059, 0.17936208, 0.02742287, 0.42111472],
        ),
    ):
        moe = MixtureOfExpertsRegressor(likelihood=likelihood, **params).fit(X, y)
        summary = moe.summary(X, y)
        assert summary.log_likelihood == pytest.approx(log_likelihood, abs=2e-2)  # sigmas by df
        np.testing.assert_allclose(summary.std_error, known, rtol=5e-3)  # its Hessian is numerical


def test_what_has_no_standard_errors_is_refused():
    X, y = two_lines("outputs", n=150)
    for likelihood in ("student_t", Gaussian(covariance="full")):
        moe = mixture(likelihood=likelihood).fit(X, y)
        with pytest.raises(ValueError, match="of one output.*bootstrap"):
            moe.summary(X, y)
