"""The fitted mixture: experts, gate and likelihood, and what they predict.

A model has no parameters of an estimator and checks nothing: its rows have been checked by
whoever asks. Updates make a new model of an old one; see ``_updates/``.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ._experts.fitting import has_own_density, split_last
from ._experts.prediction import (
    columns_seen,
    expert_prediction,
    have_common_transformers,
    is_stack_of,
    own_distribution,
    predict_linear,
    predicts_mean,
    same_steps,
    stacked_prediction,
)
from ._numerics.columns import Surroundings
from ._numerics.statistics import independent_columns
from ._routing import Routes, posterior
from ._tables.encoding import numeric_matrix
from ._tables.mixed import take_rows
from .distributions import MixtureDistribution, NestedComponents
from .distributions._arrays import draw_places
from .distributions._made_of_others import JoinedComponents
from .exceptions import noted

ELSEWHERE = 0.05  # largest weight of one expert where no rows were seen

# Attributes of a mixture that describe the rows and the training of one fit.
OF_ONE_FIT = (
    "oof_score_",
    "oof_log_density_",
    "oof_responsibilities_",
    "log_evidence_",
    "model_weights_",
    "_beside",
    "specialisation_",
    "n_regimes_",
    "regimes_",
)
# Those that are made of its training when they are asked for.
MADE_LATER = "_training_reports", "_level_shares", "_stream"


@dataclass(frozen=True)
class Model(ABC):
    """A fitted mixture."""

    names: list  # list of str: names of the experts
    experts: list  # list of estimators: fitted, transformers included
    gate: object  # BaseGate or Pipeline ending in one: fitted
    likelihood: object  # BaseLikelihood: with the fitted scales
    y_shape: tuple = ()  # shape of one target: ``()`` or ``(n_outputs,)``
    top_k: int | None = None  # experts that answer for a row; None for all

    classes = None

    # Routing --------------------------------------------------------------------------------

    @cached_property
    def _last_transformed(self):
        return [], None, None  # steps, the last rows before them, and after them

    def behind(self, estimator, X):
        """The last step of a Pipeline, or what is none itself, and what it sees of X.

        Transformers that experts and gate have in common transform rows once.
        """
        head, last = split_last(estimator)
        if head is None:
            return last, X
        steps, rows, seen = self._last_transformed
        if rows is not X or not same_steps(head.steps, steps):
            seen = head.transform(X)
            vars(self)["_last_transformed"] = head.steps, X, seen
        return last, seen

    def routes(self, X):
        """Which experts answer for each row, and how much each counts: Routes."""
        gate, seen = self.behind(self.gate, X)
        if self.top_k is None:
            return Routes(gate.log_proba_of_checked(seen))
        return Routes(gate.predict_log_odds(seen), self.top_k)

    def all_routes(self, X):
        """Routes to every expert, whatever ``top_k`` is."""
        return replace(self, top_k=None).routes(X)

    # Experts --------------------------------------------------------------------------------

    @property
    def prediction_shape(self):
        """Shape of one prediction of an expert: that of a target, or (n_classes,)."""
        return self.y_shape

    @property
    def own_density(self):
        """Whether each expert has a density of its own, in a list."""
        own = self.likelihood.own_density_
        if own is None:
            return list(map(has_own_density, self.experts))
        return own.tolist()

    @cached_property
    def predicts_other(self):
        """Whether each expert predicts something else than the mean that a stack takes."""
        is_stack = self.likelihood.own_density_ is not None and self.prediction_shape == ()
        return [is_stack and not predicts_mean(each) for each in self.experts]

    def expert_predictions(self, X, routes=None, instead=None):
        """Predictions (n, k, ...) for each route; without routes, of every expert for every row.

        ``instead(k, rows)`` gives those of experts with a density of their own; None asks these.
        """
        own = self.own_density
        if (routes is None or routes.experts is None) and not (instead and any(own)):
            # Linear experts predict in one product, also after transformers that they share.
            experts = self.experts
            seen = X
            if have_common_transformers(experts):
                _, seen = self._behind(0, X)
                experts = [split_last(expert)[1] for expert in experts]
            predictions = predict_linear(experts, seen, self.classes)
            if predictions is not None:
                return predictions
        if routes is None:
            routes = Routes.to_all(X.shape[0], len(self.experts))
        shape = self.prediction_shape
        predictions = np.empty((*routes.shape, *shape))

        def predict(k, rows):
            expert = self.experts[k]
            before = self.experts[:k]
            if instead and own[k]:
                return instead(k, rows)
            if rows is None and is_stack_of(expert, before):
                return stacked_prediction(expert, predictions[:, :k])
            asked = expert
            seen = take_rows(X, rows)
            if self.predicts_other[k]:
                return own_distribution(expert, seen, self.likelihood.floor_).mean()
            has_own = has_own_density(expert)
            if rows is None and not has_own:
                asked, seen = self._behind(k, X)
            prediction = expert_prediction(self.names[k], asked, seen, shape, self.classes)
            if has_own:
                return self.likelihood.expert_target(prediction)
            return prediction

        return routes.fill(predictions, predict)

    def _behind(self, k, X):
        """The last step of an expert, and what it sees of X."""
        with noted(f"Raised by predict of expert {self.names[k]!r}."):
            return self.behind(self.experts[k], X)

    def row_scale(self, X):
        """Factors (n, 1[, n_outputs]) of the scales where these depend on the row, or None."""
        scale_model = self.likelihood.scale_model_
        if scale_model is not None and self.likelihood.averages_experts:
            # Uncertain are the coefficients of what pooled experts see.
            _, X = self._behind(np.argmax(self.likelihood.pooled_), X)
        if scale_model is None:
            return None
        return scale_model(X)

    @abstractmethod
    def losses(self, y, predictions, bounds=None):
        """Losses (n, K) of predictions (n, K, ...): squared errors, or 1 for a wrong class.

        The error of a prediction between the bounds of a censored target is zero.
        """

    @staticmethod
    def error_of_loss(loss):
        """Error of an expert from its mean loss: its root, or the share of wrong classes."""
        return loss

    @abstractmethod
    def draw(self, X, random_state):
        """A target for each row, as ``fit`` sees it after validation."""

    def n_parameters(self, X, weight, n_functions):
        """Free parameters of experts, scales and gate.

        A linear function of the columns has as many as the rank of these, the intercept included.

        ``n_functions`` are those of each expert.
        """
        gate = split_last(self.gate)[1]
        kept = independent_columns(columns_seen(self.experts[0], X), weight)
        n_parameters = n_functions * len(self.experts) * (kept.sum() + 1)
        n_parameters += self.likelihood.n_parameters_ + gate.n_parameters_
        if gate.n_functions_ > 0:
            kept = independent_columns(columns_seen(self.gate, X), weight)
            n_parameters -= gate.n_functions_ * np.count_nonzero(~kept)
        return int(n_parameters)

    # Densities ------------------------------------------------------------------------------

    @abstractmethod
    def log_densities(self, X, y, routes, exposure=None, bounds=None):
        """Log-density (n, k) of each row's target under the expert of each route."""

    def e_step(self, rows):
        """Responsibilities and log-densities of rows, or of subjects where these are given.

        Returns these and the weights of what they are of.
        """
        resp, log_density, subjects = self._e_step(rows)
        return resp, log_density, rows.weight if subjects is None else subjects.counts

    def log_density(self, rows):
        """Log-density (n,) of rows, or of subjects where these are given."""
        return self._e_step(rows)[1]

    def responsibilities(self, rows):
        """Responsibilities (n_samples, n_experts), equal for all rows of a subject."""
        resp, _, subjects = self._e_step(rows)
        if subjects is None:
            return resp
        return subjects.of_rows(resp)

    def _e_step(self, rows):
        routes = self.routes(rows.X)
        log_density = self.log_densities(rows.X, rows.y, routes, rows.exposure, rows.bounds)
        if rows.subject is None:
            resp, log_norm = posterior(routes.log_weights, log_density)
            return routes.dense(resp), log_norm, None
        subjects = self.likelihood.subjects_of(rows.X, rows.subject, rows.weight)
        if self.likelihood.takes_subjects:
            predictions = self.expert_predictions(rows.X)
            log_density = self.likelihood.log_density(rows.y, predictions, subjects=subjects)
        log_gate = subjects.log_gate(routes.dense(routes.log_weights, fill=-np.inf))
        log_density = subjects.weighted_sum(routes.dense(log_density, fill=0.0))
        return *posterior(log_gate, log_density), subjects


