r"""The training problem of pooled experts: a bound on the evidence, and the gate's part in it.

EM raises, by turns in each factor,

.. math:: F = \sum_i w_i \log \sum_k \pi_k(x_i) \exp(\mathrm{E} \log f_k(y_i \mid x_i))
    - \mathrm{KL}(q(b)) - \mathrm{KL}(q(\lambda)) + \log p(v)

over responsibilities, coefficients b, precisions lambda, their variances, and the weights v of the
gate, which are a point [1]_. The uncertainty of v is included when mixtures are compared, by
the volume of its posterior relative to that of its prior, whose precision alpha maximises that sum.

References
----------
.. [1] S. Waterhouse, D. MacKay and T. Robinson, "Bayesian methods for mixtures of experts", NIPS 8
   (1996) 351-357.
"""

from itertools import combinations
from operator import attrgetter

import numpy as np
from scipy import sparse, special
from sklearn.base import clone

from .._em.problem import Problem, shallow_copy
from .._experts.fitting import split_last
from .._experts.pooled import PooledExperts, variance_groups
from .._experts.pooled_generalized_linear import PooledGeneralizedLinearExperts
from .._experts.pooled_logistic import PooledLogisticExperts
from .._kernels._softmax_steps import learn_softmax, softmax_volume
from .._numerics import multinomial as _multinomial
from .._numerics.columns import StandardColumns, Surroundings, sparse_rows
from .._numerics.statistics import weighted_grams
from .._reports.expert_report import ReportSums
from .._tables.encoding import numeric_matrix
from ..likelihoods._pooled import PooledCategorical, PooledGaussian

INTERCEPT_PENALTY = 0.1  # prior precision of the gate's intercepts
FIRST_ALPHA = 1.0  # and largest, for responsibilities of a start, so that these can be sharp
SMALLEST_ALPHA = 1e-3
LARGEST_ALPHA = 1e6
ALPHA_STEPS = 4
NEWTON_OF_ALPHA = 3, 1e-4  # steps before each of these, and what they end at
FIRST_STEPS = 5  # of Newton, for the responsibilities of a start
COMPILED_LEVELS = 150  # coefficients, beyond which rounds of sparse rows take less time


