"""Parameters of a fitted mixture of linear or logistic experts, and their likelihood."""

import numpy as np
from scipy import linalg
from sklearn.base import is_classifier
from sklearn.utils.validation import check_consistent_length

from .._experts.fitting import split_last
from .._numerics.statistics import standardisation
from .._data import Subjects, check_subject
from .._tables import column_numbers
from ..gates import ConstantGate, SoftmaxGate
from ..likelihoods import Categorical, Gamma, Gaussian, LogNormal, NegativeBinomial, Poisson
from ._information import (
    GammaTerms,
    GaussianTerms,
    MixtureLikelihood,
    NegativeBinomialTerms,
    PoissonTerms,
    SoftmaxTerms,
    inverse,
    maximise,
)

FARTHEST = 1.0  # standard errors between a fit and the maximum of the likelihood
LEAST_UNDECIDED = 0.1  # rows; with fewer, a border may be as steep as it likes
SINGULAR = 1e-8  # smallest eigenvalue of the information, its diagonal scaled to ones
DEPENDENT = 1e-10  # the same of the correlations of columns
LARGEST_SHAPE = 1e5  # beyond, counts are Poisson's, and Gamma's targets exact

TERMS = {
    Gaussian: GaussianTerms,
    LogNormal: GaussianTerms,  # of the logarithms
    Categorical: SoftmaxTerms,
    Poisson: PoissonTerms,
    NegativeBinomial: NegativeBinomialTerms,
    Gamma: GammaTerms,
}


