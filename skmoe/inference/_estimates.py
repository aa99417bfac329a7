"""Parameters of a fitted mixture of linear or logistic experts, and their likelihood."""

import numpy as np
from scipy import linalg
from sklearn.base import is_classifier

from .._data import NO_METADATA
from .._experts.fitting import column_names, split_last
from .._experts.prediction import columns_seen
from .._numerics.columns import kind_of_target
from .._numerics.statistics import independent_columns, standardisation
from .._reports.column_names import coding_of_levels, columns_of, names_of_terms
from .._tables.mixed import take_rows
from .._validation import check_enough_rows, check_rows
from ..gates import ConstantGate, SoftmaxGate
from ._information import MixtureLikelihood, inverse, maximise

MOST_TERMS = 6  # that a message names
NEGLIGIBLE = 1e-6  # standard deviations that one column adds to another
FARTHEST = 1.0  # standard errors between a fit and the maximum of the likelihood
LARGEST_MISMATCH = 1e-3  # of log-densities, per unit of weight: float32 leaves 1e-5
LEAST_UNDECIDED = 0.1  # rows; with fewer, the slope of a border is not determined
LEAST_SHARE = 1e-6  # of a parameter's square that is along directions without information

OTHERWISE = (
    "skmoe.inference.bootstrap(mixture, X, y, statistic=...) gives standard errors of what any "
    "mixture predicts."
)


