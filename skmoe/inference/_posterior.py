r"""Posterior of a mixture with pooling: a normal approximation, that of Laplace [1]_.

With the observed information H of the mixture at the fitted parameters, which accounts for
uncertainty about component membership, and the prior covariance S of the parameters, their
posterior covariance is :math:`(H + S^{-1})^{-1}`. The priors are those of the fit, but intercepts
vary between experts at least as much as slopes do. Parameters are, around their prior means, a
matrix L times independent standard normal variables, so that S = L L' and the covariance is
:math:`L (I + L'HL)^{-1} L'`, also where experts share coefficients and S is singular.

The variance of the gate's slopes is learned from a few slopes, and with 60 rows it may be almost 0.
Here their prior is at least as weak as a standard deviation of 2.5 under standardised columns [2]_,
and the square of the change of parameters under it is added: intervals are around the estimates of
the fit, whose shrinkage is a bias [3]_. Other prior variances are treated as known.

The sandwich is :math:`(H + S^{-1})^{-1} (J + S^{-1}) (H + S^{-1})^{-1}`, J the sum of squares of
the scores of rows or subjects: the posterior covariance again where J is H, as it is on average if
the model is right, and White's where the prior is weak.

References
----------
.. [1] D. J. C. MacKay, "The evidence framework applied to classification networks", Neural
   Computation 4 (1992) 720-736.
.. [2] A. Gelman et al., "A weakly informative default prior distribution for logistic and other
   regression models", Annals of Applied Statistics 2 (2008) 1360-1383.
.. [3] T. B. Armstrong, M. Kolesar and M. Plagborg-Moller, "Robust empirical Bayes confidence
   intervals", Econometrica 90 (2022) 2567-2602.
"""

from functools import cached_property

import numpy as np
from scipy import linalg
from sklearn.base import is_classifier

from .._experts.fitting import column_names, split_last
from .._numerics.columns import effects_of
from .._numerics.statistics import independent_columns
from .._pooling.problem import INTERCEPT_PENALTY
from .._reports.by_regime import in_lines
from .._reports.coefficients import levels_and_spread
from .._reports.column_names import FROM_MEAN, FROM_REFERENCE, coding_of_levels
from .._tables.encoding import blocks_of_levels
from ..gates import SoftmaxGate
from ._estimates import OTHERWISE, Estimates, parameter_names, raw_parameters

WEAK_PRECISION = 0.16  # of the gate's slopes: a standard deviation of 2.5
SHARE_SD = (np.pi**2 / 6) ** 0.5  # of the logarithm of a share, under a uniform prior
COMMON_LOG_SCALE = 10.0  # standard deviation of what log-scales share: as good as flat
LEAST_CURVATURE = 1e-3  # of the log-posterior, that of the prior being 1, for a normal one
LARGEST_SHARE = 0.1  # of a variance, along directions in which the posterior is not normal
NOT_NORMAL = (
    "std_error n/a: the posterior is not close to a normal one. Other parameters are unaffected; "
    "cov='bootstrap' estimates all by refits."
)
DEPENDENT = (
    "columns depend on each other: differences of their coefficients are\nmore certain than each"
)