class Estimates:
    """The parameters of a mixture of linear or logistic experts, and their likelihood.

    Computed with standardised columns, and told in raw units.

    Parameters
    ----------
    mixture : mixture
        Fitted.
    X, y : array-likes of n_samples rows
        Rows it was fitted on.
    sample_weight : array-like of shape (n_samples,) or None
        Their weights.
    exposure : array-like of shape (n_samples,), default=None
        Their exposures.
    subject : array-like of shape (n_samples,), default=None
        Whose rows share one expert.

    Raises
    ------
    ValueError
        If there is no such likelihood, or columns depend on each other.
    """

    def __init__(self, mixture, X, y, sample_weight, exposure=None, subject=None):
        check_applies(mixture)
        subject = check_subject(subject, X)
        if subject is not None:  # whose rows the gate must not tell apart
            mixture.log_density(X, y, exposure=exposure, subject=subject)
        X = mixture._check_X(X)
        y = mixture._check_known_target(y)
        check_consistent_length(X, y)
        weight = mixture._check_weight(sample_weight, X, y, len(mixture.experts_))
        used = weight > 0
        self.mixture, weight = mixture, weight[used]
        head, _ = split_last(mixture.experts_[0])
        gate_head, gate = split_last(mixture.gate_)
        self.columns = Columns("the experts", mixture, head, X, used, weight)
        terms = TERMS[type(mixture.likelihood_)]
        self.is_gaussian = terms is GaussianTerms
        if self.is_gaussian:
            y = mixture._for_experts(y[used].reshape(len(weight), -1))
            self.y_mean, self.y_scale = standardisation(y, weight)
            target = (y - self.y_mean) / self.y_scale
        elif terms is SoftmaxTerms:
            target = np.eye(len(mixture.classes_))[y[used]]
        else:
            exposure = mixture._check_exposure(exposure, X)
            log_exposure = np.zeros(len(y)) if exposure is None else np.log(exposure)
            target = np.column_stack([y, log_exposure])[used]
        if isinstance(gate, SoftmaxGate):
            self.gate_columns = Columns("the gate", mixture, gate_head, X, used, weight)
        else:
            self.gate_columns = Columns.none(len(weight))
        gate_design = self.gate_columns.design
        subjects = None if subject is None else Subjects(subject[used], weight)
        if subjects is not None:
            gate_design = subjects.of_first_rows(gate_design)
        self.likelihood = MixtureLikelihood(
            terms,
            self.columns.design,
            target,
            gate_design,
            weight,
            len(mixture.experts_),
            subjects,
            self._shared_places(head),
        )

    def _shared_places(self, head):
        """Where an expert's parameters, the intercept last, are those of all experts."""
        n_columns = self.columns.design.shape[1] - 1
        names = _column_names(self.mixture, head, n_columns)
        shared = column_numbers(self.mixture._shared_effects(), n_columns, names)
        n_blocks = len(self.y_scale) if self.is_gaussian else 1
        return [block * (n_columns + 2) + j for block in range(n_blocks) for j in shared]

    def fitted(self):
        """Parameters of the fitted mixture, as the likelihood has them."""
        y_scale = 1 / self.y_scale if self.is_gaussian else None
        from_raw = self._units(self.columns.from_raw, self.gate_columns.from_raw, y_scale)
        return (from_raw @ (raw_parameters(self.mixture) - self._shifts()))[self.likelihood.free]

    def maximum(self):
        """Parameters, log-likelihood and information at the maximum next to the fit.

        Raises
        ------
        ValueError
            If there is none, or it is far from the fit, or it says nothing about a parameter.
        """
        fitted = self.fitted()
        self._check_scales(fitted)
        theta, value, information, converged = maximise(self.likelihood, fitted)
        self._check_scales(theta)
        self._check_separation(theta)
        unit = 1 / np.sqrt(np.maximum(np.diag(information), 1e-300))
        values, vectors = linalg.eigh(information * np.outer(unit, unit))
        if values[0] < SINGULAR:
            raise ValueError(
                "The information about the parameters is singular, so that they have no standard "
                f"errors: the rows say next to nothing about {self._involved(vectors[:, 0])}. "
                "Ask for fewer experts or fewer columns."
            )
        if not converged:
            raise ValueError(
                "The likelihood has no maximum near the fit. Fit with a lower tol and a higher "
                "max_iter, or ask for fewer experts."
            )
        self._check_distance(fitted, theta, information)
        return theta, self._in_units_of_y(value), information

    def highest(self):
        """Log-likelihood at the maximum next to the fit, or near its supremum."""
        fitted = self.fitted()
        self._check_scales(fitted)
        return self._in_units_of_y(maximise(self.likelihood, fitted)[1])

    def _in_units_of_y(self, log_likelihood):
        if not self.is_gaussian:
            return log_likelihood
        weight = self.likelihood.weight
        log_likelihood = log_likelihood - weight.sum() * np.log(self.y_scale).sum()
        if type(self.mixture.likelihood_) is LogNormal:  # a log-density of y, not of its logarithm
            log_likelihood -= weight.sum() * self.y_mean.sum()
        return log_likelihood

    def _check_scales(self, theta):
        of_experts, terms = self.likelihood.split(theta)[0], self.likelihood.terms
        if self.is_gaussian:
            log_scale = of_experts.reshape(len(of_experts), len(self.y_scale), -1)[:, :, -1]
            floor = np.reshape(self.mixture.likelihood_.floor_, -1)
            at_floor = (np.exp(log_scale) * self.y_scale <= 1.001 * floor).any(axis=1)
        elif terms in (NegativeBinomialTerms, GammaTerms):
            at_floor = of_experts[:, -1] > np.log(LARGEST_SHAPE)
        else:
            return
        if not at_floor.any():
            return
        names = [list(self.mixture.named_experts_)[k] for k in np.flatnonzero(at_floor)]
        if terms is NegativeBinomialTerms:
            raise ValueError(
                f"The counts of {names} vary no more than Poisson's, so that their shape has no "
                "maximum and no standard error. Take likelihood='poisson'."
            )
        raise ValueError(
            f"The scale of {names} is at its floor: there the likelihood is not at a maximum, "
            "and has no standard errors. Ask for fewer experts, or give less exact targets."
        )

    def _check_separation(self, theta):
        names = list(self.mixture.named_experts_)
        of_gate, of_experts = self.likelihood.undecided(theta)
        if len(names) > 1 and of_gate.min() < LEAST_UNDECIDED:
            raise ValueError(
                f"The gate separates {names[int(of_gate.argmin())]} from the others without an "
                "error: its weights grow without end as the penalty goes, and have no standard "
                "errors. Take fewer columns for the gate, or bootstrap the mixture."
            )
        if of_experts is not None and of_experts.min() < LEAST_UNDECIDED:
            k, c = np.unravel_index(of_experts.argmin(), of_experts.shape)
            label = self.mixture.classes_.tolist()[c]
            raise ValueError(
                f"{names[k]} separates the class {label!r} from the others "
                "without an error: its weights grow without end as the penalty goes, and have no "
                "standard errors. Ask for fewer experts or fewer columns."
            )

    def _check_distance(self, fitted, theta, information):
        to_raw = self.in_raw_units(theta)[1]
        std_error = np.sqrt(np.diag(to_raw @ inverse(information) @ to_raw.T))
        distance = np.abs(to_raw @ (theta - fitted)) / std_error
        worst = int(distance.argmax())
        if distance[worst] > FARTHEST:
            parts, terms = parameter_names(self.mixture)
            raise ValueError(
                f"The fit is not at the maximum of the likelihood: {terms[worst]} of "
                f"{parts[worst]} is {distance[worst]:.1f} standard errors from there. Either EM "
                "stopped early (lower tol and raise max_iter), or a penalty pulls (lower the "
                "alpha of SoftmaxGate, Ridge or PoissonRegressor, raise C, set load_balance=0), "
                "or these are not the rows and weights of the fit."
            )

    def _involved(self, vector):
        """Names of the parameters that a direction is mostly made of."""
        parts, terms = parameter_names(self.mixture)
        share = np.abs(self.in_raw_units(np.zeros(self.likelihood.size))[1]) > 0
        weight = share @ vector**2  # an intercept in raw units mixes all standardised slopes
        chosen = np.flatnonzero(weight >= 0.5 * weight.max())[:4]
        return ", ".join(f"{terms[i]} of {parts[i]}" for i in chosen)

    def in_raw_units(self, theta):
        """Parameters in the units of X and y, and the matrix that makes changes of them."""
        y_scale = self.y_scale if self.is_gaussian else None
        to_raw = self._units(self.columns.to_raw, self.gate_columns.to_raw, y_scale)
        to_raw = to_raw @ self.likelihood.spread
        return to_raw @ theta + self._shifts(), to_raw

    def _units(self, of_columns, of_gate_columns, y_scale):
        """Matrix that changes the units of all parameters, those of an output by a factor."""
        blocks, n_columns = [], len(of_columns)
        for _ in range(self.likelihood.n_experts):
            if self.is_gaussian:
                for scale in y_scale:
                    blocks += [scale * of_columns, [[1.0]]]
            else:  # any number of linear predictors, then a shape or none
                n_predictors, n_shapes = divmod(self.likelihood.expert_size, n_columns)
                blocks += [of_columns] * n_predictors + [[[1.0]]] * n_shapes
        blocks += [of_gate_columns] * (self.likelihood.n_experts - 1)
        return linalg.block_diag(*blocks)

    def _shifts(self):
        """What the parameters in raw units have on top, where those here are zero."""
        shifts = np.zeros(len(self.likelihood.spread))
        if self.is_gaussian:
            of_expert = np.zeros((len(self.y_scale), self.columns.design.shape[1] + 1))
            of_expert[:, 0], of_expert[:, -1] = self.y_mean, np.log(self.y_scale)
            of_experts = np.tile(of_expert.ravel(), self.likelihood.n_experts)
            shifts[: len(of_experts)] = of_experts
        return shifts