@dataclass(frozen=True)
class RegressionModel(Model):
    """A fitted mixture of regressors; see ``Model``."""

    def components(self, X, routes, exposure=None, scaled=True):
        """Distribution of the target for each route, for means alone without scales of the row."""
        nested = []

        def mean(k, rows):
            with noted(f"Raised by the predictive distribution of expert {self.names[k]!r}."):
                its_rows = take_rows(X, rows)
                expert = self.experts[k]
                if self.likelihood.own_density_ is None:
                    of_expert = expert.predict_dist(its_rows)
                else:
                    of_expert = own_distribution(expert, its_rows, self.likelihood.floor_)
            nested.append((*np.nonzero(routes.lead_to(k)), of_expert))
            return self.likelihood.expert_target(of_expert.mean())

        predictions = self.expert_predictions(X, routes, mean)
        if exposure is not None:
            predictions = predictions * exposure[:, None]
        if scaled:
            row_scale = self.row_scale(X)
        else:
            row_scale = None
        arguments = self.likelihood.row_arguments(row_scale, exposure, X=X)
        components = self.likelihood.components(predictions, routes.experts, **arguments)
        if nested:
            return NestedComponents(components, nested)
        return components

    def distribution(self, X, exposure=None, scaled=True):
        """Predictive distribution of each row: MixtureDistribution; see ``components``."""
        routes = self.routes(X)
        return MixtureDistribution(routes.weights, self.components(X, routes, exposure, scaled))

    def log_densities(self, X, y, routes, exposure=None, bounds=None):
        components = self.components(X, routes, exposure)
        if bounds is not None:
            return components.log_between(bounds.lower[:, None], bounds.upper[:, None])
        return components.logpdf(y[:, None])

    def losses(self, y, predictions, bounds=None):
        target = self.likelihood.expert_target
        if bounds is not None:
            ends = (target(end)[:, None] for end in (bounds.lower, bounds.upper))
            return (np.clip(predictions, *ends) - predictions) ** 2
        squares = (target(y)[:, None] - predictions) ** 2
        if squares.ndim == 3:
            return squares.mean(axis=2)
        return squares

    error_of_loss = staticmethod(np.sqrt)

    def draw(self, X, random_state):
        return self.distribution(X).rvs(random_state=random_state)


