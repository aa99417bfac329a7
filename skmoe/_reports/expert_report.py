"""Report on experts: rows, load, certainty of the gate, overlap, error, scale."""

from dataclasses import dataclass

import numpy as np

from .._experts.fitting import split_last
from .._numerics.statistics import add_fields
from .._routing import count_loads, evenness
from .by_regime import REGIME, html_table, in_lines, text_table

FAR_MORE = 20.0  # ratio of probabilities above which a row is on the wrong side
LEAST_MISPLACED = 0.1  # rows
SAME_OPTIMUM = 1e-3  # per unit of weight
OPTIMA = "objective", "share of runs", "fewest rows"
SHOWN = 5  # optima
OF_T = ["scale: the parameter of Student's t, smaller than the standard deviation."]
OF_OWN_ROWS = "; gate, error: on rows it explains best; overlap: with the expert in the next column"
OF_OWN = ["scale -: the expert has a density of its own, in place of a scale."]
OF_CLASSES = ["error: share of wrong classes; scale: temperature, which divides the log-odds."]
OF_GIVEN = (
    "If the experts were trained on these rows, their errors are too small: out-of-fold errors are "
    "in expert_report() without X."
)
CERTAIN = 0.9  # mean gate probability of an expert's own rows


class ExpertReport:
    r"""A table of the experts, their overlap, and the optima that EM runs found.

    Prints as text, shows as HTML in a notebook, and turns into a DataFrame with ``to_frame``.

    Attributes
    ----------
    columns : dict of str to list
        One value for each expert, or regime. ``expert``: name. ``regime``: name of the regime, for
        pooled experts of one regime, and in a report of regimes. ``load``: mean gate probability.
        ``rows``: weighted sum of responsibilities. ``wins``: share of the rows for which it has the
        largest responsibility. ``gate``: mean gate probability of its rows, 1 if the gate is
        certain. ``entropy``: mean entropy of the gate on its rows, relative to K equal shares.
        ``overlap``: the largest entry of its row in ``overlap``, and ``with``, the name of that
        expert. ``error``: root mean squared error, or share of wrong classes, on its rows.
        ``scale``: that of the likelihood, NaN if it has none, as for counts; for classes the
        temperature; for regimes the standard deviation over these rows. ``revived``: re-seedings.
    overlap : ndarray of shape (n_experts, n_experts)
        Entry (k, j): the share of expert k's rows that expert j has, by responsibilities.
    optima : list of dict
        Distinct optima of the EM runs from starts and from moves, best first: ``objective``,
        ``share`` of these runs, and ``smallest``, the fewest effective rows of an expert.
    balance : dict
        Usual measures of balance of sparse mixtures. ``variation``: coefficient of variation of the
        loads, their standard deviation divided by their mean. ``unused``: number of experts without
        rows. ``switch``: :math:`K \sum_k f_k P_k` of the Switch Transformer [1]_, with the share f
        of routes to an expert (of first choices without ``top_k``) and its load P; 1 if balanced.
    notes : list of str
        Other results of the training, in sentences.
    plan : str or None
        How the mixture was trained, in a sentence; see ``plan_`` of the mixture.
    is_sparse : bool
        Whether rows are routed to some of the experts only; the balance is then printed in full.

    References
    ----------
    .. [1] W. Fedus, B. Zoph and N. Shazeer, "Switch Transformers: scaling to trillion parameter
       models with simple and efficient sparsity", Journal of Machine Learning Research 23 (2022)
       120, equation 4.
    """

    def __init__(self, columns, overlap, optima, balance, notes=(), *, plan=None, is_sparse=False):
        self.columns = columns
        self.overlap = overlap
        self.optima = list(optima)
        self.balance = balance
        self.notes = list(notes)
        self.plan = plan
        self.is_sparse = is_sparse

    def to_frame(self):
        """The table as a DataFrame.

        Returns
        -------
        frame : pandas.DataFrame
            Indexed by expert, or regime.
        """
        import pandas as pd

        return pd.DataFrame(self.columns).set_index(next(iter(self.columns)))

    def _cells(self):
        rows = zip(*self.columns.values(), strict=True)
        return [list(map(_format_value, self.columns, row)) for row in rows]

    def __str__(self):
        lines = [text_table(list(self.columns), self._cells()), ""]
        lines += map(in_lines, [self._balance_line(), *self._sentences()])
        if self.optima:
            lines += ["", f"{self._of_runs()} ({', '.join(OPTIMA)})"]
            lines += ["{:>12}{:>8}{:>10}".format(*each) for each in self._cells_of_optima()]
        return "\n".join(lines)

    __repr__ = __str__

    def _sentences(self):
        if self.plan is None:
            return self.notes
        return [self.plan, *self.notes]

    def _balance_line(self):
        balance = self.balance
        own = OF_OWN_ROWS * (len(self.overlap) > 1)
        line = f"loads: coefficient of variation {balance['variation']:.3g}"
        if self.is_sparse:
            line += f", {balance['unused']} unused, Switch's {balance['switch']:.3g} (1 is even)"
        return line + own

    def _repr_html_(self):
        below = self._balance_line(), *self._sentences()
        text = html_table(list(self.columns), self._cells(), below=below)
        if self.optima:
            text += html_table(OPTIMA, self._cells_of_optima(), self._of_runs())
        return text

    def _of_runs(self):
        if len(self.optima) > SHOWN:
            return f"optima found by the EM runs, the best {SHOWN} of {len(self.optima)}"
        return "optima found by the EM runs"

    def _cells_of_optima(self):
        return [
            [f"{o['objective']:.4f}", f"{o['share']:.0%}", f"{o['smallest']:.1f}"]
            for o in self.optima[:SHOWN]
        ]


