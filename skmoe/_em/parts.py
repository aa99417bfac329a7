"""The parts of a mixture, adapted to the rows, and the model that they become."""

import copy
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import check_array

from .._compat import learn_columns, validate_params
from .._data import TrainingData
from .._experts.estimators import EstimatorExperts
from .._experts.fitting import (
    has_own_density,
    is_frozen,
    seed_estimator,
    split_last,
    takes_sample_weight,
)
from .._experts.solvers import are_solved_sparse, has_experts
from .._tables.encoding import (
    DescribedColumns,
    blocks_of_levels,
    check_accepts,
    column_encoder,
    default_encoder,
    dense_encoder,
    encoder_before,
    fit_columns,
    imputed_for,
    needs_encoding,
    selector,
    take_columns,
)
from .._tables.mixed import is_plain, is_table
from ..exceptions import IgnoredWeightsWarning, warn_user
from ..gates import BaseGate, ClassifierGate, ConstantGate, SoftmaxGate
from ..gates._base import check_sees_all, linear_columns_of
from .problem import shallow_copy

MANY_WEIGHTS = 100_000  # minutes


@dataclass
class GateParts:
    """A gate, and what stands before it."""

    # BaseGate: unfitted, with the settings that the user gave it, or the default, and seeded; no
    # Pipeline.
    given: object
    trained: BaseGate  # a clone for EM, of which every ``fit`` makes one step where it can
    encoder: Pipeline | None = None  # transformers before the gate; fitted once a fit
    last_name: str = "gate"  # name of the gate in a Pipeline
    # Whether the transformers are those that default experts of a mixed table have too.
    has_default_encoder: bool = False

    @classmethod
    def adapt(
        cls, gate, default, rows, n_experts, seed, *, report_weights=True, unseen=(), of_dense=False
    ):
        """A gate for these rows.

        ``gate`` is as the user gave it, and None stands for ``default``. ``report_weights`` asks to
        say that a classifier takes no weights. The default does not see the columns ``unseen``, by
        number, and sees few dense ones that are made of sparse X if it is ``of_dense``.
        """
        columns = linear_columns_of(gate)
        last_name = "gate"
        if columns is not None:
            gate = clone(gate).set_params(columns=None)
            before = "columns", column_encoder(rows.described, columns)
            given = Pipeline([before, (last_name, gate)])
        else:
            if gate is None:
                given = default
            else:
                given = gate
        _, last = split_last(given)
        validate_gate(last)
        without = None  # a Pipeline to the numbers that are made of the columns that a gate sees
        if gate is None and unseen:
            seen = [each for k, each in enumerate(rows.described.labels) if k not in unseen]
            without = Pipeline([("columns", column_encoder(rows.described, seen))])
        if n_experts == 1:
            return cls(last, ConstantGate(), without)
        encoder, trained = split_last(seed_estimator(given, seed))
        has_default_encoder = gate is None and without is None and rows.described.is_mixed
        if without is not None:
            encoder = without
        elif has_default_encoder:
            encoder = make_pipeline(default_encoder(rows.described))
        elif gate is None and of_dense and sparse.issparse(rows.X):
            encoder = dense_encoder(rows.X)
        elif columns is None and gate is not None:
            before = encoder_before("gate", gate, rows.described)
            if before is not None:
                encoder = make_pipeline(before)
                has_default_encoder = bool(imputed_for(gate))
        if not isinstance(trained, BaseGate):
            if report_weights and rows.has_unequal_weights and not takes_sample_weight(trained):
                said = f"The gate {trained} takes no sample_weight and is fitted without it."
                warn_user(said, IgnoredWeightsWarning)
            trained = ClassifierGate(trained, random_state=seed)
        if isinstance(given, Pipeline):
            last_name = given.steps[-1][0]
        return cls(clone(trained), step_by_step(trained), encoder, last_name, has_default_encoder)

    def fit_encoder(self, X, y, weight):
        """What the gate sees of X; fits the transformers."""
        if self.encoder is None:
            return X
        if not self.has_default_encoder:
            weight = None  # others may reject new levels
        self.encoder, columns = fit_columns(self.encoder, X, y, weight)
        return columns

    def warn_of_many_weights(self, Z, n_experts):
        """Say so where a softmax gate of sparse columns takes longer than all else."""
        n_weights = (Z.shape[1] + 1) * n_experts
        if type(self.trained) is SoftmaxGate and n_weights > MANY_WEIGHTS:
            warn_user(
                f"The gate has {n_weights:,} weights, for {Z.shape[1]:,} sparse columns and "
                f"{n_experts} experts, and takes most of the time. For fewer columns, give "
                "make_pipeline(TruncatedSVD(50), SoftmaxGate()); for none, ConstantGate().",
                UserWarning,
            )

    def continued(self, fitted):
        """The gate to train, with the weights of a fitted one if it is of this kind."""
        _, last = split_last(fitted)
        settings = self.trained.get_params(deep=False)
        if type(last) is not type(self.trained) or not settings.get("warm_start"):
            return self.trained
        return copy.copy(last).set_params(**settings)

    def behind(self, gate):
        """A fitted gate after the transformers, if there are any."""
        if self.encoder is None:
            return gate
        return Pipeline([*self.encoder.steps, (self.last_name, gate)])