@dataclass(frozen=True)
class ClassificationModel(Model):
    """A fitted mixture of classifiers; see ``Model``."""

    classes: np.ndarray = None  # (n_classes,): labels, in the order of class numbers

    @property
    def prediction_shape(self):
        return (len(self.classes),)

    def expert_proba(self, X, routes=None):
        """Class probabilities (n, k, n_classes) of each route, calibrated; without, of all experts.

        Those of experts that are mixtures are not calibrated again, as in training.
        """
        if routes is None:
            routes = Routes.to_all(X.shape[0], len(self.experts))
        predictions = self.expert_predictions(X, routes)
        arguments = self.likelihood.row_arguments(self.row_scale(X))
        calibrated = self.likelihood.calibrate(predictions, routes.experts, **arguments)
        for k, has_own in enumerate(self.own_density):
            if has_own:
                of_expert = routes.lead_to(k)
                calibrated[of_expert] = predictions[of_expert]
        return calibrated

    def proba(self, X):
        """Class probabilities (n, n_classes)."""
        routes = self.routes(X)
        return np.einsum("nk,nkc->nc", routes.weights, self.expert_proba(X, routes))

    def log_densities(self, X, y, routes, exposure=None, bounds=None):
        proba = self.expert_proba(X, routes)
        of_class = np.take_along_axis(proba, y[:, None, None], axis=2)[:, :, 0]
        return np.log(np.maximum(of_class, np.finfo(float).tiny))

    def losses(self, y, predictions, bounds=None):
        return (predictions.argmax(axis=2) != y[:, None]).astype(float)

    def draw(self, X, random_state):
        return draw_places(self.proba(X), 1, random_state)[:, 0]


@dataclass(frozen=True)
class Average:
    """Predictions averaged over two fitted mixtures of the same target."""

    models: tuple  # of Model
    weight: float  # of the second
    surroundings: Surroundings | None = None  # far from which it has more, up to ELSEWHERE

    def weights(self, X):
        """Weights of both models in each row, (n, 1)."""
        weight = np.full((X.shape[0], 1), self.weight)
        if self.surroundings is not None:
            gate, seen = self.models[0].behind(self.models[0].gate, X)
            far = self.surroundings.far(numeric_matrix(seen))
            weight = np.maximum(weight, ELSEWHERE * far[:, None])
        return 1 - weight, weight

    def distribution(self, X, exposure=None, scaled=True):
        """Predictive distribution of each row, of the experts of all models that have weight."""
        first = self.models[0].distribution(X, exposure, scaled)  # it refuses rows of no use
        weights = self.weights(X)
        if not weights[1].any():
            return first
        each = [first, self.models[1].distribution(X, exposure, scaled)]
        shares = [w * part.weights for w, part in zip(weights, each, strict=True)]
        components = JoinedComponents([part.components for part in each])
        return MixtureDistribution(np.hstack(shares), components)

    def proba(self, X):
        """Class probabilities (n, n_classes)."""
        each = [model.proba(X) for model in self.models]
        return sum(w * of_model for w, of_model in zip(self.weights(X), each, strict=True))

    def log_density(self, rows):
        """Log-density (n,) of rows, or of subjects where these are given."""
        each = [model.log_density(rows) for model in self.models]
        weights = 1 - self.weight, self.weight  # of subjects
        if rows.subject is None:
            weights = [of_model[:, 0] for of_model in self.weights(rows.X)]
        with np.errstate(divide="ignore"):  # of no weight
            logs = [np.log(w) + of_model for w, of_model in zip(weights, each, strict=True)]
        return np.logaddexp.reduce(logs)
