"""The number of experts: planted ones are found, one among them, and the table says why."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from planted import planted
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsRegressor
from skmoe.exceptions import ExpertCollapseWarning
from skmoe.gates import ConstantGate
from skmoe.model_selection import select_n_experts


def one_line(seed, n_samples=300):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 2))
    return X, X @ [1.0, -2.0] + rng.normal(size=n_samples)


def two_lines(seed, n_samples=300):
    truth = {"gate": [3, 0, 0], "coef": [[0, -2, 1], [0, 2, 0]], "noise": 0.4}
    return planted(n_samples, 2, random_state=seed, **truth)[:2]


def three_lines(seed, n_samples=400):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-3, 3, size=(n_samples, 1))
    x = X[:, 0]
    y = np.choose(np.digitize(x, [-1, 1]), [2 + x, -1 + 2 * x, 3 - 2 * x])
    return X, y + 0.3 * rng.normal(size=n_samples)


PLANTED = [(one_line, 1), (two_lines, 2), (three_lines, 3)]


@pytest.mark.parametrize(("make", "n_experts"), PLANTED)
def test_bic_and_icl_find_the_planted_number(make, n_experts):
    X, y = make(0)
    moe = MixtureOfExpertsRegressor(n_init=5, random_state=0, training="em")
    found = select_n_experts(moe, X, y, range(1, 5))
    assert found.criterion_ == "bic"
    assert found.best_n_experts_ == n_experts == len(found.best_estimator_.experts_)
    assert found.results_["n_experts"][np.argmin(found.results_["icl"])] == n_experts


@pytest.mark.parametrize(("make", "n_experts"), PLANTED[:2])
def test_cross_validation_finds_the_planted_number(make, n_experts):
    X, y = make(3, 200)
    moe = MixtureOfExpertsRegressor(n_init=2, random_state=0, training="em")
    found = select_n_experts(moe, X, y, [1, 2, 3], criterion="cv", cv=2, random_state=0)
    assert found.best_n_experts_ == n_experts


def test_table_agrees_with_the_criteria_of_single_fits():
    X, y = two_lines(0)
    weight = np.random.default_rng(0).uniform(0.5, 2, size=len(y))
    moe = MixtureOfExpertsRegressor(random_state=0, training="em")
    found = select_n_experts(moe, X, y, [2], criterion="icl", sample_weight=weight)
    assert not hasattr(moe, "experts_")
    for i, n_experts in enumerate([1, 2]):  # one is a candidate, asked for or not
        single = MixtureOfExpertsRegressor(n_experts=n_experts, random_state=0, training="em")
        single.fit(X, y, sample_weight=weight)
        assert found.results_["n_experts"][i] == n_experts
        for criterion in ("bic", "icl", "aic"):
            expected = getattr(single, criterion)(X, y, weight)
            assert_allclose(found.results_[criterion][i], expected, rtol=1e-12)
        log_likelihood = weight @ single.log_density(X, y)
        assert_allclose(found.results_["log_likelihood"][i], log_likelihood, rtol=1e-12)
    # The fit that was compared is the one that is returned.
    assert_allclose(found.best_estimator_.predict(X), single.predict(X), rtol=1e-12)


def test_icl_is_bic_plus_twice_the_entropy():
    X, y = two_lines(0)
    weight = np.arange(len(y)) % 3
    moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0, training="em").fit(
        X, y, sample_weight=weight
    )
    resp = moe.responsibilities(X, y)
    entropy = -(weight * (resp * np.log(np.maximum(resp, 1e-300))).sum(axis=1)).sum()
    assert entropy > 1
    assert_allclose(moe.icl(X, y, weight) - moe.bic(X, y, weight), 2 * entropy, rtol=1e-12)


def test_cross_validated_scores_are_those_of_mixtures_that_did_not_see_the_row():
    X, y = two_lines(1, 120)
    weight = np.random.default_rng(0).uniform(0.5, 2, size=len(y))
    folds = [(np.arange(60), np.arange(60, 120)), (np.arange(60, 120), np.arange(60))]
    moe = MixtureOfExpertsRegressor(random_state=0, training="em")
    found = select_n_experts(
        moe, X, y, [2], criterion="cv", cv=folds, sample_weight=weight
    ).results_
    score = np.empty((120, 2))
    for train, test in folds:
        for k in (1, 2):
            part = MixtureOfExpertsRegressor(n_experts=k, random_state=0, training="em")
            part.fit(X[train], y[train], sample_weight=weight[train])
            score[test, k - 1] = part.log_density(X[test], y[test])
    means = np.average(score, axis=0, weights=weight)
    assert_allclose(found["log_score"], means, rtol=1e-12)
    best = np.argmax(means)
    behind = score[:, best] - score[:, 1 - best]
    spread = np.average((behind - behind.mean()) ** 2, weights=weight)
    assert_allclose(found["difference"][1 - best], means.max() - means.min(), rtol=1e-12)
    # The centre of the squares is the weighted mean; the plain one is off by little.
    assert_allclose(found["std_error"][1 - best], np.sqrt(spread / weight.sum()), rtol=0.05)


@pytest.mark.parametrize(
    ("n_samples", "n_features"),
    [(30, 1), (100, 20)],
)
def test_one_expert_is_chosen_where_parameters_are_many_and_regimes_none(n_samples, n_features):
    """By BIC, 10 of 12 such tables of the first size had three or four experts."""
    moe = MixtureOfExpertsRegressor(n_init=1, max_iter=30, random_state=0, training="em")
    for seed in range(2):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(n_samples, n_features))
        y = X[:, 0] + rng.normal(size=n_samples)
        found = select_n_experts(moe, X, y, [2, 4], random_state=0)
        assert (found.criterion_, found.best_n_experts_) == ("cv", 1)


def patients(seed=0, n_patients=60, n_visits=5):
    """Counts of two regimes, a regime for each patient."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(n_patients), n_visits)
    X = rng.uniform(-1, 1, size=(len(subject), 1))
    exposure = rng.uniform(1, 5, size=len(subject))
    first = subject < 0.6 * n_patients
    y = rng.poisson(exposure * np.exp(np.where(first, 1 + X[:, 0], 1 - X[:, 0])))
    return X, y, exposure, subject


