"""Groups of experts in tables and displays: regimes, if there are fewer than experts."""

import html
import textwrap
from itertools import groupby
from operator import itemgetter

import numpy as np

REGIME = "regime"
EXPERT = "expert"


class Groups:
    """Groups of experts in reports: those of each regime, or single experts.

    Parameters
    ----------
    names : list of str
        Names of the groups.
    of_expert : array-like of int of shape (n_experts,) or None
        Number of the group of each expert; None for single experts.
    are_tied : bool
        Whether single experts of a regime are tied.

    Attributes
    ----------
    kind : {"regime", "expert"}
        What the groups are.
    """

    def __init__(self, names, of_expert=None, are_tied=False):
        self.names = names
        self.are_regimes = of_expert is not None
        self.are_tied = are_tied
        if self.are_regimes:
            self.kind = REGIME
        else:
            self.kind = EXPERT
        if of_expert is None:
            self.of_expert = np.arange(len(names))
        else:
            self.of_expert = np.asarray(of_expert)
        self.members = np.equal.outer(self.of_expert, np.arange(len(names))).astype(float)

    def sum(self, values):
        """Sums (..., n_groups) of values (..., n_experts)."""
        if self.are_regimes:
            return values @ self.members
        return values

    def proba(self, proba):
        """Probabilities (..., n_groups) from those of experts; rounding leaves none above one."""
        if self.are_regimes:
            return np.minimum(self.sum(proba), 1.0)
        return proba

    def shares(self, proba):
        """Shares (..., n_experts) within groups, of probabilities of the experts."""
        total = self.sum(proba)[..., self.of_expert]
        return np.divide(proba, total, out=np.zeros_like(proba), where=total > 0)

    def mean(self, values, proba):
        """Means (n, n_groups, ...) of values (n, n_experts, ...), by probabilities (n, n_experts).

        This is the prediction of a group before the target is known.
        """
        if not self.are_regimes:
            return values
        return np.einsum("nk...,nk,kr->nr...", values, self.shares(proba), self.members)

    def error_variance(self, values, proba, scale):
        """Variances (n, n_groups, ...) of the errors of groups around their means.

        ``values`` are predictions of the experts, ``scale`` standard deviations of their errors.
        """
        offsets = values - self.mean(values, proba)[:, self.of_expert]
        return self.mean(scale**2 + offsets**2, proba)


def regimes_of(mixture):
    """Names of the experts of each regime of a fitted mixture; empty without regimes."""
    return vars(mixture).get("regimes_", [])


def groups_of(mixture, by):
    """Groups of the experts of a fitted mixture.

    By "expert", or by "regime", where there are fewer of these than experts.
    """
    if by not in (REGIME, EXPERT):
        raise ValueError(f"by must be {REGIME!r} or {EXPERT!r}; got {by!r}.")
    experts = list(mixture.named_experts_)
    regimes = regimes_of(mixture)
    ties = mixture.likelihood_.regime_
    if ties is None:
        n_functions = len(experts)
    else:
        n_functions = len(np.unique(ties))
    # Pieces of one surface are no regimes, even if some have coefficients in common.
    are_tied = n_functions <= len(regimes) < len(experts)
    if by == EXPERT or not are_tied:
        return Groups(experts, are_tied=are_tied)
    of_expert = {name: r for r, names in enumerate(regimes) for name in names}
    names = [f"{REGIME}{r}" for r in range(len(regimes))]
    return Groups(names, [of_expert[name] for name in experts])


def composition(groups, experts):
    """A sentence with the experts of each regime, in lines."""
    members = [
        f"{name}: {', '.join(np.array(experts)[groups.of_expert == r])}"
        for r, name in enumerate(groups.names)
    ]
    return in_lines(f"{'; '.join(members)} (by='expert' shows each).")


# Tables as text and as HTML, for what a user prints or a notebook shows --------------------------


WIDTH = 79  # columns of text


def first_of(values, most=5):
    """A list as text, of which no more than ``most`` values are shown."""
    if len(values) <= most:
        return str(values)
    return f"{str(values[:most])[:-1]}, ... {len(values)} in all]"


def in_lines(sentence):
    """A sentence as text of that width."""
    return textwrap.fill(sentence, WIDTH, break_on_hyphens=False)


def text_table(header, cells):
    """Columns of one width, the first one flush left, the others flush right."""
    rows = [header, *cells]
    aligned = [str.ljust] + [str.rjust] * (len(header) - 1)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(align(*cell) for align, *cell in zip(aligned, row, widths, strict=True))
        for row in rows
    ]
    return "\n".join(map(str.rstrip, lines))


def under_headings(headings, names, cells, nought=(), max_rows=None):
    """Rows of a table under headings: one for each heading, and those of its indented names.

    ``cells`` lack the first column. ``nought`` has a sentence in place of some rows, by whether
    they are a gate's, and name. Of more than ``max_rows`` the first and the last are shown.
    """
    rows = []
    for heading, under in groupby(zip(headings, names, cells, strict=True), itemgetter(0)):
        lines = []
        blank = [""] * len(cells[0])
        for _, name, row in under:
            key = heading.startswith("gate: "), name
            if key in nought:
                line = [f"  {nought[key]}", *blank]
            else:
                line = [f"  {name}", *row]
            if line not in lines[-1:]:
                lines.append(line)
        if max_rows is not None and len(lines) > max_rows:
            first = max_rows // 2
            left = len(lines) - max_rows
            lines[first : first + left] = [[f"  ... {left} more", *blank]]
        rows += [[heading, *blank], *lines]
    return rows


def html_table(header, cells, caption=None, below=()):
    """The same as HTML, everything escaped, with lines ``below``."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in cells
    )
    if caption is None:
        caption = ""
    else:
        caption = f"<caption>{html.escape(caption)}</caption>"
    table = f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return table + "".join(f"<p>{html.escape(line)}</p>" for line in below)
