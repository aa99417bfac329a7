"""How good each number of experts is."""

import numpy as np

from .._compat import check_matplotlib_support
from ._axes import make_axes
from ._columns import unwrap

LABELS = {"bic": "BIC", "icl": "ICL", "aic": "AIC"}
LINES = {"bic": "o-", "icl": "s--", "aic": "^:"}


class ExpertSelectionDisplay:
    """A criterion for each number of experts, and the number that it chose.

    Information criteria are drawn less their lowest value, so that all of them end at zero; the
    evidence, and log-scores of rows that were left out, less their highest. Standard errors are
    those of the difference to the best number.

    Parameters
    ----------
    n_experts : array-like of shape (n_candidates,)
        Numbers of experts.
    curves : dict of str to array-like of shape (n_candidates,)
        "log_evidence", "log_score", or some of "bic", "icl" and "aic".
    best_n_experts : int
        The number that was chosen.
    std_error : array-like of shape (n_candidates,), default=None
        Standard errors of the log-score.

    Attributes
    ----------
    lines_ : list of Line2D
        One for each curve.
    best_line_ : Line2D
        At the number that was chosen.
    ax_ : Axes
        What they are drawn on.
    axes_ : ndarray of Axes
        The same.
    figure_ : Figure
        What holds it.

    See Also
    --------
    skmoe.model_selection.select_n_experts : Makes the selection.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.inspection import ExpertSelectionDisplay
    >>> from skmoe.model_selection import select_n_experts
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 3, size=(200, 1))
    >>> y = np.abs(X[:, 0]) + 0.3 * rng.normal(size=200)
    >>> moe = MixtureOfExpertsRegressor(training="em", n_init=2, random_state=0)
    >>> selection = select_n_experts(moe, X, y, [1, 2])
    >>> display = ExpertSelectionDisplay.from_selection(selection)
    >>> display.best_n_experts
    2
    """

    def __init__(self, *, n_experts, curves, best_n_experts, std_error=None):
        self.n_experts = np.asarray(n_experts)
        self.curves = {name: np.asarray(values) for name, values in curves.items()}
        self.best_n_experts, self.std_error = int(best_n_experts), std_error

    @classmethod
    def from_selection(cls, selection, *, ax=None):
        """Draw what ``select_n_experts`` found.

        Parameters
        ----------
        selection : ExpertSelection
            What it returned.
        ax : Axes, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        display : ExpertSelectionDisplay
            Drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_selection")
        results = selection.results_
        names = {"evidence": ["log_evidence"], "cv": ["log_score"]}
        shown = names.get(selection.criterion_, list(LABELS))
        return cls(
            n_experts=results["n_experts"],
            curves={name: results[name] for name in shown},
            best_n_experts=selection.best_n_experts_,
            std_error=results.get("std_error"),
        ).plot(ax)

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Draw the evidence of the numbers of experts that a pooled mixture tried.

        Parameters
        ----------
        estimator : mixture
            Fitted, with ``log_evidence_``; or a Pipeline that ends in one, or a search over one.
        ax : Axes, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        display : ExpertSelectionDisplay
            Drawn.

        Raises
        ------
        ValueError
            If the mixture is not pooled, and has tried one number alone.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        mixture, _ = unwrap(estimator)
        if "log_evidence_" not in vars(mixture):
            raise ValueError(
                "A mixture without log_evidence_ has tried one number of experts: draw what "
                "select_n_experts returns, with from_selection."
            )
        tried = mixture.log_evidence_
        return cls(
            n_experts=list(tried),
            curves={"log_evidence": np.array(list(tried.values())) * mixture.n_samples_seen_},
            best_n_experts=len(mixture.experts_),
        ).plot(ax)

    def plot(self, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        display : ExpertSelectionDisplay
            Itself.
        """
        (ax,) = make_axes(self, ax, size=(6.4, 4.2))
        order = np.argsort(self.n_experts)
        numbers = self.n_experts[order]
        is_low = set(self.curves) <= set(LABELS)
        self.best_line_ = ax.axvline(
            self.best_n_experts, color="0.8", linewidth=8, zorder=0, label="chosen"
        )
        self.lines_ = []
        for name, values in self.curves.items():
            values = values[order] - (values.min() if is_low else values.max())
            (line,) = ax.plot(
                numbers, values, LINES.get(name, "o-"), color="k", markerfacecolor="w",
                markersize=7, label=LABELS.get(name),
            )  # fmt: skip
            best = np.argmin(values) if is_low else np.argmax(values)
            ax.plot(numbers[best], 0, line.get_marker(), color="k", markersize=7)
            self.lines_.append(line)
        if self.std_error is not None:
            (line,), reach = self.lines_, np.asarray(self.std_error)[order]
            ax.errorbar(numbers, line.get_ydata(), yerr=reach, fmt="none", ecolor="k", capsize=4)
        ax.set(xlabel="number of experts", ylabel=self._ylabel(), xticks=numbers)
        ax.legend()
        return self

    def _ylabel(self):
        if "log_evidence" in self.curves:
            return "log-evidence, less the highest"
        if "log_score" in self.curves:
            return "held-out log-score, less the highest"
        return "criterion, less its lowest value"