def validate_gate(gate, *, is_whole=False):
    """Raise what ``fit`` of a gate would of its parameters: EM need not call it.

    ``is_whole`` is whether this is all of a mixture's gate, which may select columns.
    """
    if isinstance(gate, BaseGate):
        validate_params(gate)
        if not is_whole:
            check_sees_all(gate)
        for part in gate.get_params(deep=False).values():
            validate_gate(part)


def step_by_step(gate):
    """Let every ``fit`` of a gate make one step from where the last one ended; the gate."""
    if {"warm_start", "max_iter"} <= set(gate.get_params(deep=False)):
        gate.set_params(warm_start=True, max_iter=1)
    return gate


# The parts of a mixture ---------------------------------------------------------------------------


MOST_TURNED = 300  # columns, as many as rows or more, if levels have prior variances of their own


@dataclass
class Parts:
    """Experts, gate and likelihood of one fit."""

    model_class: type  # RegressionModel or ClassificationModel
    names: list  # list of str: names of the experts
    templates: list  # list of estimators: unfitted experts, each able to read the rows
    solver: object  # LinearSolver: solves linear experts for this target
    # ``is_default``, ``is_list``: whether the mixture has chosen the experts; whether they are a
    # list of named ones.
    is_default: bool
    is_list: bool
    gate: GateParts  # the gate
    likelihood: object  # BaseLikelihood: unstarted
    classes: np.ndarray | None = None  # (n_classes,): labels of classes
    feature_names: np.ndarray | None = None  # (n_features,): names of the columns of X
    # Whether the default experts of a table see other columns than its default gate.
    has_own_columns: bool = False
    encodes: bool = False  # whether some transformers before experts are not the user's
    transformer: Pipeline | None = None  # fitted transformers before experts that EM solves

    def labels(self, y):
        """Target as experts that are estimators are fitted on it."""
        if self.classes is None:
            return y
        return self.classes[y]

    def training_data(self, rows):
        """The rows as gate, experts and starts see them; fits what stands before the gate."""
        likelihood = self.likelihood.fitting(in_sample=True, linear=True)
        if likelihood.looks_at_target:
            likelihood.start(rows.y, rows.weight, len(self.names))
        if rows.exposure is None:
            rates = rows.y
        else:
            rates = rows.y / rows.exposure
        start_target = likelihood.start_target(rates, rows.weight)
        Z = self.gate.fit_encoder(rows.X, rows.y, rows.weight)
        if sparse.issparse(Z):
            self.gate.warn_of_many_weights(Z, len(self.names))
        subjects = None
        if rows.subject is not None:
            subjects = likelihood.subjects_of(rows.X, rows.subject, rows.weight)
        return TrainingData.of(rows, Z, start_target, self.classes, subjects)

    # Experts --------------------------------------------------------------------------------

    def make_experts(self, data, folds, settings, seed):
        """Experts in training: solved together where that can be, else estimators."""
        experts = self.make_solved(data, folds, seed)
        if experts is None and self.likelihood.takes_subjects:
            raise ValueError(
                f"{self.likelihood} needs linear experts: the default ones, one LinearRegression "
                "or Ridge, with dense columns and cv='auto' or False."
            )
        if experts is None:
            return self.make_estimators(data, folds, settings, seed)
        return experts

    def make_solved(self, data, folds, seed):
        """Linear experts that are solved together; None where that cannot be."""
        if self.is_list or folds is not None:
            return None
        last = split_last(self.templates[0])[1]
        if self.is_default:
            penalty = self.solver.default_penalty
        else:
            penalty = self.solver.penalty_of(last)
        if penalty is None:
            return None
        source, design = self.linear_design(data, seed)
        if design is None or (sparse.issparse(design) and self.likelihood.takes_subjects):
            return None
        experts = self.solver.experts(
            design,
            self.likelihood.expert_target(data.y),
            data.weight,
            len(self.names),
            penalty=penalty,
            prior=self.is_default,
            exposure=data.exposure,
            units=data.units,
        )
        experts.source = source
        return experts

    def linear_design(self, data, seed):
        """What linear experts see of X, and as an array; fits the transformers before them.

        The first with its names, the second None where it is sparse and wide.
        """
        head, _ = split_last(self.templates[0])
        source = data.X
        is_default = self.is_default and self.gate.has_default_encoder
        if head is not None and is_default and not self.has_own_columns:
            self.transformer = self.gate.encoder
            source = data.Z
        elif head is not None:
            head = seed_estimator(head, seed)
            if self.encodes:
                weight = data.weight
            else:
                weight = None
            self.transformer, source = fit_columns(head, source, data.y, weight)
        name = "The design of linear experts"
        if sparse.issparse(source):
            if not are_solved_sparse(source.shape):
                return source, None
            return source, check_array(
                source, accept_sparse="csr", dtype=np.float64, input_name=name
            )
        if source is data.X and is_plain(source):
            return source, source
        return source, check_array(source, dtype=[np.float64, np.float32], input_name=name)

    def levels(self, encoder, design):
        """Number of the column of strings of each column of the encoded design, or None.

        See ``blocks_of_levels``. Where columns outnumber the rows by far, all are alike, since
        they are turned then.
        """
        n_rows, n_columns = design.shape
        is_turned = n_columns >= n_rows and n_columns > MOST_TURNED
        has_levels = encoder is not None and self.is_default and not is_turned
        if has_levels:
            return blocks_of_levels(encoder)
        return None

    def first(self, n_experts, *, is_gated=True):
        """Parts of so many clones of the expert, whose gate may be one of proportions."""
        names = [f"expert{k}" for k in range(n_experts)]
        templates = self.templates[:1] * n_experts
        is_gated = is_gated and n_experts > 1
        if is_gated:
            gate = self.gate
        else:
            gate = GateParts(ConstantGate(), ConstantGate())
        return replace(self, names=names, templates=templates, gate=gate)

    def make_estimators(
        self,
        data,
        folds,
        settings,
        seed,
        *,
        report_weights=True,
        once=False,
        density_floor=None,
    ):
        """Experts that are fitted by their own ``fit``; see ``make_experts``.

        ``report_weights`` is whether to say which of them take no weights, ``kind`` the class,
        ``once`` whether they are fitted once and not in every iteration of EM.
        """
        random_state = np.random.RandomState(seed)
        seeded = [seed_estimator(template, random_state) for template in self.templates]
        # A mixture goes on with its regimes, and does not seek new ones.
        for estimator in [] if once else seeded:
            params = estimator.get_params(deep=False)
            has_regimes = has_own_density(estimator) and params.get("training") != "stack"
            if has_regimes and "warm_start" in params:
                estimator.set_params(warm_start=True)
                if params.get("training") == "auto":  # which might keep the first number of lines
                    estimator.set_params(training="em")
        changes_target = self.likelihood.changes_target
        experts = EstimatorExperts(
            self.names,
            seeded,
            data.X,
            self.labels(data.y),
            data.weight,
            target=self.likelihood.expert_target if changes_target else None,
            folds=folds,
            are_clones=not self.is_list,
            min_responsibility=0.0 if folds is None else min(0.1, 0.5 / len(self.names)),
            classes=self.classes,
            quiet=self.is_default,
            density_floor=density_floor,
        )
        taken = zip(self.names, experts.weighted, strict=True)
        ignoring = [name for name, takes_weights in taken if not takes_weights]
        if report_weights and ignoring and np.ptp(data.weight[data.weight > 0]) > 0:
            if self.is_list:
                who = f"experts {ignoring}"
            else:
                who = "experts"
            said = f"The {who} take no sample_weight; scales and gate use it."
            warn_user(said, IgnoredWeightsWarning)
        return experts

    # Model ----------------------------------------------------------------------------------

    def model(self, problem, settings):
        """The fitted model of a trained problem, and the order of its experts.

        Returns the model, of which expert ``j`` is expert ``order[j]`` of the problem, ``order``,
        and the mean gate probabilities in this order. Clones are put in the order of falling load.
        """
        estimators = self._estimators(problem)
        gate = problem.finished_gate(self.gate.given)
        problem.fit_to_routing()
        likelihood = copy.copy(problem.likelihood)
        load = problem.load_under(gate)
        order = np.arange(len(self.names))
        # Else the order means something.
        if len(order) > 1 and not self.is_list and gate.can_reorder:
            order = np.argsort(-load, kind="stable")
            gate.reorder(order)
            likelihood.reorder(order)
        experts = [estimators[k] for k in order]
        y_shape = problem.y.shape[1:]
        model = self.model_of(self.names, experts, gate, likelihood, y_shape, settings.top_k)
        return model, order, load[order]

    def model_of(self, names, experts, gate, *others):
        """A Model of fitted experts and gate, without the transformers before it, and others."""
        if self.classes is None:
            target = {}
        else:
            target = {"classes": self.classes}
        return self.model_class(names, experts, self.gate.behind(gate), *others, **target)

    def _estimators(self, problem):
        """Fitted experts, each whole: transformers included."""
        if not problem.experts.is_solved:
            fitted = problem.experts.finish(problem.resp, *problem.working_data)
            if self.transformer is None:
                return fitted
            return self._behind_transformer(fitted)
        last = clone(split_last(self.templates[0])[1])  # common to all experts
        # A transformer before it may give names, or take them away.
        learn_columns(last, problem.experts.source)
        fitted = problem.experts.finish([shallow_copy(last) for _ in self.templates])
        is_pipeline = isinstance(self.templates[0], Pipeline)
        if is_pipeline:
            return self._behind_transformer(fitted)
        return fitted

    def _behind_transformer(self, fitted):
        if self.transformer is None:
            before = []
        else:
            before = self.transformer.steps
        last_name = self.templates[0].steps[-1][0]
        return [Pipeline([*before, (last_name, estimator)]) for estimator in fitted]