@pytest.mark.parametrize("given", [("exposure",), ("exposure", "subject")])
def test_criteria_are_told_of_exposure_and_subjects(given):
    X, y, exposure, subject = patients()
    rows = {"exposure": exposure, "subject": np.array([f"p{i}" for i in subject], dtype=object)}
    rows = {name: rows[name] for name in given}
    moe = MixtureOfExpertsRegressor(
        gate=ConstantGate(), likelihood="poisson", training="em", n_init=2, random_state=0
    )
    found = select_n_experts(moe, X, y, [1, 2], **rows)
    assert found.criterion_ == "bic"
    for i, n_experts in enumerate([1, 2]):
        single = clone(moe).set_params(n_experts=n_experts).fit(X, y, **rows)
        log_likelihood = single.log_density(X, y, **rows).sum()
        assert_allclose(found.results_["log_likelihood"][i], log_likelihood, rtol=1e-12)
        for criterion in ("bic", "icl", "aic"):
            expected = getattr(single, criterion)(X, y, **rows)
            assert_allclose(found.results_[criterion][i], expected, rtol=1e-12)
    assert_allclose(found.best_estimator_.predict(X), single.predict(X), rtol=1e-12)
    assert found.best_n_experts_ == 2


def test_cross_validation_holds_out_whole_subjects_and_scores_them_together():
    X, y, exposure, subject = patients()
    order = np.random.default_rng(0).permutation(len(y))
    X, y, exposure, subject = X[order], y[order], exposure[order], subject[order]
    weight = np.random.default_rng(0).uniform(0.5, 2, size=len(y))
    halves = [np.flatnonzero(subject % 2 == part) for part in (0, 1)]
    folds = [(halves[0], halves[1]), (halves[1], halves[0])]
    moe = MixtureOfExpertsRegressor(
        gate=ConstantGate(), likelihood="poisson", training="em", n_init=2, random_state=0
    )
    rows = {"exposure": exposure, "subject": subject, "sample_weight": weight}
    found = select_n_experts(moe, X, y, [2], criterion="cv", cv=folds, **rows).results_
    score = np.empty((60, 2))
    for k in (1, 2):
        for train, test in folds:
            part = clone(moe).set_params(n_experts=k)
            part.fit(X[train], y[train], **{name: v[train] for name, v in rows.items()})
            of_test = {name: v[test] for name, v in rows.items()}
            score[np.unique(subject[test]), k - 1] = part.log_density(X[test], y[test], **of_test)
    assert_allclose(found["log_score"], score.mean(axis=0), rtol=1e-12)
    behind = score[:, 1] - score[:, 0]
    assert_allclose(found["std_error"], [behind.std() / np.sqrt(60), 0], atol=1e-12)
    by_number = select_n_experts(moe, X, y, [2], criterion="cv", cv=3, random_state=0, **rows)
    assert by_number.best_n_experts_ == 2
    with pytest.raises(ValueError, match="split subjects"):
        select_n_experts(moe, X, y, [2], criterion="cv", cv=KFold(3), **rows)