class Estimates:
    """The parameters of a mixture of linear or logistic experts, and their likelihood.

    Computed with standardised columns, and reported in raw units.

    Parameters
    ----------
    mixture : mixture
        Fitted.
    X, y : array-likes of n_samples rows
        Rows it was fitted on.
    sample_weight : array-like of shape (n_samples,) or None
        Their weights.
    metadata : RowMetadata, default=NO_METADATA
        What else is known of them.

    Raises
    ------
    ValueError
        If there is no such likelihood.
    """

    keeps_all_columns = False
    distance = 0.0  # standard errors from the fit to the maximum

    def __init__(self, mixture, X, y, sample_weight=None, metadata=NO_METADATA):
        check_applies(mixture)
        rows = check_rows(mixture, X, y, sample_weight, metadata)
        check_enough_rows(np.count_nonzero(rows.weight), len(mixture.experts_))
        _, log_density, mass = mixture._model.e_step(rows)  # looks at the rows of subjects too
        self.log_likelihood = mass @ log_density
        if self.log_likelihood == -np.inf:
            raise ValueError("y has impossible values: give the rows that were in fit.")
        X = rows.X
        y = rows.y
        weight = rows.weight
        exposure = rows.exposure
        subject = rows.subject
        used = weight > 0
        self.rows = rows
        if is_classifier(mixture):
            self.kind = ""
        else:
            self.kind = kind_of_target(rows.y, weight)
        self.mixture = mixture
        weight = weight[used]
        gate = split_last(mixture.gate_)[1]
        every = self.keeps_all_columns
        self.columns = DesignColumns.seen_by(mixture, mixture.experts_[0], X, used, weight, every)
        self.terms = terms = terms_of(mixture.likelihood_, rows)
        if rows.bounds is not None:
            y = rows.bounds
        target = terms.target_of(mixture.likelihood_, y, exposure)[used]
        self.log_jacobian = weight @ terms.log_jacobian(target)
        self.n_predictors = terms.n_predictors(target)
        self.y_mean = np.zeros(self.n_predictors)
        self.y_scale = np.ones(self.n_predictors)
        if terms.standardises:
            self.y_mean, self.y_scale = standardisation(terms.points(target), weight)
            mass = weight @ terms.has_density(target)
            target = (target - self.y_mean) / self.y_scale
            self.log_jacobian -= mass * np.log(self.y_scale).sum()
        subjects = None
        if subject is not None:
            its_rows = take_rows(X, np.flatnonzero(used))
            subjects = mixture.likelihood_.subjects_of(its_rows, subject[used], weight)
        if subjects is None:
            gate_weight = weight
        else:
            gate_weight = subjects.row_weight
        if isinstance(gate, SoftmaxGate):
            self.gate_columns = DesignColumns.seen_by(
                mixture, mixture.gate_, X, used, gate_weight, every=every
            )
        else:
            self.gate_columns = DesignColumns(np.empty((len(weight), 0)), weight, np.ones(0, bool))
        gate_design = self.gate_columns.design
        if subjects is not None:
            gate_design = subjects.of_first_rows(gate_design)
        self.likelihood = MixtureLikelihood(
            terms,
            self.columns.design,
            target,
            gate_design,
            weight,
            len(mixture.experts_),
            subjects=subjects,
            owners=self._parameter_owners(),
        )

    def _parameter_owners(self):
        """Number of the expert, or "all", and name, for each parameter of the experts."""
        kept = np.flatnonzero(self.columns.kept).tolist()
        owners = []
        for k in range(len(self.mixture.experts_)):
            for predictor in range(self.n_predictors):
                for j in [*kept, -1]:  # the intercept last
                    owners.append((k, predictor, j))
                for name in self.terms.beside():
                    if name in self.terms.shared_logs:
                        whose = "all"
                    else:
                        whose = k
                    owners.append((whose, predictor, name))
        return owners

    def fitted(self):
        """Parameters of the fitted mixture, as the likelihood has them."""
        from_raw = self._units(self.columns.from_raw, self.gate_columns.from_raw, 1 / self.y_scale)
        return (from_raw @ (raw_parameters(self.mixture) - self._shifts()))[self.likelihood.free]

    def maximum(self, is_robust=False):
        """The maximum next to the fit, with a covariance.

        Returns the parameters (size,), their log-likelihood, the inverse of the observed
        information or, ``is_robust``, the sandwich, and which parameters in raw units are
        identified. Raises a ValueError if there is no maximum, or it is far from the fit, or
        nothing is identified.
        """
        fitted = self._checked_fit()
        theta, value, information, converged = maximise(self.likelihood, fitted)
        self._check_scales(theta)
        self._check_separation(theta)
        covariance, flat, unit = inverse(information)
        to_raw = self.in_raw_units(theta)[1]
        along = ((to_raw * unit @ flat) ** 2).sum(axis=1)
        known = self.identified() & (along <= LEAST_SHARE * ((to_raw * unit) ** 2).sum(axis=1))
        if not known.any():
            raise ValueError(
                "The information about the parameters is singular, so that they have no standard "
                "errors: the rows say next to nothing about them. Ask for fewer experts or fewer "
                f"columns. {OTHERWISE}"
            )
        if not converged:
            raise ValueError(
                "The likelihood has no maximum near the fit. Run `mixture.set_params(tol=1e-9, "
                f"max_iter=10_000).fit(X, y)`, or ask for fewer experts. {OTHERWISE}"
            )
        self._check_distance(fitted, theta, covariance, np.flatnonzero(known))
        if is_robust:
            outer = self.likelihood.outer_scores(theta, self.likelihood.size)
            covariance = covariance @ outer @ covariance
        return theta, value + self.log_jacobian, covariance, known

    def found(self, is_robust):
        """Estimates of the parameters in raw units.

        Returns them, their covariance, the log-likelihood, and a function that says which of some
        linear combinations (n, n_parameters) are identified.
        """
        theta, value, covariance, known = self.maximum(is_robust)
        raw, to_raw = self.in_raw_units(theta)
        size = (to_raw**2).sum(axis=1)
        of_unknown = size * (self.identified() & ~known)

        def are_known(combinations):
            squares = combinations**2
            return squares @ of_unknown <= LEAST_SHARE * (squares @ size)

        return raw, to_raw @ covariance @ to_raw.T, value, are_known

    def degrees_of_freedom(self, is_robust):
        """For each parameter, or all: under the sandwich one less than rows, or subjects."""
        if is_robust:
            return self.likelihood.n_units - 1
        return np.inf

    def _checked_fit(self):
        """``fitted``; ValueError where the terms are not those of the likelihood."""
        fitted = self.fitted()
        self._check_scales(fitted)
        by_terms = self.likelihood.value(fitted) + self.log_jacobian
        if abs(by_terms - self.log_likelihood) > LARGEST_MISMATCH * self.likelihood.weight.sum():
            name = self.terms.__name__
            raise ValueError(
                f"{name} does not match the log-density of {self.mixture.likelihood_}: the "
                f"log-likelihood of the fit is {by_terms:.6g} by {name} and "
                f"{self.log_likelihood:.6g} by log_density. {OTHERWISE}"
            )
        return fitted

    def _check_scales(self, theta):
        names = list(self.mixture.named_experts_)
        n_raw = len(self.columns.to_raw)
        logs = self.split_raw(self.in_raw_units(theta)[0])[0][:, :, n_raw:]
        at_bound = self.terms.at_bound(logs, self.mixture.likelihood_)
        if at_bound.any():
            bound = [names[k] for k in np.flatnonzero(at_bound)]
            message = self.terms.at_bound_message.format(names=bound)
            raise ValueError(" ".join(filter(None, (message, self.kind, OTHERWISE))))

    def _check_separation(self, theta):
        names = list(self.mixture.named_experts_)
        of_gate, of_experts = self.likelihood.undecided(theta)
        if len(names) > 1 and of_gate.min() < LEAST_UNDECIDED:
            raise ValueError(
                f"Perfect separation: the gate tells {names[of_gate.argmin()]} from the others "
                "without an error. The maximum-likelihood estimate of its weights does not exist, "
                f"and has no standard errors. Take fewer columns for the gate. {OTHERWISE}"
            )
        if of_experts.size and of_experts.min() < LEAST_UNDECIDED:
            k, c = np.unravel_index(of_experts.argmin(), of_experts.shape)
            parted = "successes from failures"
            if is_classifier(self.mixture):
                parted = f"the class {self.mixture.classes_.tolist()[c]!r} from the others"
            raise ValueError(
                f"Perfect separation: {names[k]} tells {parted} without an error. The "
                "maximum-likelihood estimate of its weights does not exist, and has no standard "
                f"errors. Ask for fewer experts or fewer columns. {OTHERWISE}"
            )

    def _check_distance(self, fitted, theta, covariance, known):
        to_raw = self.in_raw_units(theta)[1][known]
        std_error = np.sqrt(np.diag(to_raw @ covariance @ to_raw.T))
        distance = np.abs(to_raw @ (theta - fitted)) / std_error
        self.distance = distance.max()
        worst = known[distance.argmax()]
        if self.distance > FARTHEST:
            parts, terms = parameter_names(self.mixture)
            raise ValueError(
                f"The fit is not at the maximum of the likelihood: {terms[worst]} of "
                f"{parts[worst]} is {self.distance:.1f} standard errors from there. Either EM "
                "stopped early (run `mixture.set_params(tol=1e-9, max_iter=10_000).fit(X, y)`), "
                "or a penalty pulls (lower the alpha of SoftmaxGate, Ridge or PoissonRegressor, or "
                "load_balance, raise C), "
                f"or these are not the rows, weights, subjects or exposures of the fit. {OTHERWISE}"
            )

    def in_raw_units(self, theta):
        """Parameters in the units of X and y, and the matrix that makes changes of them."""
        to_raw = self._units(self.columns.to_raw, self.gate_columns.to_raw, self.y_scale)
        to_raw = to_raw @ self.likelihood.spread
        return to_raw @ theta + self._shifts(), to_raw

    def _units(self, of_columns, of_gate_columns, y_scale):
        """Matrix that changes the units of all parameters, those of an output by a factor."""
        of_expert = []
        of_logs = np.eye(len(self.terms.beside()))
        for scale in y_scale:
            of_expert += [scale * of_columns, of_logs]
        n_experts = self.likelihood.n_experts
        return linalg.block_diag(*of_expert * n_experts, *[of_gate_columns] * (n_experts - 1))

    def split_raw(self, raw):
        """Views of parameters in raw units: (n_experts, n_predictors, size), and of the gate."""
        n_experts = self.likelihood.n_experts
        size = len(self.columns.to_raw)
        shape = n_experts, self.n_predictors, size + len(self.terms.beside())
        of_experts, of_gate = np.split(raw, [np.prod(shape)])
        return of_experts.reshape(shape), of_gate.reshape(-1, len(self.gate_columns.to_raw))

    def _shifts(self):
        """Parameters in raw units, where those here are zero."""
        n_raw = len(self.columns.to_raw)
        shifts = np.zeros(len(self.identified()))
        of_experts, _ = self.split_raw(shifts)
        of_experts[:, :, 0] = self.y_mean
        scales = slice(n_raw, n_raw + self.terms.n_scales)  # if there are any
        of_experts[:, :, scales] = np.log(self.y_scale)[:, None]
        return shifts

    def identified(self):
        """Whether each parameter in raw units is determined by the likelihood."""
        ones = np.ones_like(self.y_scale)
        return self._units(self.columns.to_raw, self.gate_columns.to_raw, ones).any(axis=1)

    def notes(self, known):
        """Why parameters are not identified, in a line for each column or part."""
        roles = {}
        names = {}
        for role, columns in (("experts", self.columns), ("gate", self.gate_columns)):
            for formula in columns.left_out:
                roles.setdefault(formula, []).append(role)
        of_columns = [
            f"n/a in {' and '.join(where)}: {formula}, taken as the reference"
            for formula, where in roles.items()
        ]
        parts, terms = parameter_names(self.mixture)
        for i in np.flatnonzero(self.identified() & ~known):
            names.setdefault(parts[i], []).append(terms[i])
        return of_columns + [
            f"n/a in {part}: {', '.join(terms)}, which the rows hardly determine"
            for part, terms in names.items()
        ]

    def in_full_rank(self):
        """Matrix that makes parameters in the coding here of those of fits in raw units.

        Those that are not identified are NaN.
        """
        recode = (each.to_raw @ each.from_raw for each in (self.columns, self.gate_columns))
        recode = self._units(*recode, np.ones_like(self.y_scale))
        recode[~self.identified()] = np.nan
        return recode


