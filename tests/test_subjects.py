"""Subjects: all rows of one share an expert."""

from functools import cache, partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate, GaussianGate, SoftmaxGate
from skmoe.inference import bootstrap


def patients(n_patients=120, n_visits=6, seed=0):
    """Two regimes that single visits cannot tell apart; column 1 is the patient's, and decides.

    Returns X, y, the patient of each visit and the regime of each patient.
    """
    rng = np.random.default_rng(seed)
    age = rng.normal(size=n_patients)
    regime = (rng.uniform(size=n_patients) < special.expit(3 * age)).astype(int)
    patient = np.repeat(np.arange(n_patients), n_visits)
    x = rng.normal(size=len(patient))
    slope = np.array([-1.0, 1.0])[regime[patient]]
    y = slope * x + 1.0 * rng.normal(size=len(patient))
    return np.column_stack([x, age[patient]]), y, patient, regime


def gate_on_age(gate):
    return make_pipeline(ColumnTransformer([("age", "passthrough", [1])]), gate)


mixture = partial(
    MixtureOfExpertsRegressor,
    n_experts=2,
    gate=gate_on_age(SoftmaxGate()),
    training="em",
    n_init=4,
    max_iter=500,
    tol=1e-9,
    random_state=0,
)


@pytest.mark.parametrize(("subject", "log_likelihood"), [("id1", -594.8532), ("id2", -561.5537)])
def test_textbook_likelihood_of_repeated_measurements_is_reached(
    subject, log_likelihood, shared_data
):
    # Leisch's data (2004): two rows, or four, share a component.
    X, y, _, _ = shared_data("NPreg")
    subject, x = X[subject].to_numpy(), X["x"].to_numpy()
    X = np.column_stack([x, x**2])
    moe = mixture(gate=ConstantGate(), tol=1e-11, max_iter=5000).fit(X, y, subject=subject)
    assert_allclose(moe.log_density(X, y, subject=subject).sum(), log_likelihood, rtol=0, atol=1e-3)
    assert np.diff(moe.lower_bounds_).min() >= -1e-12


def test_planted_regimes_of_patients_are_recovered_where_visits_are_ambiguous():
    X, y, patient, regime = patients()
    moe = mixture().fit(X, y, subject=patient)
    order = np.argsort([expert.coef_[0] for expert in moe.experts_])
    slopes = np.array([expert.coef_[0] for expert in moe.experts_])[order]
    assert_allclose(slopes, [-1, 1], atol=0.15)  # three standard errors of 360 rows
    assert_allclose(moe.likelihood_.scale_, 1, atol=0.12)
    together = moe.responsibilities(X, y, subject=patient)[:, order[1]]
    alone = moe.responsibilities(X, y)[:, order[1]]
    truth = regime[patient]
    assert np.mean((together > 0.5) == truth) > 0.9
    assert np.mean((together > 0.5) == truth) > np.mean((alone > 0.5) == truth) + 0.05
    weights = moe.gate_[-1].coef_[order[1]] - moe.gate_[-1].coef_[order[0]]
    assert_allclose(weights, [3], rtol=0.4)
    assert np.diff(moe.lower_bounds_).min() >= -1e-12


def test_density_and_responsibilities_are_those_of_the_formula():
    X, y, patient, _ = patients(30)
    weight = np.random.default_rng(1).uniform(0.5, 2, size=len(y))
    moe = mixture(max_iter=20, tol=0).fit(X, y, sample_weight=weight, subject=patient)
    log_f = np.column_stack(
        [
            stats.norm.logpdf(y, expert.predict(X), scale)
            for expert, scale in zip(moe.experts_, moe.likelihood_.scale_, strict=True)
        ]
    )
    joint = np.log(moe.gate_proba(X)[::6]) + (weight[:, None] * log_f).reshape(30, 6, 2).sum(axis=1)
    expected = special.logsumexp(joint, axis=1)
    given = {"subject": patient, "sample_weight": weight}
    assert_allclose(moe.log_density(X, y, **given), expected, rtol=1e-10)
    resp = np.exp(joint - expected[:, None])
    assert_allclose(moe.responsibilities(X, y, **given), np.repeat(resp, 6, axis=0), atol=1e-10)
    n_parameters = 2 * (3 + 1) + 2
    bic = -2 * expected.sum() + n_parameters * np.log(30)
    assert_allclose(moe.bic(X, y, weight, subject=patient), bic, rtol=1e-10)
    icl = bic + 2 * special.entr(resp).sum()
    assert_allclose(moe.icl(X, y, weight, subject=patient), icl, rtol=1e-10)
    objective = (expected.sum() + moe._log_prior) / weight.sum()
    assert_allclose(moe.lower_bound_, objective, rtol=1e-10)