class Columns:
    """Standardised columns with an intercept, and the way back to raw units.

    Parameters
    ----------
    role : str
        Whose columns they are.
    mixture : mixture
        Knows the names of the columns of X.
    head : Pipeline or None
        Fitted transformers.
    X : array-like of n_samples rows
        Checked.
    used : ndarray of shape (n_samples,)
        Rows of positive weight.
    weight : ndarray of shape (n_used,)
        Their weights.

    Attributes
    ----------
    design : ndarray of shape (n_used, n_columns + 1)
        The last column is one.
    to_raw : ndarray of shape (n_columns + 1, n_columns + 1)
        Makes coefficients in raw units, intercept first, of those here, intercept last.
    from_raw : ndarray of shape (n_columns + 1, n_columns + 1)
        Its inverse.
    """

    def __init__(self, role, mixture, head, X, used, weight):
        X = X if head is None else head.transform(X)
        X = X.toarray() if hasattr(X, "toarray") else np.asarray(X, dtype=np.float64)
        X = X[used]
        mean, scale = standardisation(X, weight)
        standard = (X - mean) / scale
        _check_independent(role, _column_names(mixture, head, X.shape[1]), standard, weight)
        self._set(standard, mean, scale)

    @classmethod
    def none(cls, n_samples):
        """The intercept alone."""
        columns = cls.__new__(cls)
        columns._set(np.empty((n_samples, 0)), np.zeros(0), np.ones(0))
        return columns

    def _set(self, standard, mean, scale):
        n_columns = len(scale) + 1
        self.design = np.column_stack([standard, np.ones(len(standard))])
        self.to_raw, self.from_raw = np.zeros((2, n_columns, n_columns))
        self.to_raw[0, :-1], self.to_raw[0, -1] = -mean / scale, 1.0
        self.to_raw[1:, :-1] = np.diag(1 / scale)
        self.from_raw[-1, 0], self.from_raw[-1, 1:] = 1.0, mean
        self.from_raw[:-1, 1:] = np.diag(scale)


