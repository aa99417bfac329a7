"""Tables and displays speak of regimes, where fewer than experts were found."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest

from skmoe import MixtureOfExpertsRegressor
from skmoe._reports.by_regime import groups_of

SLOPES = np.array([1.0, 2.0, -1.0])
OTHER = np.array([2.0, -1.0, 1.0])


def columns(n, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)), rng


def fitted(X, y, **params):
    return MixtureOfExpertsRegressor(random_state=0, **params).fit(X, y), X, y


@pytest.fixture(scope="module")
def skewed():
    X, rng = columns(150, 0)
    return fitted(X, X @ SLOPES + rng.exponential(size=150), n_experts=3)


@pytest.fixture(scope="module")
def two():
    X, rng = columns(250, 1)
    first = rng.random(250) < 1 / (1 + np.exp(-2 * X[:, 2]))
    errors = 0.6 * rng.normal(size=250) * np.where(rng.random(250) < 0.03, 8, 1)
    return fitted(X, np.where(first, X @ SLOPES, X @ OTHER - 1) + errors)


@pytest.fixture(scope="module")
def uneven():
    X, rng = columns(150, 2)
    return fitted(X, X @ SLOPES + 0.5 * np.exp(0.9 * X[:, 0]) * rng.normal(size=150), n_experts=2)


@pytest.fixture(scope="module")
def apart():
    X, rng = columns(120, 4)
    y = np.where(X[:, 0] > 0, X @ SLOPES, X @ OTHER) + 0.1 * rng.normal(size=120)
    return fitted(X, y, n_experts=2)


@pytest.fixture(params=["skewed", "two", "uneven"])
def tied(request):
    moe, X, y = request.getfixturevalue(request.param)
    assert moe.n_regimes_ == (2 if request.param == "two" else 1) < len(moe.experts_)
    return moe, X, y


def by_name(moe, values):
    """Sums over the experts of each regime, by their names; the last axis is of experts."""
    experts = list(moe.named_experts_)
    return np.stack(
        [sum(values[..., experts.index(name)] for name in names) for names in moe.regimes_], axis=-1
    )


# Coefficients -----------------------------------------------------------------------------------


def test_coefficients_of_regimes_have_a_column_for_each(tied):
    moe, _, _ = tied
    table = moe.coefficients()
    names = [f"regime{r}" for r in range(moe.n_regimes_)]
    assert table.experts == names
    slopes = table.to_frame().loc["prediction"].loc[["x0", "x1", "x2"]].to_numpy()
    truth = np.column_stack([SLOPES, OTHER])[:, : moe.n_regimes_]
    if slopes[0, 0] > 1.5:
        slopes = slopes[:, ::-1]
    np.testing.assert_allclose(slopes, truth, atol=0.3)  # five standard errors of the widest
    assert moe.coefficients(by="expert").experts == list(moe.named_experts_)


def test_regimes_predict_what_their_coefficients_add_up_to(tied):
    moe, X, _ = tied
    terms = moe.coefficients().to_frame().loc["prediction"]
    lines = X @ terms.loc[["x0", "x1", "x2"]].to_numpy() + terms.loc["intercept"].to_numpy()
    proba = by_name(moe, moe.gate_proba(X))
    of_regimes = moe.gate_proba(X, by="regime")  # rounding leaves none above one
    np.testing.assert_allclose(of_regimes, proba, rtol=1e-14)
    assert of_regimes.max() <= 1
    np.testing.assert_allclose((proba * lines).sum(axis=1), moe.predict(X), rtol=1e-7, atol=1e-7)


def test_a_gate_that_determines_variances_is_not_among_the_coefficients(uneven, two):
    moe = uneven[0]
    assert not any(part.startswith("gate") for part in moe.coefficients().parts)
    assert "The gate is not shown" in moe.coefficients().note
    assert "The gate is not shown" not in moe.coefficients(by="expert").note
    assert "The gate is not shown" not in two[0].coefficients().note


def test_intercept_of_a_regime_is_its_mean_level(skewed):
    moe, X, y = skewed
    terms = moe.coefficients().to_frame()["regime0"]
    rest = y - X @ terms["prediction"].loc[["x0", "x1", "x2"]].to_numpy()
    # the mixture's mean of errors is that of rows but for shrinkage of a few rows' offsets
    np.testing.assert_allclose(terms["prediction", "intercept"], rest.mean(), atol=0.05)
    np.testing.assert_allclose(terms["errors", "standard deviation"], rest.std(), rtol=0.1)


def test_gate_between_regimes_has_the_log_odds_of_their_probabilities(two):
    moe, X, _ = two
    terms = moe.coefficients().to_frame().loc["gate: log-odds against regime0"]
    log_odds = X @ terms.loc[["x0", "x1", "x2"]].to_numpy() + terms.loc["intercept"].to_numpy()
    proba = by_name(moe, moe.gate_proba(X))
    np.testing.assert_allclose(log_odds, np.log(proba / proba[:, :1]), rtol=1e-6, atol=1e-7)


def test_experts_that_are_regimes_are_told_as_ever(apart):
    moe, _, _ = apart
    assert moe.n_regimes_ == 2 == len(moe.experts_)
    table, same = moe.coefficients(), moe.coefficients(by="expert")
    assert table.experts == same.experts == ["expert0", "expert1"]
    assert str(table) == str(same)


def test_by_is_of_regimes_or_experts(apart):
    with pytest.raises(ValueError, match="by must be 'regime' or 'expert'; got 'row'"):
        apart[0].coefficients(by="row")


# Responsibilities -------------------------------------------------------------------------------


def test_responsibilities_are_posterior_probabilities_of_regimes(tied):
    moe, X, y = tied
    dist = moe.predict_dist(X)
    joint = by_name(moe, dist.weights * np.exp(dist.components.logpdf(y[:, None])))
    resp = moe.responsibilities(X, y)
    assert resp.shape == (len(X), moe.n_regimes_)
    np.testing.assert_allclose(resp, joint / joint.sum(axis=1, keepdims=True), atol=1e-10)
    np.testing.assert_allclose(by_name(moe, moe.responsibilities(X, y, by="expert")), resp)


# Profiles ---------------------------------------------------------------------------------------


def test_profiles_of_regimes_are_of_their_rows_and_lines(tied):
    moe, X, y = tied
    profiles = moe.expert_profiles(X, y)
    assert all(
        (note.split(". ")[0] in " ".join(str(profiles).split())) != note.startswith("Evid")
        for note in moe.plan_.findings
    )
    resp = moe.responsibilities(X, y)
    terms = moe.coefficients().to_frame().loc["prediction"]
    lines = X @ terms.loc[["x0", "x1", "x2"]].to_numpy() + terms.loc["intercept"].to_numpy()
    found = {profile.expert: profile for profile in profiles.profiles}
    assert list(found) == sorted(found, key=lambda name: -found[name].share)
    for r in range(moe.n_regimes_):
        profile, own = found[f"regime{r}"], resp[:, r] / resp[:, r].sum()
        np.testing.assert_allclose(profile.share, resp[:, r].mean())
        np.testing.assert_allclose(profile.prediction, own @ lines[:, r], rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(profile.target, own @ y)
    assert profiles.to_frame().index.names == ["regime", "feature"]
    assert len(moe.expert_profiles(X, y, by="expert").profiles) == len(moe.experts_)


# Report -----------------------------------------------------------------------------------------


def test_report_of_regimes_is_that_of_their_summed_rows(tied):
    moe, X, y = tied
    report = moe.expert_report(X, y)
    resp, gate = moe.responsibilities(X, y), by_name(moe, moe.gate_proba(X))
    terms = moe.coefficients().to_frame()
    part = terms.loc["prediction"]
    lines = X @ part.loc[["x0", "x1", "x2"]].to_numpy() + part.loc["intercept"].to_numpy()
    found, n = report.columns, len(X)
    assert found["regime"] == [f"regime{r}" for r in range(moe.n_regimes_)]
    np.testing.assert_allclose(found["rows"], resp.sum(axis=0))
    np.testing.assert_allclose(found["load"], gate.mean(axis=0))
    np.testing.assert_allclose(found["gate"], (resp * gate).sum(axis=0) / resp.sum(axis=0))
    wins = np.bincount(resp.argmax(axis=1), minlength=moe.n_regimes_) / n
    np.testing.assert_allclose(found["wins"], wins)
    squares = (resp * (y[:, None] - lines) ** 2).sum(axis=0) / resp.sum(axis=0)
    np.testing.assert_allclose(found["error"], np.sqrt(squares), rtol=1e-6)
    sd = terms.loc[("errors", "standard deviation")].to_numpy()
    np.testing.assert_allclose(found["scale"], sd, rtol=1e-3)  # loads of fit are of its last step
    np.testing.assert_allclose(report.overlap.sum(axis=1), 1)
    assert report.to_frame().index.tolist() == found["regime"]
    assert report.notes == moe.expert_report().notes
    assert all(name in str(report) for name in found["regime"])


def test_report_on_training_rows_is_of_regimes_too(tied):
    moe, X, y = tied
    of_fit, of_rows = moe.expert_report(), moe.expert_report(X, y)
    assert list(of_fit.columns) == list(of_rows.columns)
    for name in ("load", "rows", "error", "scale"):  # the bound's responsibilities are near
        np.testing.assert_allclose(of_fit.columns[name], of_rows.columns[name], rtol=0.1)
    experts = moe.expert_report(by="expert").columns
    assert experts["expert"] == list(moe.named_experts_)
    for r, names in enumerate(moe.regimes_):
        own = [name in names for name in experts["expert"]]
        assert {experts["regime"][k] for k in np.flatnonzero(own)} == {f"regime{r}"}
        np.testing.assert_allclose(of_fit.columns["load"][r], np.sum(experts["load"], where=own))


@pytest.mark.parametrize(
    ("regimes", "are_tied"), [([[0], [1, 2]], True), ([[0, 1, 2]], False)], ids=["tied", "surface"]
)
def test_ties_of_some_pieces_of_one_surface_are_no_regimes(regimes, are_tied):
    likelihood = SimpleNamespace(regime_=np.array([0, 1, 1]))
    mixture = SimpleNamespace(
        named_experts_=dict.fromkeys(range(3)), likelihood_=likelihood, regimes_=regimes
    )
    assert groups_of(mixture, "regime").kind == ("regime" if are_tied else "expert")
    assert groups_of(mixture, "expert").are_tied == are_tied


# Summary ----------------------------------------------------------------------------------------


def told(moe, parameters):
    """Parameters of regimes from those of experts by their names, as coefficients() has them."""
    gate = {name: f"gate: {name} against expert0" for name in list(moe.named_experts_)[1:]}
    weight = {name: np.exp(parameters[gate[name], "intercept"]) for name in gate}
    weight["expert0"] = 1.0
    found, has_shares = {}, moe.likelihood_.offset_var_ is not None
    totals = [sum(weight[name] for name in names) for names in moe.regimes_]
    for r, names in enumerate(moe.regimes_):
        levels = [weight[name] * parameters[name, "intercept"] for name in names]
        level = sum(levels) / totals[r] if has_shares else parameters[names[0], "intercept"]
        found[f"regime{r}", "intercept"] = level
        if has_shares and r:
            log_odds = np.log(totals[r] / totals[0])
            found[f"gate: regime{r} against regime0", "intercept"] = log_odds
    return found


def test_summary_of_regimes_follows_from_that_of_experts(tied):
    moe, X, y = tied
    by_regime, by_expert = moe.summary(X, y), moe.summary(X, y, by="expert")
    names = list(zip(by_expert.parts, by_expert.terms, strict=True))
    at = by_expert.estimate
    values = told(moe, dict(zip(names, at, strict=True)))
    frame = by_regime.to_frame()
    for name, value in values.items():
        derivatives = np.zeros(len(at))
        for i in range(len(at)):
            step = 1e-6 * (np.arange(len(at)) == i)
            upper, lower = (told(moe, dict(zip(names, at + s, strict=True))) for s in (step, -step))
            derivatives[i] = (upper[name] - lower[name]) / 2e-6
        np.testing.assert_allclose(frame.loc[name, "estimate"], value, rtol=1e-9, atol=1e-9)
        sd = np.sqrt(derivatives @ by_expert.cov @ derivatives)
        np.testing.assert_allclose(frame.loc[name, "std_error"], sd, rtol=1e-5)


def test_summary_tells_what_experts_share_once(tied):
    moe, X, y = tied
    table = moe.summary(X, y)
    frame, experts = table.to_frame(), moe.summary(X, y, by="expert").to_frame()
    coefficients = moe.coefficients().to_frame().loc["prediction"]
    for r, names in enumerate(moe.regimes_):
        own, slopes = frame.loc[f"regime{r}"], ["x0", "x1", "x2"]
        estimate = own["estimate"].loc[["intercept", *slopes]]
        of_column = coefficients[f"regime{r}"].loc[["intercept", *slopes]]
        np.testing.assert_allclose(estimate, of_column, rtol=1e-6, atol=1e-9)
        for name in names:
            of_expert = experts.loc[name]
            np.testing.assert_allclose(own.loc[slopes], of_expert.loc[slopes], rtol=1e-6)
            beside = own if len(names) == 1 else frame.loc[f"regime{r}, {name}"]
            if moe.likelihood_.offset_var_ is not None:
                np.testing.assert_allclose(beside.loc["intercept"], of_expert.loc["intercept"])
            np.testing.assert_allclose(beside.loc["log_scale"], of_expert.loc["log_scale"])
    assert len(set(zip(table.parts, table.terms, strict=True))) == len(table.terms)
    assert len(table.terms) < len(experts)
    assert sum("regime0: " in note for note in table.notes) == 1


def test_what_is_to_be_said_of_a_fit_is_one_list(tied):
    moe, X, y = tied
    found = moe.plan_.findings
    assert found
    for told in (moe.plan_, moe.expert_report(), moe.coefficients()):
        assert all(note in " ".join(str(told).split()) for note in found)
    assert "Evidence: " not in str(moe.summary(X, y))
    assert copy.deepcopy(moe.plan_).findings == found


def test_standard_error_of_a_mean_level_is_that_of_a_mean(skewed):
    moe, X, y = skewed
    terms = moe.summary(X, y).to_frame().loc["regime0"]
    rest = y - X @ terms["estimate"].loc[["x0", "x1", "x2"]].to_numpy()
    # of a normal approximation, of three experts for an exponential distribution: to a fifth
    sd = rest.std() / np.sqrt(len(y))
    np.testing.assert_allclose(terms.loc["intercept", "std_error"], sd, rtol=0.2)


# Displays ---------------------------------------------------------------------------------------


@pytest.fixture
def drawn():
    """The module of the displays; figures are closed in the end."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from skmoe import inspection

    yield inspection
    plt.close("all")