def test_subjects_of_one_row_are_rows():
    X, y, *_ = patients(40, 3)
    alone = mixture(gate=SoftmaxGate(), tol=1e-11).fit(X, y)
    single = mixture(gate=SoftmaxGate(), tol=1e-11).fit(X, y, subject=np.arange(len(y)))
    assert_allclose(single.lower_bound_, alone.lower_bound_, rtol=1e-8)
    assert_allclose(single.predict(X), alone.predict(X), rtol=1e-4, atol=1e-4)


def test_weight_two_is_a_row_that_its_subject_has_twice():
    X, y, patient, _ = patients(40, 3)
    weight = np.random.default_rng(0).integers(0, 3, size=len(y)).astype(float)
    rows = np.repeat(np.arange(len(y)), weight.astype(int))
    weighted = mixture(max_iter=30).fit(X, y, sample_weight=weight, subject=patient)
    repeated = mixture(max_iter=30).fit(X[rows], y[rows], subject=patient[rows])
    assert_allclose(weighted.lower_bound_, repeated.lower_bound_, rtol=1e-8)
    assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6, atol=1e-8)


def test_names_and_order_of_subjects_mean_nothing():
    X, y, patient, _ = patients(40, 3)
    names = np.array([f"patient {i}" for i in range(40)], dtype=object)[patient]
    order = np.random.default_rng(0).permutation(len(y))
    moe = mixture(max_iter=30).fit(X, y, subject=patient)
    other = mixture(max_iter=30).fit(X[order], y[order], subject=names[order])
    assert_allclose(other.lower_bound_, moe.lower_bound_, rtol=1e-8)


@pytest.mark.parametrize(
    "gate",
    [gate_on_age(GaussianGate(load_balance=0.01)), ConstantGate(load_balance=0.01)],
    ids=["gaussian", "constant"],
)
def test_the_objective_rises_behind_every_gate(gate):
    X, y, patient, _ = patients()
    moe = mixture(gate=gate).fit(X, y, subject=patient)
    assert np.diff(moe.lower_bounds_).min() >= -1e-12
    assert_allclose(moe.expert_load_.sum(), 1)


def test_a_patient_of_many_visits_counts_once_for_the_gate():
    X, y, patient, regime = patients(200)
    rng = np.random.default_rng(0)
    keep = (regime[patient] == 1) | (rng.uniform(size=len(y)) < 0.5)
    moe = mixture(gate=ConstantGate()).fit(X[keep], y[keep], subject=patient[keep])
    up = np.argmax([expert.coef_[0] for expert in moe.experts_])
    rows = np.mean(regime[patient[keep]])
    assert abs(rows - regime.mean()) > 0.12
    assert_allclose(moe.gate_.proportions_[up], regime.mean(), atol=0.06)


def test_a_gate_that_sees_more_than_the_subject_is_refused():
    X, y, patient, _ = patients(20)
    moe = mixture(tol=1e-4).fit(X, y, subject=patient)
    before = vars(moe).copy()
    said = r"differs between rows of subject \d+, which share one expert: take .* ConstantGate"
    with pytest.raises(ValueError, match=said):
        moe.set_params(gate=SoftmaxGate()).fit(X, y, subject=patient)
    assert moe.gate_ is before["gate_"]
    with pytest.raises(ValueError, match="gate differs between rows of subject 0, which share"):
        mixture(gate=SoftmaxGate()).fit(X, y).responsibilities(X, y, subject=patient)


@pytest.mark.parametrize(
    ("subject", "message"),
    [
        ([0, 1], "inconsistent numbers of samples"),
        (np.full(60, np.nan), "missing"),
        (np.zeros((60, 2)), "1d array"),
    ],
)
def test_subjects_that_cannot_be_used_are_refused(subject, message):
    X, y, *_ = patients(20, 3)
    with pytest.raises(ValueError, match=message):
        mixture().fit(X, y, subject=subject)


@cache
def short_fit():
    X, y, *_ = patients(20, 3)
    return mixture(max_iter=2, tol=1.0).fit(X, y)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
@pytest.mark.parametrize("kind", [str, pd.Timestamp])
@pytest.mark.parametrize("as_series", [True, False])
def test_missing_ids_are_refused_everywhere(missing, kind, as_series):
    X, y, patient, _ = patients(20, 3)
    ids = np.array([kind(i) for i in patient], dtype=object)
    ids[7] = missing
    ids, moe = pd.Series(ids) if as_series else ids, short_fit()
    tree = mixture(experts=DecisionTreeRegressor(max_depth=2))
    for name, refuse in [
        ("subject", lambda: mixture().fit(X, y, subject=ids)),
        ("subject", lambda: moe.responsibilities(X, y, subject=ids)),
        ("subject", lambda: moe.log_density(X, y, subject=ids)),
        ("subject", lambda: bootstrap(moe, X, y, subject=ids)),
        ("groups", lambda: tree.fit(X, y, groups=ids)),
        ("groups", lambda: bootstrap(moe, X, y, groups=ids)),
    ]:
        with pytest.raises(ValueError, match=f"{name} has missing values"):
            refuse()