class PooledGate:
    """Softmax gate in training, under a normal prior whose precision is learned.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features)
        What the gate sees; no columns for proportions.
    weight : ndarray of shape (n_samples,)
        Weights of the rows.
    columns : StandardColumns, default=None
        Columns of the rows, unless all are numbers in these units.

    Attributes
    ----------
    columns : StandardColumns
        What coefficients belong to; none for proportions.
    coef : ndarray of shape (p, n_experts)
        Coefficients of the design, the intercepts last.
    alpha : ndarray of shape (p - 1,)
        Prior precisions of the slopes: one of the levels of each column of many strings, one of
        all others.
    sees_rows : bool
        Whether its probabilities can depend on the row.
    proba, log_proba : ndarray of shape (n_samples, n_experts)
        Gate probabilities of the rows, and logarithms.
    """

    takes_load_prior = is_costly = False
    sees_rows = True
    objective = "conditional"
    given = property(lambda self: (self._dense, self.penalty, self.coef))  # to a ``PooledRun``
    _curvature = None  # mean of the functions', in steps of many parameters

    def __init__(self, Z, weight, columns=None):
        self.weight = weight
        if columns is None:
            self.columns = StandardColumns.of(Z, weight)
        else:
            self.columns = columns
        self._dense = self.columns.design(Z)
        self.design = sparse_rows(self._dense, self.columns.levels)
        slopes = np.arange(self.design.shape[1]) < self.design.shape[1] - 1
        self._groups = variance_groups(slopes, len(slopes), self.columns.effects)[1]

    @property
    def coef_of_experts(self):
        """Coefficients of the design before the softmax over experts, (p, n_experts)."""
        return self.coef

    def log_prior(self):
        """Log-prior of the weights, but for its constant."""
        return -0.5 * float(self.penalty @ (self.coef**2).sum(axis=1))

    def log_volume(self, variance=None):
        """Logarithm of the volume of the posterior relative to that of the prior.

        ``variance`` is as in ``softmax_volume``.
        """
        if self._volume is None or variance is not None:
            pairs = _multinomial.pair_grams(self.design, self._at[0], self.weight)
            self._volume = softmax_volume(pairs, self.penalty, variance)
            self._curvature = 2 / max(self.coef.shape[1] - 1, 1) * pairs.sum(axis=0)
        return self._volume

    @property
    def penalty(self):
        """Precisions of the prior of each row of weights, (p,)."""
        return np.append(self.alpha, INTERCEPT_PENALTY)

    def begin(self, resp, alpha=None, n_functions=None):
        """Weights, and ``alpha`` unless it is given, for the responsibilities of a start.

        ``n_functions``, by default as many as experts, are those that there is a softmax of.
        """
        self.set_coef(np.zeros((self.design.shape[1], n_functions or resp.shape[1])))
        if self.coef.size > _multinomial.NEWTON_LIMIT:
            share = self.weight[:, None] / self.coef.shape[1]
            self._curvature = weighted_grams(self.design, share)[0]
        if alpha is None:
            self.alpha = np.full(len(self.coef) - 1, FIRST_ALPHA)
        else:
            self.alpha = alpha
        if alpha is None:
            self.learn_alpha(resp, largest=FIRST_ALPHA)
        else:
            self.fit(resp, max_iter=FIRST_STEPS)

    def fit(self, resp, max_iter=1, tol=0.0):
        """Newton steps that raise F at these responsibilities."""
        coef, *_, at = _multinomial.fit(
            self.design,
            self._targets(resp),
            self.coef,
            self.penalty,
            max_iter=max_iter,
            tol=tol,
            curvature=self._curvature,
        )
        self.set_coef(coef, at)

    def _targets(self, resp):
        return resp * self.weight[:, None]

    def learn_alpha(self, resp, largest=LARGEST_ALPHA):
        """MacKay's steps for ``alpha``, with the weights at their optimum before each."""
        n_free = self.coef.shape[1] - 1
        bounds = (SMALLEST_ALPHA, largest)
        is_quick = self.coef.size <= _multinomial.NEWTON_LIMIT
        if n_free and is_quick and self.weight.all() and not sparse.issparse(self.design):
            coef = self.coef.copy()
            penalty = self.penalty
            at = np.empty((2, len(resp), n_free + 1))
            volume = learn_softmax(
                self.design,
                self._targets(resp),
                coef,
                penalty,
                self._groups,
                *bounds,
                ALPHA_STEPS,
                *NEWTON_OF_ALPHA,
                *at,
            )
            self.set_coef(coef, at)
            self.alpha = penalty[:-1]
            self._volume = volume
            return
        for _ in range(ALPHA_STEPS if is_quick else 1):
            self.fit(resp, *NEWTON_OF_ALPHA)
            if n_free:
                variance = np.empty(len(self.coef))
                groups = self._groups[:-1]
                self.log_volume(variance)
                # Slopes of each column that H fixes, and squares of all.
                sums = n_free - self.penalty * variance, (self.coef**2).sum(axis=1)
                fixed, squares = (np.bincount(groups, each[:-1]) for each in sums)
                alpha = np.clip(fixed / np.maximum(squares, 1e-300), *bounds)[groups]
                self.alpha = alpha
                self._volume = None

    def set_coef(self, coef, at=None):
        """Take weights, and the ``softmax`` of the rows if it is known."""
        self.coef = coef
        self._volume = None
        if at is None:
            self._at = _multinomial.softmax(self.design @ coef)
        else:
            self._at = at
        self.proba, self.log_proba = self._at


