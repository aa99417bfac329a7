"""Tables of estimates with standard errors, Wald's tests and intervals."""

from abc import ABC, abstractmethod

import numpy as np
from scipy import stats

from .._reports.by_regime import html_table, interval_ends, text_table, under_headings

KINDS = {
    "observed": "standard errors from the observed information",
    "sandwich": "standard errors from the sandwich",
    "bootstrap": "std_error: standard deviation over bootstrap resamples of the rows",
    "posterior": "std_error: standard deviation of the posterior, under pooling\n"
    "normal approximation, with prior variances taken as known",
}


class WaldTable(ABC):
    """What tables of estimates have in common; each sets ``kind``, ``level`` and ``notes`` too.

    Attributes
    ----------
    value : str
        Name of the attribute that has the estimates.
    index : dict of str to str
        Names of the attributes that have headings and rows below these, by the names that they
        have in a DataFrame.
    has_tests : bool
        Whether there are tests.
    """

    has_tests = True

    def _set(self, estimate, cov, *, tested, df=np.inf):
        """Take estimates, whether each is tested, and the degrees of freedom of intervals."""
        self.cov, self.std_error = cov, np.sqrt(np.diag(cov))
        vars(self)[self.value] = estimate
        self.z = np.full(len(estimate), np.nan)
        np.divide(estimate, self.std_error, out=self.z, where=tested & self.has_tests)
        self.p_value = 2 * stats.norm.sf(np.abs(self.z))
        reach = stats.t.ppf(0.5 + self.level / 2, df) * self.std_error
        self.lower, self.upper = estimate - reach, estimate + reach

    def to_frame(self):
        """The table as a DataFrame.

        Returns
        -------
        frame : pandas.DataFrame
            Indexed by headings, and rows below these.
        """
        import pandas as pd

        arrays = [vars(self)[name] for name in self.index.values()]
        index = pd.MultiIndex.from_arrays(arrays, names=list(self.index))
        columns = (self.value, "std_error", "z", "p_value", "lower", "upper")
        return pd.DataFrame({name: vars(self)[name] for name in columns}, index=index)

    @abstractmethod
    def _lines(self):
        """Lines below the table."""

    def _header(self):
        tests = ["z", "p_value"] if self.has_tests else []
        return ["", self.value, "std_error", *tests, *interval_ends(self.level)]

    def _cells(self):
        cells, estimate = [], vars(self)[self.value]
        for i in range(len(estimate)):
            if np.isnan(self.std_error[i]):
                shown = [] if np.isnan(estimate[i]) else [f"{estimate[i]:.4g}"]
                cells.append([*shown, "n/a"] + [""] * (len(self._header()) - len(shown) - 2))
                continue
            row = [f"{estimate[i]:.4g}", f"{self.std_error[i]:.3g}"]
            if np.isfinite(self.z[i]):
                p_value = "<0.001" if self.p_value[i] < 5e-4 else f"{self.p_value[i]:.3f}"
                row += [f"{self.z[i]:.2f}", p_value]
            elif self.has_tests:
                row += ["", ""]
            cells.append([*row, f"{self.lower[i]:.4g}", f"{self.upper[i]:.4g}"])
        return under_headings(*(vars(self)[name] for name in self.index.values()), cells)

    def __str__(self):
        return "\n".join([text_table(self._header(), self._cells()), "", *self._lines()])

    __repr__ = __str__

    def _repr_html_(self):
        return html_table(self._header(), self._cells(), below=self._lines())