def check_applies(mixture):
    """Raise a ValueError with the reason if the log-likelihood of a mixture has no formula here."""
    if mixture.likelihood_.averages_experts and mixture._changed_by is None:
        return  # pooled as fit has left it: linear experts with a softmax or constant gate
    found = mixture._why_uncounted()
    if found is not None:
        why, line = found
        needed = "linear or logistic experts, pooled or fitted by maximum likelihood"
        raise ValueError(f"Standard errors need {needed}; here {why}. Run {line}. {OTHERWISE}")
    if mixture.likelihood_.terms() is None:
        names = mixture.likelihood_.names_where(lambda each: each.terms() is not None)
        raise ValueError(
            f"Standard errors are known under likelihood={names}, of one output and with scales "
            f"that do not depend on the row, not for {mixture.likelihood_}, whose terms() is "
            f"None. {OTHERWISE}"
        )
    _, gate = split_last(mixture.gate_)
    if type(gate) not in (SoftmaxGate, ConstantGate):
        raise ValueError(
            f"Standard errors are for SoftmaxGate and ConstantGate, not for {gate}. " + OTHERWISE
        )
    if type(gate) is SoftmaxGate and gate.l1_ratio > 0 and gate.alpha > 0:
        raise ValueError(
            "A gate with an L1 penalty chooses its columns, and standard errors do not know of "
            f"that choice. Set l1_ratio=0. {OTHERWISE}"
        )