def test_ids_are_compared_and_not_their_strings():
    X, y, patient, _ = patients(40, 3)  # "0", 0, "1", 1 and so on are 40 ids
    strange = np.array([(str(i // 2), i // 2)[i % 2] for i in patient], dtype=object)
    moe = mixture(max_iter=2, tol=1.0).fit(X, y)
    assert_allclose(
        np.sort(moe.log_density(X, y, subject=strange)),
        np.sort(moe.log_density(X, y, subject=patient)),
    )
    tree = mixture(experts=DecisionTreeRegressor(max_depth=2))
    for name in ("subject", "groups"):  # folds are of ids, too
        assert tree.plan(X, y, **{name: strange}).predictions == "out of fold, 5 folds"
    numbers = np.array([1, "1", 1.0, np.float64(1), True], dtype=object)
    assert len(moe.log_density(X[[0] * 5], y[:5], subject=numbers)) == 2
    objects = patient.astype(object)  # in the order of numpy.unique, not that of strings
    assert_allclose(moe.log_density(X, y, subject=objects), moe.log_density(X, y, subject=patient))


class NotingSubjects(DecisionTreeRegressor):
    """Notes the patients, in column 2, that each fit sees."""

    seen = []

    def fit(self, X, y, sample_weight=None):
        self.seen.append(frozenset(X[:, 2].astype(int).tolist()))
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize("cv", ["auto", 3])
def test_folds_keep_subjects_whole(cv):
    X, y, patient, _ = patients(30)
    X = np.column_stack([X, patient])
    NotingSubjects.seen.clear()
    moe = mixture(experts=NotingSubjects(max_depth=2), cv=cv, max_iter=2)
    moe.set_params(n_experts=1).fit(X, y, subject=patient)
    *in_folds, of_all = NotingSubjects.seen
    assert of_all == set(range(30))
    n_folds = len(set(in_folds))
    assert n_folds == (5 if cv == "auto" else cv)
    times = np.bincount(np.concatenate([list(each) for each in set(in_folds)]))
    assert_array_equal(times, n_folds - 1)  # every patient is left out whole, once


def test_folds_that_tear_subjects_apart_are_refused():
    X, y, patient, _ = patients(30)
    moe = mixture(experts=DecisionTreeRegressor(max_depth=2), cv=KFold(3, shuffle=True))
    with pytest.raises(ValueError, match="split subjects"):
        moe.fit(X, y, subject=patient)
    with pytest.raises(ValueError, match="split subjects"):
        moe.set_params(cv=3).fit(X, y, subject=patient, groups=np.arange(len(y)) // 10)


def test_partial_fit_after_subjects_is_refused():
    X, y, patient, _ = patients(40)
    moe = mixture(tol=1e-4).fit(X, y, subject=patient)
    with pytest.raises(TypeError, match="cannot go on from this fit"):
        moe.partial_fit(X, y)


def test_classes_of_subjects():
    X, y, patient, regime = patients(150)
    rng = np.random.default_rng(0)
    slope = np.array([-2.0, 2.0])[regime[patient]]
    labels = np.where(rng.uniform(size=len(y)) < special.expit(slope * X[:, 0]), "yes", "no")
    moe = MixtureOfExpertsClassifier(
        training="em", n_experts=2, gate=gate_on_age(SoftmaxGate()), random_state=0, n_init=6
    ).fit(X, labels, subject=patient)
    proba = np.stack([expert.predict_proba(X) for expert in moe.experts_], axis=1)
    own = np.take_along_axis(proba, (labels == "yes").astype(int)[:, None, None], axis=2)[..., 0]
    joint = np.log(moe.gate_proba(X)[::6]) + np.log(own).reshape(150, 6, 2).sum(axis=1)
    # The default calibration of in-sample experts mixes in a tiny share of the prior.
    assert_allclose(
        moe.log_density(X, labels, subject=patient), special.logsumexp(joint, axis=1), rtol=1e-3
    )
    assert np.diff(moe.lower_bounds_).min() >= -1e-12
    resp = moe.responsibilities(X, labels, subject=patient)
    up = np.argmax([expert.coef_[0, 0] for expert in moe.experts_])
    assert np.mean((resp[:, up] > 0.5) == regime[patient]) > 0.8