def test_gate_and_lines_are_drawn_by_regime(tied, drawn):
    moe, X, y = tied
    given = {"grid_resolution": 5, "subsample": None}
    gate = drawn.GateDisplay.from_estimator(moe, X, y, 2, **given)
    experts = drawn.GateDisplay.from_estimator(moe, X, y, 2, by="expert", **given)
    np.testing.assert_allclose(gate.proba[0], by_name(moe, experts.proba[0]))
    lines = drawn.ExpertDisplay.from_estimator(moe, X, y, 0, **given)
    assert lines.names == gate.names == [f"regime{r}" for r in range(moe.n_regimes_)]
    terms = moe.coefficients().to_frame().loc["prediction"]
    resp = moe.responsibilities(X, y)
    at = resp.T @ X / resp.sum(axis=0)[:, None]  # the mean row of each regime
    for r, name in enumerate(gate.names):
        level = terms.loc["intercept", name] + at[r, 1:] @ terms.loc[["x1", "x2"], name]
        line = level + terms.loc["x0", name] * lines.points
        np.testing.assert_allclose(lines.predictions[:, r], line, rtol=1e-6, atol=1e-7)
    drawn.GateDisplay.from_estimator(moe, X, y, (0, 2), grid_resolution=5)


@pytest.mark.parametrize("likelihood", ["gaussian", "student_t"])
def test_report_says_of_students_t_alone_that_its_scale_is_no_standard_deviation(likelihood):
    X = np.random.default_rng(0).normal(size=(60, 2))
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood=likelihood, training="em", cv=False)
    notes = moe.fit(X, X[:, 0] + X[:, 1] ** 2).expert_report().notes
    assert any("smaller than the standard deviation" in each for each in notes) == (
        likelihood == "student_t"
    )
