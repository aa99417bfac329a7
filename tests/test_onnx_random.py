"""Thirty random mixtures in ONNX, on rows in single precision that they have not seen."""

import numpy as np
import pytest
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from skmoe import DensityForestRegressor, MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate, ForestGate, GaussianGate, SoftmaxGate, TreeGate
from skmoe.likelihoods import Gaussian

skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("skmoe.onnx")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning"),  # of few rows and iterations
]
TOLERANCE = 1e-5  # of the target's standard deviation, or of a probability
QUICK = {"n_init": 2, "max_iter": 8, "cv": 2, "random_state": 0}
LISTS = {
    "lists": ("line", "tree", "forest"),
    "own densities": ("line", "density forest", "mixture"),
    "boosting in a list": ("boosting", "line"),
}


class Fit:
    """A mixture and its rows, drawn from a seed."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.classifies = seed % 3 == 2
        self.X, signal = self._rows(250)
        self.new, _ = self._rows(150)
        self.moe = self._classifier(signal) if self.classifies else self._regressor(signal)

    def pick(self, *options):
        return options[self.rng.integers(len(options))]

    def _rows(self, n):
        """Rows in single precision, a table of them where it was drawn, and a signal."""
        rng, has = self.rng, vars(self)
        if "kind" not in has:
            self.kind = self.pick("array", "array", "table", "mixed")
            self.unit, self.level = 10 ** rng.uniform(-2, 2, size=4), rng.normal(size=4)
        plain = rng.normal(size=(n, 4))
        X = ((plain + self.level) * self.unit).astype(np.float32)
        town = rng.choice(["Lima", "Oslo", "Rome"], size=n)
        first, second = plain[:, 0], plain[:, 1]
        signal = np.where(first > 0, 2 * second, 1 - second + 0.5 * plain[:, 2] ** 2)
        if self.kind == "array":
            return X, signal
        pandas = pytest.importorskip("pandas")
        table = pandas.DataFrame(X, columns=list("abcd"))
        if self.kind == "mixed":
            table["town"] = np.where(rng.random(n) < 0.1, None, town.astype(object))
            table["town"] = table["town"].astype(object)
            table.loc[rng.random(n) < 0.1, "a"] = np.nan
            signal = signal + (town == "Oslo")
        return table, signal

    def _gate(self):
        if self.kind == "mixed":
            return self.pick(None, ConstantGate())
        forest = RandomForestClassifier(10, min_samples_leaf=5, random_state=0)
        return self.pick(
            None, ConstantGate(), GaussianGate(), SoftmaxGate(alpha=1.0, l1_ratio=0.5),
            make_pipeline(StandardScaler(), SoftmaxGate()), ForestGate(20, random_state=0),
            TreeGate([1, 1]), LogisticRegression(), forest,
            make_pipeline(PolynomialFeatures(2), StandardScaler(), SoftmaxGate()),
        )  # fmt: skip

    def _regressor(self, signal):
        y = signal + 0.3 * self.rng.normal(size=len(signal))
        way = self.pick("pooled", "em", "em", "em", "em", "clones", "lists", "top")
        likelihood, parameters = "auto", {}
        if self.kind == "mixed":
            way = self.pick("pooled", "default experts")
        if way == "em":
            kinds = ["gaussian", "student_t", "log_normal", "poisson", "gamma",
                     "negative_binomial", Gaussian("shared")]  # fmt: skip
            likelihood = self.pick(*kinds)
            if likelihood in ("log_normal", "gamma"):
                y = np.exp(0.5 * y)
            if likelihood in ("poisson", "negative_binomial"):
                y = self.rng.poisson(np.exp(np.clip(y, -2, 3))).astype(float)
        self.y, self.way = y, way
        if way == "pooled":
            parameters = {"n_experts": 2}
        elif way == "default experts":
            parameters = {"n_experts": 2, "training": "em", "likelihood": "student_t"}
        elif way == "em":
            members = ["tree", "gradient", "boosting", "forest"]
            if likelihood not in ("poisson", "gamma", "negative_binomial"):
                members += ["ridge", "line", "polynomial", "net"]
            parameters = {"experts": self._member(self.pick(*members)), "training": "em"}
            parameters |= {"n_experts": 2, "likelihood": likelihood, "gate": self._gate()}
        elif way == "top":
            parameters = {
                "experts": Ridge(),
                "n_experts": 4,
                "top_k": 2,
                "gate": self.pick(None, GaussianGate()),
            }
        elif way == "clones":
            parameters = {
                "experts": self._member(self.pick("boosting", "forest", "gradient")),
                "n_experts": 2,
            }
        else:
            names = LISTS[self.pick(*LISTS)]
            parameters = {"experts": [(name, self._member(name)) for name in names]}
        return MixtureOfExpertsRegressor(**QUICK | parameters)

    def _member(self, name):
        scaled = StandardScaler()
        net = MLPRegressor(hidden_layer_sizes=(8,), max_iter=50, random_state=0)
        return {
            "line": LinearRegression(),
            "ridge": make_pipeline(scaled, Ridge()),
            "polynomial": make_pipeline(scaled, PolynomialFeatures(2), Ridge()),
            "net": make_pipeline(scaled, net),
            "tree": DecisionTreeRegressor(min_samples_leaf=5, random_state=0),
            "forest": RandomForestRegressor(10, min_samples_leaf=5, random_state=0),
            "density forest": DensityForestRegressor(20, random_state=0),
            "gradient": GradientBoostingRegressor(n_estimators=10, random_state=0),
            "boosting": HistGradientBoostingRegressor(max_iter=10, random_state=0),
            "mixture": MixtureOfExpertsRegressor(n_experts=2, n_init=2, random_state=0),
        }[name]

    def _classifier(self, signal):
        y = np.digitize(signal + 0.3 * self.rng.normal(size=len(signal)), [-0.5, 1.5])
        n_classes = self.pick(2, 3)
        y = np.minimum(y, n_classes - 1)
        self.y = np.array(["low", "some", "high"], dtype=object)[y] if self.pick(True, False) else y
        tree = DecisionTreeClassifier(min_samples_leaf=5, random_state=0)
        forest = RandomForestClassifier(10, min_samples_leaf=5, random_state=0)
        boosting = HistGradientBoostingClassifier(max_iter=10, random_state=0)
        unlike = [("line", LogisticRegression()), ("forest", forest)]
        self.way = (
            "pooled" if self.kind == "mixed" else self.pick("pooled", "em", "em", "clones", "lists")
        )
        one = self.pick(LogisticRegression(), tree, forest, boosting)
        parameters = {
            "pooled": {"n_experts": 2},
            "em": {"experts": one, "n_experts": 2, "training": "em", "gate": self._gate()},
            "clones": {"experts": self.pick(forest, boosting), "n_experts": 2},
            "lists": {"experts": unlike},
        }[self.way]
        return MixtureOfExpertsClassifier(**QUICK | parameters)

    def run(self):
        """Outputs of the graph for the new rows, by name."""
        moe, X = self.moe, self.new
        options = {"gate": True, "zipmap": False} if self.classifies else {"gate": True}
        graph = skl2onnx.to_onnx(moe, X[:1], options={id(moe): options}).SerializeToString()
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        feeds = {"X": X}
        if self.kind != "array":
            feeds = X.fillna({"town": "nan"})
            feeds = {name: column.to_numpy()[:, None] for name, column in feeds.items()}
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(None, feeds), strict=True))


@pytest.mark.parametrize("seed", range(30))
def test_outputs_are_those_of_the_mixture(seed):
    fit = Fit(seed)
    moe = fit.moe.fit(fit.X, fit.y)
    found, new = fit.run(), fit.new
    np.testing.assert_allclose(found["gate_proba"], moe.gate_proba(new), atol=TOLERANCE)
    if fit.classifies:
        proba = moe.predict_proba(new)
        np.testing.assert_allclose(found["probabilities"], proba, atol=TOLERANCE)
        best = np.sort(proba, axis=1)
        clear = best[:, -1] - best[:, -2] > TOLERANCE  # a tie has no right label
        np.testing.assert_array_equal(found["label"][clear], moe.predict(new)[clear])
        return
    spread = TOLERANCE * fit.y.std()
    np.testing.assert_allclose(found["variable"][:, 0], moe.predict(new), atol=spread, rtol=0)