def check_applies(mixture):
    """Raise a ValueError that says why a mixture has no log-likelihood that is known here."""
    try:
        mixture._free_parameters()
    except ValueError as error:
        raise ValueError(
            "Standard errors need linear or logistic experts (one estimator to clone, None or "
            "a linear model that scikit-learn solves in one piece, such as LinearRegression, "
            "LogisticRegression or PoissonRegressor), predicted in-sample, at the "
            "maximum of the likelihood: without top_k, and not after add_expert or the like. "
            "Bootstrap other mixtures."
        ) from error
    own_scales = getattr(mixture.likelihood_, "scale", "expert") == "expert"
    own_scales = own_scales and getattr(mixture.likelihood_, "covariance_", None) is None
    if type(mixture.likelihood_) not in TERMS or not own_scales:
        raise ValueError(
            "Standard errors are known for classes, for poisson, negative_binomial, gamma and "
            "log_normal, and for gaussian with a scale for each expert, not for "
            f"{mixture.likelihood_}. Bootstrap the mixture."
        )
    _, gate = split_last(mixture.gate_)
    if type(gate) not in (SoftmaxGate, ConstantGate):
        raise ValueError(
            f"Standard errors are known behind SoftmaxGate and ConstantGate, not behind {gate}. "
            "Bootstrap the mixture."
        )
    if getattr(gate, "l1_ratio", 0) > 0 and gate.alpha > 0:
        raise ValueError(
            "A gate with an L1 penalty chooses its columns, and standard errors do not know of "
            "that choice. Set l1_ratio=0, or bootstrap the mixture."
        )