def test_groups_stay_whole_in_all_folds_and_in_standard_errors():
    seen = []

    class Witness(DecisionTreeRegressor):
        def fit(self, X, y, sample_weight=None):
            seen.append(np.unique(X[:, 1], return_counts=True)[1])
            return super().fit(X, y, sample_weight)

    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), 10)
    X = np.column_stack([rng.normal(size=120), groups])
    y = X[:, 0] + rng.normal(size=120)
    moe = MixtureOfExpertsRegressor(
        Witness(min_samples_leaf=20), training="em", n_init=1, max_iter=2, cv=2, random_state=0,
    )  # fmt: skip
    found = select_n_experts(moe, X, y, [1], cv=3, groups=groups, random_state=0)
    assert found.criterion_ == "cv"
    assert all((counts == 10).all() for counts in seen)
    # In-sample experts stay in-sample if they are told to, and a group's rows count as one.
    line = MixtureOfExpertsRegressor(cv=False, n_init=1, tol=1e-3, random_state=0, training="em")
    folds = [(np.flatnonzero(groups % 2 == i), np.flatnonzero(groups % 2 != i)) for i in (0, 1)]
    found = select_n_experts(line, X, y, [2], criterion="cv", cv=folds, groups=groups)
    score = np.empty((120, 2))
    for k in (1, 2):
        for train, test in folds:
            part = clone(line).set_params(n_experts=k).fit(X[train], y[train])
            score[test, k - 1] = part.log_density(X[test], y[test])
    best = np.argmax(score.mean(axis=0))
    behind = score[:, best] - score[:, 1 - best]
    sums = np.bincount(groups, behind - behind.mean())
    expected = np.sqrt((sums**2).sum()) / 120
    assert_allclose(found.results_["std_error"][1 - best], expected, rtol=1e-10)


@pytest.mark.filterwarnings("always")
def test_only_warnings_of_the_chosen_mixture_are_passed_on(recwarn):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 1))
    y = X[:, 0] + 0.1 * rng.normal(size=40)
    moe = MixtureOfExpertsRegressor(
        LinearRegression(), gate=ConstantGate(), cv=False, n_init=1, max_iter=3, random_state=0
    )
    found = select_n_experts(moe, X, y, [1, 6])
    assert found.best_n_experts_ == 1
    assert not [w for w in recwarn if issubclass(w.category, ExpertCollapseWarning)]
    assert not len(recwarn)
    with pytest.warns(UserWarning, match="EM stopped after max_iter=3"):
        moe.set_params(n_experts=6).fit(X, y)  # what was not passed on was there


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"criterion": "hq"}, ValueError, "got 'hq'"),
        ({"n_experts": []}, ValueError, "one at least"),
        ({"n_experts": [0, 2]}, ValueError, "must be positive"),
        ({"estimator": LinearRegression()}, TypeError, "mixture of experts; got LinearReg"),
        (
            {"estimator": MixtureOfExpertsRegressor([("line", LinearRegression())])},
            TypeError,
            "A list has as many experts",
        ),
    ],
)
def test_what_cannot_be_selected_is_refused(change, error, message):
    X, y = one_line(0, 30)
    given = {"estimator": MixtureOfExpertsRegressor(training="em"), "X": X, "y": y, **change}
    with pytest.raises(error, match=message):
        select_n_experts(**given)