def _format_value(name, value):
    if isinstance(value, str) or name == "revived":
        return str(value)
    if name in ("load", "wins", "overlap"):
        return f"{value:.1%}"
    if np.ndim(value):
        return " ".join(_format_value(name, v) for v in value)
    if np.isnan(value):
        return "-"
    return f"{value:{'.1f' if name == 'rows' else '.3g'}}"


@dataclass
class ReportSums:
    """Sums over rows for a report; those of two blocks add up."""

    total: float  # weight of the rows
    # ``rows``, ``load``, ``sent``, ``wins``, ``certain``, ``entropy``, ``losses``: (n_experts,):
    # summed responsibilities, gate probabilities, weights of the rows sent to an expert and of
    # those that it has the largest responsibility for; and, of the rows that are its own by
    # responsibility, gate probabilities, entropies of the gate, and losses.
    rows: np.ndarray
    load: np.ndarray
    sent: np.ndarray
    wins: np.ndarray
    certain: np.ndarray
    entropy: np.ndarray
    losses: np.ndarray
    # ``sharper``, ``misplaced``: (n_experts,): gain of the log-likelihood if the gate gave each
    # row with certainty to the expert or to the others, whichever it prefers; and weights of the
    # rows that are far more probable on the other side.
    sharper: np.ndarray
    misplaced: np.ndarray
    overlap: np.ndarray  # (n_experts, n_experts): summed products of responsibilities
    # (n_groups, ...) or float: summed variances of the errors of regimes; zero of experts, and
    # where these have no scale.
    variances: np.ndarray | float = 0.0

    @classmethod
    def of(cls, resp, gate_proba, loss, weight, top_k, variances=0.0):
        """Sum over rows.

        ``resp``, ``gate_proba`` and ``loss`` are (n_rows, n_experts). Rows are sent to ``top_k``
        experts, None is all. ``variances`` (n_groups, ...) are summed already.
        """
        n_experts = resp.shape[1]
        mass = resp * weight[:, None]
        load, sent = count_loads(gate_proba, weight, top_k)
        plogp = gate_proba * np.log(np.where(gate_proba > 0, gate_proba, 1.0))
        log_gain, is_misplaced = _of_sharp_gate(resp, gate_proba)
        return cls(
            total=weight.sum(),
            rows=weight @ resp,
            load=load,
            sent=sent,
            wins=np.bincount(resp.argmax(axis=1), weight, minlength=n_experts),
            certain=weight @ (resp * gate_proba),
            entropy=-(plogp.T @ mass).sum(axis=0),
            losses=weight @ (resp * loss),
            sharper=weight @ log_gain,
            misplaced=weight @ is_misplaced,
            overlap=mass.T @ resp,
            variances=variances,
        )

    @classmethod
    def of_predictions(cls, model, groups, resp, gate_proba, means, y, weight, bounds=None):
        """Sum over rows, of experts or of regimes."""
        variances = 0.0
        scale = model.likelihood.scale_
        if groups.are_regimes and scale is not None:
            variance = groups.error_variance(means, gate_proba, scale)
            load = weight[:, None] * groups.sum(gate_proba)
            variances = np.einsum("nr,nr...->r...", load, variance)
        loss = model.losses(y, groups.mean(means, gate_proba), bounds)
        resp = groups.proba(resp)
        gate_proba = groups.proba(gate_proba)
        return cls.of(resp, gate_proba, loss, weight, model.top_k, variances)

    __add__ = add_fields