def terms_of(likelihood, rows):
    """Class of the derivatives of the log-density, or of the log-probability of what is censored.

    Raises a ValueError if there are none for censored targets, or the likelihood is one of subjects
    that are not given.
    """
    if likelihood.takes_subjects and rows.subject is None:
        raise ValueError("Give the subject of each row, as fit had it.")
    if rows.bounds is None:
        return likelihood.terms()
    terms = likelihood.censored_terms()
    if terms is None:
        names = likelihood.names_where(lambda each: each.takes_upper and each.censored_terms())
        raise ValueError(
            f"Standard errors for censored targets are known under likelihood={names}, not for "
            f"{likelihood}, whose censored_terms() is None. {OTHERWISE}"
        )
    return terms


def raw_parameters(mixture, *, by_load=False):
    """Parameters of a fitted mixture in the units of X and y, in the order of their names.

    With ``by_load``, a gate with slopes is replaced by the loads.
    """
    gate = split_last(mixture.gate_)[1]
    likelihood = mixture.likelihood_
    terms = mixture.likelihood_.terms()
    parameters = [
        terms.of_fit(split_last(expert)[1], likelihood, k)
        for k, expert in enumerate(mixture.experts_)
    ]
    if not isinstance(gate, SoftmaxGate):
        of_gate = np.log(gate.proportions_)[:, None]
    else:
        of_gate = np.column_stack([gate.intercept_, gate.coef_])
        if by_load:
            of_gate[:, 0] = np.log(mixture.expert_load_)
            of_gate[:, 1:] = 0.0
    parameters.append(of_gate[1:] - of_gate[0])
    return np.concatenate([part.ravel() for part in parameters])