def adapt_experts(templates, described, *, is_default, columns=None, **encoding):
    """Experts that can take the rows: encoded where those of the mixture's choice meet a table.

    So are others that cannot take a mixed table as it is; they keep NaN if they take it. See
    ``default_encoder`` for ``encoding``. ``columns`` are those that they see, None all.
    """

    def adapted(estimator):
        if columns is not None:
            return _on_columns(estimator, described, columns, is_default)
        if not described.is_mixed:
            return estimator
        if not is_default:
            encoder = encoder_before("expert", estimator, described, **encoding)
            if encoder is None:
                return estimator
            return _behind(encoder, estimator)
        last = split_last(estimator)[1]
        if is_frozen(estimator) or has_experts(last):  # a mixture has an encoder of its own
            return last
        return _behind(default_encoder(described, **encoding), estimator)

    distinct = {id(each): adapted(each) for each in {id(e): e for e in templates}.values()}
    return [distinct[id(each)] for each in templates]


def _on_columns(estimator, described, columns, is_default):
    """An expert that sees some columns, encoded if need be."""
    if is_frozen(estimator):
        return estimator
    if has_own_density(estimator):
        raise ValueError(
            "Give expert_columns to the mixture that is an expert, not to the one around it."
        )
    if is_default:
        return _behind(column_encoder(described, columns), estimator)
    places, _, seen = take_columns(described.X, columns)
    seen = DescribedColumns(seen)
    if needs_encoding(estimator, seen):
        return _behind(column_encoder(described, columns, imputed_for(estimator)), estimator)
    check_accepts("expert", estimator, seen)
    return _behind(selector(places, "pandas" if is_table(seen.X) else "default"), estimator)


def _behind(encoder, estimator):
    if isinstance(estimator, Pipeline):
        steps = estimator.steps
    else:
        steps = [("", estimator)]
    return make_pipeline(encoder, *(step for _, step in steps))
