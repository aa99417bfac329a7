"""The gate of a mixture as the user gave it, adapted to the rows."""

import copy
from dataclasses import dataclass

from scipy import sparse
from sklearn.base import clone
from sklearn.pipeline import Pipeline, make_pipeline

from .._compat import validate_params
from .._experts.fitting import seed_estimator, split_last, takes_sample_weight
from .._tables.encoding import (
    column_encoder,
    default_encoder,
    dense_encoder,
    encoder_before,
    fit_columns,
    imputed_for,
)
from ..exceptions import IgnoredWeightsWarning, warn_user
from ..gates import BaseGate, ClassifierGate, ConstantGate, SoftmaxGate
from ..gates._base import check_sees_all, linear_columns_of

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
        columns, last_name = linear_columns_of(gate), "gate"
        if columns is not None:
            gate = clone(gate).set_params(columns=None)
            given = Pipeline(
                [("columns", column_encoder(rows.described, columns)), (last_name, gate)]
            )
        else:
            given = default if gate is None else gate
        _, last = split_last(given)
        validate_gate(last)
        without = _without_columns(unseen, rows.described) if gate is None and unseen else None
        if n_experts == 1:
            return cls(last, ConstantGate(), without)
        seeded = seed_estimator(given, seed)
        encoder, trained = split_last(seeded)
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
                encoder, has_default_encoder = make_pipeline(before), bool(imputed_for(gate))
        if not isinstance(trained, BaseGate):
            if report_weights and rows.has_unequal_weights and not takes_sample_weight(trained):
                warn_user(
                    f"The gate {trained} takes no sample_weight and is fitted without it.",
                    IgnoredWeightsWarning,
                )
            trained = ClassifierGate(trained, random_state=seed)
        if isinstance(given, Pipeline):
            last_name = given.steps[-1][0]
        return cls(clone(trained), step_by_step(trained), encoder, last_name, has_default_encoder)

    @property
    def can_memorise(self):
        """Whether the gate can memorise its rows."""
        return self.trained.can_memorise

    def fit_encoder(self, X, y, weight):
        """What the gate sees of X; fits the transformers."""
        if self.encoder is None:
            return X
        weight = weight if self.has_default_encoder else None  # others may reject new levels
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


def _without_columns(unseen, described):
    """Unfitted Pipeline to the numbers that are made of the other columns."""
    seen = [name for number, name in enumerate(described.labels) if number not in unseen]
    return Pipeline([("columns", column_encoder(described, seen))])


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