class PosteriorEstimates(Estimates):
    """Estimates of a mixture with pooling, whose prior identifies all coefficients."""

    keeps_all_columns = True

    def _parameter_owners(self):
        return None  # each its own; deviations of shared ones have the variance 0 by the prior

    def covariance(self, is_robust=False):
        """Covariance of the parameters under their posterior, or the sandwich, in raw units.

        Along directions in which the posterior has no maximum near the fit it is the prior's.
        """
        half, inverse_root = self._laplace[:2]
        change = self._change_by_prior()
        middle = np.eye(len(inverse_root))
        if is_robust:
            root = self._prior_root() @ inverse_root
            determined = len(root.T) - np.sum(inverse_root**2)  # parameters that the rows fix
            outer = self.likelihood.outer_scores(self.fitted(), determined)
            middle = inverse_root.T @ inverse_root + root.T @ outer @ root
        return half @ middle @ half.T + change @ change.T

    def found(self, is_robust):
        raw = raw_parameters(self.mixture)
        covariance = self.covariance(is_robust)
        return raw, covariance, self.log_likelihood, self._leave_alone

    def _leave_alone(self, combinations):
        """Whether combinations (n, n_parameters) avoid directions without a maximum."""
        half, _, rises = self._laplace
        at_floor = np.zeros(len(half), dtype=bool)
        self.split_raw(at_floor)[0][self._at_floor] = True
        has_floor = (combinations[:, at_floor] != 0).any(axis=1)
        return ~has_floor & ~(_shares(combinations @ half, rises) > LARGEST_SHARE)

    @property
    def _at_floor(self):
        """Whether the errors of each expert are as small as the floor."""
        if self.mixture.likelihood_.log_scale_precision_ is None:
            return np.zeros(self.likelihood.n_experts, dtype=bool)
        return self.mixture.likelihood_.at_floor_

    @cached_property
    def _laplace(self):
        """A root of the covariance, one of (I + L'HL)^-1, and its columns that have no maximum."""
        root = self._prior_root()
        theta = self.fitted()
        if self._at_floor.all() or not self._at_floor.any():
            self._check_scales(theta)
        information = self.likelihood.derivatives(theta)[2] + np.diag(self._of_floor())
        curvature = np.eye(root.shape[1]) + root.T @ information @ root
        half = self.in_raw_units(theta)[1] @ root
        try:
            factor = linalg.cholesky(curvature)
            inverse_root = linalg.solve_triangular(factor, np.eye(len(factor)))
            return half @ inverse_root, inverse_root, np.zeros(len(factor), dtype=bool)
        except linalg.LinAlgError:
            values, vectors = linalg.eigh(curvature)
        rises = values < LEAST_CURVATURE
        inverse_root = vectors / np.sqrt(np.where(rises, 1.0, values))  # the prior has 1
        half = half @ inverse_root
        share = _shares(half, rises)
        if share.min() > LARGEST_SHARE:
            part, term = (names[share.argmax()] for names in parameter_names(self.mixture))
            raise ValueError(
                "The posterior has no maximum near the fit, so that no normal distribution is "
                f"near it: it rises away from the fit, above all in {term} of {part}. Run "
                f"{self.mixture._why_uncounted()[1]} for the maximum of the likelihood, ask for "
                f"fewer experts, or for cov='bootstrap'. {OTHERWISE}"
            )
        return half, inverse_root, rises

    def degrees_of_freedom(self, is_robust):
        """For coefficients those of the error variance; at most those of ``Estimates``."""
        likelihood = self.mixture.likelihood_
        n_logs = len(self.terms.beside())
        df = np.full((self.likelihood.n_experts, self.n_predictors), np.inf)
        if likelihood.log_scale_precision_ is not None:
            own = likelihood.df_.reshape(df.shape)
            is_member = self._is_member
            df = is_member @ np.minimum(is_member.T @ own, own.max(axis=0))
        each = np.repeat([[1.0, np.inf]], [len(self.columns.to_raw), n_logs], axis=1)
        of_gate = np.full((len(df) - 1) * len(self.gate_columns.to_raw), np.inf)
        most = super().degrees_of_freedom(is_robust)
        return np.minimum(np.append(df[:, :, None] * each, of_gate), most)

    def in_full_rank(self):
        """As there; levels as differences from a reference, which is NaN, or from their mean."""
        sizes = (len(columns.to_raw) for columns in (self.columns, self.gate_columns))
        recode = [_level_contrasts(*each) for each in zip(sizes, self._codings, strict=True)]
        return self._units(*recode, np.ones_like(self.y_scale))

    @cached_property
    def _codings(self):
        """How the levels of each column of strings that experts and gate see are coded, a pair."""
        estimators = self.mixture.experts_[0], self.mixture.gate_
        return [list(coding_of_levels(self.mixture, each).values()) for each in estimators]

    def notes(self, known):
        """What the numbers mean, and which parameters have no standard deviation, in lines."""
        notes = []
        parts = parameter_names(self.mixture)[0]
        if any(reference is not None for _, reference in sum(self._codings, [])):
            notes.append(FROM_REFERENCE)
        for _, _, spread in levels_and_spread(self.mixture, column_names(self.mixture)):
            for name, sd in spread.items():
                notes.append(f"{FROM_MEAN.format(name)}, with a standard deviation of {sd:.4g}")
        columns = self.columns.design[:, :-1]
        columns = np.delete(columns, [levels[0] for levels, _ in self._codings[0]], axis=1)
        if not independent_columns(columns, self.likelihood.weight).all():
            notes.append(DEPENDENT)
        experts = np.array(list(self.mixture.named_experts_))[self._at_floor].tolist()
        if experts and not known.all():
            said = "the errors are as small as their floor"
            notes.append(f"std_error n/a in {', '.join(experts)}: {said}")
        at_floor = np.array([part.split(": output ")[0] in experts for part in parts])
        if np.any(~known & ~at_floor):
            notes.append(in_lines(NOT_NORMAL))
        return notes

    def _change_by_prior(self):
        """Newton step of the parameters when a weak prior of the gate replaces that of the fit."""
        half, inverse_root, _ = self._laplace
        of_gate, of_shares = self._prior_root_of_gate()
        if not of_gate.size:
            return np.zeros((len(half), 1))
        values = linalg.lstsq(np.hstack([of_gate, of_shares]), self.fitted()[-len(of_gate) :])[0]
        # At the fit, the gradients of the likelihood and of its own prior cancel.
        pull = np.resize(np.divide(*self._precisions_of_gate()) - 1, of_gate.shape[1])
        pull = np.append(pull, np.zeros(of_shares.shape[1])) * values
        return half @ (inverse_root[-len(values) :].T @ pull[:, None])

    def _of_floor(self):
        """Information about log-scales from the floor, which is part of each row's variance."""
        of_floor = np.zeros(self.likelihood.size)
        n_experts = self.likelihood.n_experts
        if self.mixture.likelihood_.log_scale_precision_ is not None:
            likelihood = self.mixture.likelihood_
            mass = self.likelihood.weight.sum()
            share = (likelihood.floor_ / likelihood.scale_.reshape(n_experts, -1)) ** 2
            each = 2 * share * mass * self.mixture.expert_load_[:, None]
            size = self.columns.design.shape[1] + 1
            of_floor[size - 1 : size * each.size : size] = each.ravel()
        return of_floor

    def _prior_root(self):
        """Matrix L that makes parameters of independent standard normal variables."""
        of_gate = np.hstack(self._prior_root_of_gate())
        return linalg.block_diag(self._prior_root_of_experts(), of_gate)

    def _prior_root_of_gate(self):
        """Columns of L for a softmax, and for proportions within regimes."""
        precision = self._precisions_of_gate()[1]
        against_first = _from_first(self.likelihood.n_experts)
        sd = np.diag(precision**-0.5)
        if self.mixture.likelihood_.offset_var_ is None:
            of_gate = np.kron(against_first, sd)
            return of_gate, of_gate[:, :0]
        # One function for a regime, and proportions within it.
        of_shares = np.eye(len(sd))[:, -1:] * SHARE_SD
        return np.kron(against_first @ self._is_member, sd), np.kron(against_first, of_shares)

    def _precisions_of_gate(self):
        """Prior precisions of parameters of the gate, of standardised columns: the fit's, weak."""
        encoder, gate = split_last(self.mixture.gate_)
        precision = np.full(self.gate_columns.design.shape[1], INTERCEPT_PENALTY)
        if not isinstance(gate, SoftmaxGate):
            return precision, precision
        precision[:-1] = gate.prior_precision() / self._scales(self.gate_columns) ** 2
        block = blocks_of_levels(encoder)
        weak = np.minimum(precision, WEAK_PRECISION)
        if block is not None:  # many levels determine their variance
            weak[:-1] = np.where(effects_of(block) > 0, precision[:-1], weak[:-1])
        return precision, weak

    @staticmethod
    def _scales(columns):
        return columns.from_raw[:-1, 1:].diagonal()

    @property
    def _is_member(self):
        """Which expert is of which regime, (n_experts, n_regimes)."""
        n_experts = self.likelihood.n_experts
        regime = self.mixture.likelihood_.regime_
        if regime is None:
            regime = np.arange(n_experts)
        return np.equal.outer(regime, np.arange(max(regime) + 1)).astype(float)

    def _prior_root_of_experts(self):
        likelihood = self.mixture.likelihood_
        n_experts = self.likelihood.n_experts
        n_functions = len(likelihood.own_var_)
        unit = self.y_scale[:, None]
        own_var = likelihood.own_var_.copy()
        is_member = self._is_member
        # As few intercepts as experts hardly determine their variance: the estimate is often 0.
        own_var[:, -1] = own_var.max(axis=1)
        of_functions = np.eye(n_functions)
        if is_classifier(self.mixture) and n_functions > 1:
            of_functions = _from_first(n_functions)
            unit = 1.0
        offset_var = np.zeros(own_var.shape)
        if likelihood.offset_var_ is not None:
            offset_var[:, -1] = likelihood.offset_var_
        n_regimes = is_member.shape[1]
        of_sources = np.column_stack([is_member, np.ones(n_experts), np.eye(n_experts)])
        variances = [own_var] * n_regimes + [likelihood.shared_var_] + [offset_var] * n_experts
        sd = np.sqrt(variances) / unit
        # In units of the columns here, which levels do not have; see ``StandardColumns``.
        sd[..., :-1] *= self._scales(self.columns) / likelihood.columns_.scale
        if self.terms.logs_of:
            of_logs = np.zeros((len(sd), n_functions))
            of_logs[n_regimes:] = COMMON_LOG_SCALE
            if likelihood.log_scale_precision_ is not None:
                own = likelihood.log_scale_precision_.reshape(n_experts, -1) ** -0.5
                of_logs[n_regimes + 1 :] = own
            sd = np.dstack([sd, of_logs])
        root = np.einsum("ks,mf,sfj,ij->kmisfj", of_sources, of_functions, sd, np.eye(sd.shape[2]))
        root = root.reshape(np.prod(root.shape[:3]), -1)
        return root[:, root.any(axis=0)]


def _shares(half, rises):
    """Share of some columns in the variances, the row sums of squares."""
    squares = half**2
    total = squares.sum(axis=1)
    return squares[:, rises].sum(axis=1) / np.where(total == 0, 1.0, total)


def _level_contrasts(size, coding):
    """Matrix (size, size) from levels to differences; the intercept is first."""
    contrasts = np.eye(size)
    for levels, reference in coding:
        levels = 1 + np.array(levels)
        if reference is None:
            origin = levels
        else:
            origin = [1 + reference]
        contrasts[0, origin] = 1 / len(origin)
        contrasts[np.ix_(levels, origin)] -= 1 / len(origin)
        if reference is not None:
            contrasts[origin] = np.nan
    return contrasts


def estimates_of(mixture, *rows):
    """``PosteriorEstimates`` of a mixture with pooling, ``Estimates`` of any other."""
    if mixture.likelihood_.averages_experts:
        kind = PosteriorEstimates
    else:
        kind = Estimates
    return kind(mixture, *rows)


def _from_first(n):
    """Matrix of differences from the first of n numbers, (n - 1, n)."""
    return np.column_stack([-np.ones(n - 1), np.eye(n - 1)])