class PooledProblem(Problem):
    """A mixture of pooled experts in training; see ``Problem``.

    ``experts`` are ``Pooled``, ``gate`` is a ``PooledGate``, ``likelihood`` has ``take``.
    """

    of_state = ("resp", "log_norm", "log_density", "objective", "_evidence")  # and parts
    is_at_optimum = False
    gate_proba = property(attrgetter("gate.proba"))

    def start(self, resp, alpha=None):
        if self.data.subjects is not None:
            resp = self.data.subjects.average(resp)
        self.gate.begin(resp, alpha)
        if self.is_compiled:
            run = self.experts.run_with(self.gate, resp, begins=True)
            self._take_run(
                run,
                run.begin(self.experts.first_rounds, self.gate.log_proba, self._log_unit),
                n_rounds=1,
            )
        else:
            self.experts.begin(resp)
            self._e_step()
        return self

    @property
    def is_compiled(self):
        experts = self.experts
        gate = self.gate
        has_levels = experts.level_of is not None or gate.columns.levels is not None
        size = max(gate.coef.size, has_levels * experts.n_experts * experts.design.shape[1])
        if has_levels:
            most = COMPILED_LEVELS
        else:
            most = _multinomial.NEWTON_LIMIT
        return experts.has_run and size <= most and self.data.subjects is None and self.weight.all()

    def advance(self, n_iter, tol, foresees, gains, reference):
        if not self.is_compiled:
            return [self.step()]
        run = self.experts.run_with(self.gate, self.resp, begins=False)
        objectives = run.advance(n_iter, tol, reference, self._log_unit)
        if objectives[-1] < max(objectives[:-1], default=-np.inf):  # by rounding: to the best one
            return self.advance(len(objectives) - 1, tol, foresees, gains, reference)
        self.gate.counts = run.of_counts()
        self.gate.set_coef(*run.of_gate())
        self._take_run(run, objectives[-1], len(objectives))
        return objectives

    def _take_run(self, run, objective, n_rounds):
        self.experts.take_run(run)
        self.experts.n_fits += n_rounds * self.experts.n_experts
        vars(self).update(run.of_rows(), objective=objective, _evidence=None)

    def step(self):
        """One round over all factors; the objective."""
        self.experts.fit(self.resp)
        self.gate.fit(self.resp)
        return self._e_step()

    def _e_step(self, expects=True):
        if expects:
            self.log_density = self.experts.expected_log_density()
        log_gate = np.ascontiguousarray(self.gate.log_proba)
        self.resp, log_norm, bound = self.posterior(log_gate, self.log_density)
        self.log_norm = log_norm - self._log_unit
        bound += self.log_prior()
        self.objective = float(bound / self.weight.sum() - self._log_unit)
        self._evidence = None
        return self.objective

    @property
    def load(self):
        """Mean probabilities of the gate, (K,)."""
        return self.gate.weight @ self.gate.proba / self.gate.weight.sum()

    @property
    def _log_unit(self):
        """Logarithm of the unit of the target that the experts have."""
        return np.log(self.experts.y_scale).sum()

    @property
    def evidence(self):
        """The objective with the gate integrated out, by Laplace's method; per unit of weight."""
        if self._evidence is None:
            self._evidence = float(self.objective + self.gate.log_volume() / self.weight.sum())
        return self._evidence

    def learn_alpha(self):
        """A better precision of the gate's prior, and its weights; the change of its logarithm."""
        before = self.gate.alpha
        self.gate.learn_alpha(self.resp)
        self._e_step(expects=False)
        return np.abs(np.log(self.gate.alpha / before)).max(initial=0.0)

    # Attributes of the problem --------------------------------------------------------------

    def log_prior(self):
        """Log-prior of the gate, less the KL divergence of the experts from their prior."""
        return self.gate.log_prior() - self.experts.divergence

    def dead(self):
        """No expert: one of few rows is held up by the others, or the evidence would be lower."""
        return np.arange(0)

    def sums_of_regimes(self, model, groups, order):
        """``report_sums`` of regimes; ``groups`` are those of the model's experts."""
        given = (each[:, order] for each in (self.resp, self.gate_proba, self.means))
        return ReportSums.of_predictions(model, groups, *given, self.y, self.weight)

    def finished_gate(self, given):
        """A fitted public gate with these weights, with kind and other settings of ``given``."""
        if not given.sees_rows:  # as probable in all rows
            gate = clone(given)
            gate.begin_sums(self.Z, self.experts.n_experts, None)
            gate.set_mass(self.weight.sum() * self.load)
            return gate
        columns = self.gate.columns
        alpha = self.gate.alpha
        gate = clone(given).set_params(alpha=float(alpha.max(initial=SMALLEST_ALPHA)))
        own = columns.standard_variances(np.append(alpha, 1.0)[None])[0, :-1]
        unit = np.sqrt(own / gate.alpha)  # in which the slopes have one precision
        logits = columns.standard(self.gate.coef_of_experts) * np.append(unit, 1.0)[:, None]
        units = columns.mean, columns.scale * unit
        gate.begin_sums(self.Z, self.experts.n_experts, units, logits)
        return gate

    def surroundings(self, gate):
        """Rows that the fitted gate sees, by its log-odds; None where these are constants."""
        _, gate = split_last(gate)
        if gate.n_functions_ == 0:
            return None
        slopes = np.linalg.norm(gate.coef_ - gate.coef_.mean(axis=0), axis=0)
        return Surroundings.of(numeric_matrix(self.Z), self.gate.weight, slopes)

    def fit_to_routing(self):
        """Let the likelihood take what predictions need of the experts."""
        self.likelihood = shallow_copy(self.likelihood)
        self.likelihood.take(self.experts, self.resp)

    def begin_gate_stream(self, gate, order):
        gate.begin_stream(self.Z, self.resp[:, order], self.gate.weight)


def gate_columns(gate, Z):
    """What a ``PooledGate`` sees of the rows; nothing if it is to be one of proportions."""
    if gate.sees_rows:
        return numeric_matrix(Z)
    return np.empty((Z.shape[0], 0))


# The two experts of a mixture that can be merged at the least loss -------------------------------