def _check_independent(role, names, standard, weight):
    gram = standard.T @ (standard * (weight / weight.sum())[:, None])
    if not len(gram):
        return
    values, vectors = linalg.eigh(gram)
    if values[0] > DEPENDENT * max(values[-1], 1.0):
        return
    involved = np.flatnonzero(np.abs(vectors[:, 0]) > 1e-4)
    dependent = [names[j] for j in involved[:6]] + ["..."] * (len(involved) > 6)
    raise ValueError(
        f"Columns of {role} are constant or depend on each other: {', '.join(dependent)}. Their "
        "coefficients are then arbitrary, and have no standard errors; leave one out (of "
        "one-hot columns with OneHotEncoder(drop='first'))."
    )


def raw_parameters(mixture):
    """Parameters of a fitted mixture in the units of X and y, in the order of their names."""
    experts = [split_last(expert)[1] for expert in mixture.experts_]
    gate = split_last(mixture.gate_)[1]
    parameters = []
    if is_classifier(mixture):
        for expert in experts:
            parameters.append(_against_first(np.column_stack(_all_classes(expert))))
    elif TERMS[type(mixture.likelihood_)] is not GaussianTerms:
        shapes = getattr(mixture.likelihood_, "shape_", [None] * len(experts))
        for expert, shape in zip(experts, shapes, strict=True):
            log_shape = [] if shape is None else [np.log(shape)]
            parameters.append(np.concatenate([[expert.intercept_], expert.coef_, log_shape]))
    else:
        for expert, scale in zip(experts, mixture.likelihood_.scale_, strict=True):
            scale = np.atleast_1d(scale)
            coef = expert.coef_.reshape(len(scale), -1)
            intercept = np.reshape(expert.intercept_, -1)
            parameters.append(np.column_stack([intercept, coef, np.log(scale)]))
    if isinstance(gate, SoftmaxGate):
        parameters.append(_against_first(np.column_stack([gate.intercept_, gate.coef_])))
    else:
        parameters.append(_against_first(np.log(gate.proportions_)))
    return np.concatenate([part.ravel() for part in parameters])


def parameter_names(mixture):
    """Part and term of each parameter, two lists."""
    parts, terms = [], []
    experts = list(mixture.named_experts_)
    head, last = split_last(mixture.experts_[0])
    of_expert = ["intercept", *_column_names(mixture, head, last.n_features_in_)]
    if is_classifier(mixture):
        first, *others = mixture.classes_.tolist()
        labels = [f": {label} against {first}" for label in others]
    elif TERMS[type(mixture.likelihood_)] is not GaussianTerms:
        of_expert += ["log_shape"] * hasattr(mixture.likelihood_, "shape_")
        labels = [""]
    else:
        of_expert.append("log_scale")
        n_outputs = mixture.likelihood_.scale_[0].size
        labels = [f": output {j}" for j in range(n_outputs)] if n_outputs > 1 else [""]
    for name in experts:
        for label in labels:
            parts += [name + label] * len(of_expert)
            terms += of_expert
    head, gate = split_last(mixture.gate_)
    of_gate = ["intercept"]
    if isinstance(gate, SoftmaxGate):
        of_gate += _column_names(mixture, head, gate.n_features_in_)
    for name in experts[1:]:
        parts += [f"gate: {name} against {experts[0]}"] * len(of_gate)
        terms += of_gate
    return parts, terms


def _all_classes(expert):
    """Intercepts (C,) and coefficients (C, p) of a logistic regression, of two classes too."""
    if len(expert.classes_) > 2:
        return expert.intercept_, expert.coef_
    return np.append(0.0, expert.intercept_), np.vstack([0 * expert.coef_, expert.coef_])


def _against_first(coef):
    return coef[1:] - coef[0]


def _column_names(mixture, head, n_columns):
    """Names of the columns behind transformers; x0 and so on where nobody knows them."""
    names = getattr(mixture, "feature_names_in_", None)
    if head is not None:
        try:
            names = head.get_feature_names_out(names)
        except (AttributeError, ValueError):  # a transformer that does not name what it makes
            names = None
    return [f"x{j}" for j in range(n_columns)] if names is None else list(map(str, names))