def _of_sharp_gate(resp, gate_proba):
    """Effect of a gate without uncertainty, for each row and expert, (n, K).

    Returns the gain of the log-density, and whether the row is far more probable on the side that
    the gate does not prefer, by the ratio of the densities: that of the responsibilities divided
    by that of the gate probabilities.
    """
    own = gate_proba > 0.5
    chosen = np.where(own, resp, 1 - resp)
    gate = np.where(own, gate_proba, 1 - gate_proba)
    log_gain = np.log(np.maximum(chosen, 1e-300) / gate)
    return log_gain, FAR_MORE * chosen * (1 - gate) < (1 - chosen) * gate


def separation_notes(model, groups, sums):
    """A sentence if a softmax gate separates experts perfectly, in a list."""
    gate = split_last(model.gate)[1]
    is_softmax = gate.is_linear and gate.sees_rows
    if not is_softmax or model.top_k is not None or len(groups.names) == 1:
        return []
    certain = sums.certain > CERTAIN * np.maximum(sums.rows, 1.0)
    no_error = (sums.sharper > 0) & (sums.misplaced < LEAST_MISPLACED) & certain
    names = [name for name, alone in zip(groups.names, no_error, strict=True) if alone]
    if not names:
        return []
    if len(names) <= 2 == len(groups.names):
        what = names[0]
    else:
        what = " and ".join(names)
    return [
        f"The gate separates {what} from the others perfectly: the maximum-likelihood estimate of "
        "its weights does not exist, and SoftmaxGate(alpha=...) alone sets their size."
    ]