def parameter_names(mixture):
    """Part and term of each parameter, two lists."""
    parts = []
    terms = []
    experts = list(mixture.named_experts_)
    of_expert = ["intercept", *names_of_terms(mixture, mixture.experts_[0])]
    if is_classifier(mixture):
        first, *others = mixture.classes_.tolist()
        labels = [f": {label} against {first}" for label in others]
    else:
        n_outputs = np.size(split_last(mixture.experts_[0])[1].intercept_)
        if n_outputs > 1:
            labels = [f": output {j}" for j in range(n_outputs)]
        else:
            labels = [""]
    for name in experts:
        for j, label in enumerate(labels):
            beside = mixture.likelihood_.terms().names_beside(j)
            parts += [name + label] * len(of_expert + beside)
            terms += of_expert + beside
    _, gate = split_last(mixture.gate_)
    of_gate = ["intercept"]
    if isinstance(gate, SoftmaxGate):
        of_gate += names_of_terms(mixture, mixture.gate_)
    for name in experts[1:]:
        parts += [f"gate: {name} against {experts[0]}"] * len(of_gate)
        terms += of_gate
    return parts, terms


# The columns that coefficients belong to: standardised, without those that others make up -------


class DesignColumns:
    """Standardised columns with an intercept, and the way back to raw units.

    Parameters
    ----------
    X : ndarray of shape (n_used, n_columns)
        Rows of positive weight.
    weight : ndarray of shape (n_used,)
        Their weights.
    kept : ndarray of bool of shape (n_columns,)
        The columns that have coefficients; others depend on these.
    names : list of str, default=()
        Names of the columns, if some are not kept.

    Attributes
    ----------
    design : ndarray of shape (n_used, n_kept + 1)
        The last column is one.
    to_raw : ndarray of shape (n_columns + 1, n_kept + 1)
        Makes coefficients in raw units, intercept first, of those here, intercept last; zeros for
        columns that are not kept.
    from_raw : ndarray of shape (n_kept + 1, n_columns + 1)
        Makes those here of any in raw units.
    left_out : list of str
        The combination that makes up each column that is not kept.
    """

    def __init__(self, X, weight, kept, names=()):
        self.kept = kept
        mean, scale = standardisation(X, weight)
        n_columns = len(scale) + 1
        kept = np.append(kept, True)
        design = np.column_stack([(X - mean) / scale, np.ones(len(X))])
        self.design = design[:, kept]
        to_raw, from_raw = np.zeros((2, n_columns, n_columns))
        to_raw[0, :-1] = -mean / scale
        to_raw[0, -1] = 1.0
        to_raw[1:, :-1] = np.diag(1 / scale)
        from_raw[-1, 0] = 1.0
        from_raw[-1, 1:] = mean
        from_raw[:-1, 1:] = np.diag(scale)
        made_of = np.eye(n_columns)[kept]
        if not kept.all():
            root = np.sqrt(weight)[:, None]
            made_of[:, ~kept] = linalg.lstsq(root * self.design, root * design[:, ~kept])[0]
        self.to_raw = to_raw[:, kept]
        self.from_raw = made_of @ from_raw
        recode = self.to_raw @ self.from_raw
        size = np.append(1.0, scale)  # of what each coefficient adds
        self.left_out = [
            f"{names[j]} = {_formula(recode[:, j + 1], size / scale[j], names)}"
            for j in np.flatnonzero(~self.kept)
        ]

    @classmethod
    def seen_by(cls, mixture, estimator, X, used, weight, every=False):
        """Those that a fitted estimator's last step sees; dependent ones are kept by ``every``."""
        X = columns_seen(estimator, X)[used]
        names = columns_of(estimator, column_names(mixture)).names
        if every:
            return cls(X, weight, np.ones(X.shape[1], bool), names)
        last = [reference for _, reference in coding_of_levels(mixture, estimator).values()]
        return cls(X, weight, independent_columns(X, weight, last), names)


def _formula(coef, size, names):
    """What a column is, from its coefficients by the intercept and by others."""
    terms = []
    for value, name in zip(coef, ["", *names], strict=True):
        text = f"{abs(value):.4g}"
        if name:
            if text == "1":
                text = name
            else:
                text = f"{text} {name}"
        terms.append(("- " if value < 0 else "+ ") + text)
    shown = [terms[j] for j in np.flatnonzero(np.abs(coef) * size > NEGLIGIBLE)] or ["0"]
    if len(shown) > MOST_TERMS:
        shown[MOST_TERMS:] = ["+ ..."]
    first, *others = shown
    return " ".join([first.removeprefix("+ ").replace("- ", "-"), *others])