def cheapest_merger(experts, resp, log_gate, weight):
    r"""The two experts that lose least as one, at these responsibilities.

    What the experts lose, and what the gate gains as it no longer tells the two apart:

    .. math:: L_{kl} - \sum_i w_i \sum_{j \in \{k, l\}} r_{ij} \log
        \frac{r_{ij} / (r_{ik} + r_{il})}{\pi_{ij} / (\pi_{ik} + \pi_{il})}

    ``experts`` are two at least, with ``loss_as_one(k, l)``; ``resp`` and ``log_gate`` are (n, K).
    Returns the loss of log-likelihood, before the smaller mixture is trained, and the pair.
    """
    losses = []
    of_each = weight @ (special.xlogy(resp, resp) - resp * log_gate)
    for k, other in combinations(range(resp.shape[1]), 2):
        total = resp[:, k] + resp[:, other]
        log_total = np.logaddexp(log_gate[:, k], log_gate[:, other])
        told_apart = of_each[[k, other]].sum()
        told_apart -= weight @ (special.xlogy(total, total) - total * log_total)
        losses.append((experts.loss_as_one(k, other) - told_apart, (k, other)))
    return min(losses)


def merged(resp, pair):
    """Responsibilities with the second of two experts added to the first."""
    k, other = pair
    together = resp.copy()
    together[:, k] += together[:, other]
    return np.delete(together, other, axis=1)


# A gate over regimes: within a regime, shares of the experts are the same in all rows ------------


PRIOR_COUNT = 1.0  # of each expert, among those of its regime


class RegimeGate(PooledGate):
    """Softmax over regimes, times proportions within them.

    The proportions of a regime have a Dirichlet prior and posterior, of which ``log_proba`` holds
    the expected logarithms.

    Parameters
    ----------
    gate : PooledGate
        Gate of the same rows.
    regime : ndarray of int of shape (n_experts,)
        Number of the regime of each expert.
    """

    def __init__(self, gate, regime):
        vars(self).update(vars(gate))
        self.regime = np.asarray(regime)
        self._members = np.equal.outer(self.regime, np.arange(max(regime) + 1)).astype(float)
        self.sees_rows = self._members.shape[1] > 1

    @property
    def coef_of_experts(self):
        coef = self.coef[:, self.regime].copy()
        coef[-1] += np.log(self._share)
        return coef

    def begin(self, resp, alpha=None):
        self.counts = PRIOR_COUNT + self.weight @ resp
        super().begin(resp, alpha, self._members.shape[1])

    def _targets(self, resp):
        self.counts = PRIOR_COUNT + self.weight @ resp
        return super()._targets(resp @ self._members)

    def log_prior(self):
        """Log-prior of the weights, less the KL divergence of the shares from their prior."""
        counts = self.counts
        prior = PRIOR_COUNT
        total = counts @ self._members
        of_prior = prior * self._members.sum(axis=0)
        divergence = special.gammaln(total).sum() - special.gammaln(counts).sum()
        divergence -= special.gammaln(of_prior).sum() - len(counts) * special.gammaln(prior)
        divergence += (counts - prior) @ self._log_share
        return super().log_prior() - float(divergence)

    @property
    def given(self):
        return *super().given, self.regime, self.counts, PRIOR_COUNT

    def set_coef(self, coef, at=None):
        super().set_coef(coef, at)
        total = (self.counts @ self._members)[self.regime]
        self._share = self.counts / total  # the mean
        self._log_share = special.digamma(self.counts) - special.digamma(total)
        self.proba = self._at[0][:, self.regime] * self._share
        self.log_proba = self._at[1][:, self.regime] + self._log_share


def pooled_parts(parts, design, data, block):
    """One pooled expert, of which ``resized`` makes more, and its likelihood.

    ``design`` is what experts see; ``block`` (n_columns,) says of which column of strings its
    columns are levels, see ``StandardColumns``.
    """
    given = (design, data.y, data.weight)
    target = (data.y, data.weight, 1)
    if parts.classes is not None:
        likelihood = PooledCategorical(n_classes=len(parts.classes)).start(*target)
        return PooledLogisticExperts(*given, classes=parts.classes, block=block), likelihood
    family = parts.likelihood.family
    if family is not None:
        likelihood = parts.likelihood.pooled().fitting(in_sample=True, linear=True).start(*target)
        experts = PooledGeneralizedLinearExperts(
            *given, family=family, exposure=data.exposure, block=block
        )
        return experts, likelihood
    likelihood = PooledGaussian(parts.likelihood.scale).start(*target)
    experts = PooledExperts(
        *given,
        floor=likelihood.floor_,
        shared_scale=likelihood.scale == "shared",
        block=block,
    )
    return experts, likelihood