def _report(model, groups, sums, n_revived=None, optima=(), notes=(), plan=None):
    """An ExpertReport; ``n_revived`` are re-seedings, if there were any."""
    names = groups.names
    n_experts = len(groups.names)
    likelihood = model.likelihood
    if likelihood.scale_ is None:
        scale = np.full(n_experts, np.nan)
    else:
        scale = likelihood.scale_
    if groups.are_regimes and likelihood.scale_ is not None:
        scale = np.sqrt(sums.variances.T / np.maximum(sums.load, np.finfo(float).tiny)).T
    safe = np.where(sums.rows > 0, sums.rows, 1.0)
    overlap = sums.overlap / safe[:, None]
    nearest = (overlap - np.diag(np.full(n_experts, np.inf))).argmax(axis=1)
    if groups.are_tied:
        regime = likelihood.regime_
    else:
        regime = None
    of_t = OF_T * (likelihood.is_robust and not groups.are_regimes)
    of_own = OF_OWN * bool(np.any(likelihood.own_density_))
    if model.classes is None:
        explained = of_t + of_own
    else:
        explained = OF_CLASSES
    notes = list(dict.fromkeys([*notes, *explained]))
    columns = {
        groups.kind: list(names),
        **({} if regime is None else {REGIME: [f"{REGIME}{r}" for r in in_order(regime)]}),
        "load": (sums.load / sums.total).tolist(),
        "rows": sums.rows.tolist(),
        "wins": (sums.wins / sums.total).tolist(),
        "gate": (sums.certain / safe).tolist(),
        "entropy": np.abs(sums.entropy / np.log(max(n_experts, 2)) / safe).tolist(),  # no -0.0
        "overlap": [float(overlap[k, j]) if n_experts > 1 else 0.0 for k, j in enumerate(nearest)],
        "with": [names[j] if overlap[k, j] > 0 and j != k else "" for k, j in enumerate(nearest)],
        "error": np.asarray(model.error_of_loss(sums.losses / safe)).tolist(),
        "scale": np.asarray(scale).tolist(),
        "revived": [0] * n_experts if n_revived is None else n_revived.astype(int).tolist(),
    }
    balance = evenness(sums.load, sums.sent, sums.total)
    is_sparse = model.top_k is not None
    return ExpertReport(columns, overlap, optima, balance, notes, plan=plan, is_sparse=is_sparse)


def in_order(labels):
    """Labels as numbers from zero, in the order of their first places; a list."""
    numbers = {label: number for number, label in enumerate(dict.fromkeys(labels.tolist()))}
    return [numbers[label] for label in labels.tolist()]


def distinct_optima(ends):
    """Distinct optima among the ends of short runs.

    ``ends`` are pairs of an objective per unit of weight, and fewest effective rows of an expert.
    Returns a list of dicts, best first; see ExpertReport.
    """
    optima = []
    for value, smallest in sorted(ends, reverse=True):
        if optima and optima[-1]["objective"] - value <= SAME_OPTIMUM:
            optima[-1]["share"] += 1
            optima[-1]["smallest"] = min(optima[-1]["smallest"], smallest)
        else:
            optima.append({"objective": float(value), "share": 1, "smallest": float(smallest)})
    return [each | {"share": each["share"] / len(ends)} for each in optima]


def report_sums(model, groups, rows):
    """ReportSums of a report on some rows."""
    resp = model.responsibilities(rows)
    routes = model.routes(rows.X)
    means = model.expert_predictions(rows.X)
    if rows.exposure is not None:
        means = means * rows.exposure[:, None]
    return ReportSums.of_predictions(
        model, groups, resp, routes.dense(routes.weights), means, rows.y, rows.weight, rows.bounds
    )


def report_of_sums(model, groups, sums, trained):
    """An ExpertReport from sums over rows; ``trained`` is that of training, for its results."""
    if trained is None:
        return _report(model, groups, sums)
    n_revived = np.array(trained.columns["revived"])
    return _report(model, groups, sums, n_revived, trained.optima, trained.notes, trained.plan)


def report_training(trained, groups, notes=(), plan=None):
    """An ExpertReport on the training rows of what was ``Trained``.

    ``notes`` are other results of training, and ``plan`` the way of training, in sentences.
    """
    problem = trained.problem
    model = trained.model
    order = trained.order
    if groups.are_regimes:
        sums = problem.sums_of_regimes(model, groups, order)
    else:
        sums = problem.report_sums(model, order)
    if problem.n_revived is None:
        n_revived = None
    else:
        n_revived = groups.sum(problem.n_revived[order])
    notes = [*notes, *separation_notes(model, groups, sums)]
    return _report(model, groups, sums, n_revived, distinct_optima(trained.ends), notes, plan)
