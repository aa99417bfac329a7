"""Fits of linear and logistic experts beside a textbook EM in NumPy, LightGBM and flexmix.

All mixtures go on from the same responsibilities until an iteration gains less than 1e-6 per row;
contenders take turns, and medians of processor time and ratios of one run are printed. Peers that
are not installed are left out::

    OMP_NUM_THREADS=1 python tests/benchmarks/fits.py [--rounds 3] [--only 20000x10]
"""

import argparse
import shutil
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from scipy import special
from sklearn.linear_model import LinearRegression, LogisticRegression

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate, SoftmaxGate

WORK = [  # rows, columns, experts; what is fitted
    ((2_000, 5, 3), "softmax"),
    ((2_000, 5, 3), "constant"),
    ((20_000, 10, 4), "softmax"),
    ((20_000, 10, 4), "constant"),
    ((20_000, 10, 4), "logistic"),
    ((200_000, 20, 8), "softmax"),
    ((200_000, 20, 8), "constant"),
]
WORDS = {
    "softmax": "lines, softmax gate",
    "constant": "lines, constant gate",
    "logistic": "logistic experts, softmax gate",
}
SLOW = 30_000  # rows, above which flexmix takes minutes
TOL = 1e-6

FLEXMIX = """
library(flexmix)
args <- commandArgs(TRUE)
data <- read.csv(file.path(args[1], "data.csv"))
start <- as.matrix(read.csv(file.path(args[1], "start.csv")))
names <- setdiff(names(data), "y")
right <- paste(names, collapse = "+")
gate <- FLXPmultinom(as.formula(paste("~", right)))
if (args[2] == "constant") gate <- FLXPconstant()
left <- if (args[2] == "logistic") "cbind(y, 1 - y)" else "y"
family <- if (args[2] == "logistic") "binomial" else "gaussian"
control <- list(iter.max = 1000, tolerance = as.numeric(args[3]), minprior = 0)
taken <- system.time(flexmix(as.formula(paste(left, "~", right)), data = data, k = ncol(start),
                             model = FLXMRglm(family = family), cluster = start,
                             concomitant = gate, control = control))
cat(sum(taken[1:2]))
"""


def planted(n, d, n_experts, kind, seed=0):
    """Rows of lines behind a soft gate, and responsibilities that know a third of the truth."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    logits = rng.normal(0, 0.3, n_experts)
    if kind != "constant":
        logits = logits + X @ rng.normal(0, 2.5 / np.sqrt(d), size=(d, n_experts))
    label = (logits + rng.gumbel(size=(n, n_experts))).argmax(axis=1)
    coef, scale = rng.normal(size=(n_experts, d)), rng.uniform(0.3, 0.8, n_experts)
    mean = np.einsum("nd,nd->n", X, coef[label])
    if kind == "logistic":
        y = (rng.uniform(size=n) < special.expit(2 * mean)).astype(float)
    else:
        y = mean + scale[label] * rng.normal(size=n)
    return X, y, 0.3 * np.eye(n_experts)[label] + 0.7 * rng.dirichlet(np.ones(n_experts), size=n)


def textbook(X, y, resp, kind):
    """EM with one Newton step for gate and logistic experts in each iteration, in plain NumPy."""
    n, n_experts = resp.shape
    design = np.column_stack([X, np.ones(n)])
    p = design.shape[1]
    coefs, weights = np.zeros((n_experts, p)), np.zeros((p, n_experts))
    before, log_gate = -np.inf, np.full((n, n_experts), -np.log(n_experts))
    log_density = np.empty((n, n_experts))
    for _ in range(1000):
        for k in range(n_experts):
            if kind == "logistic":
                proba = special.expit(design @ coefs[k])
                mass, pull = resp[:, k] * proba * (1 - proba), resp[:, k] * (y - proba)
            else:
                mass, pull = resp[:, k], resp[:, k] * (y - design @ coefs[k])
            gram = (design.T * mass) @ design + 1e-9 * np.eye(p)
            coefs[k] += np.linalg.solve(gram, design.T @ pull)
            fitted = design @ coefs[k]
            if kind == "logistic":
                log_density[:, k] = y * fitted - np.logaddexp(0, fitted)
            else:
                squares = (y - fitted) ** 2
                variance = resp[:, k] @ squares / resp[:, k].sum()
                log_density[:, k] = -0.5 * (squares / variance + np.log(2 * np.pi * variance))
        if kind == "constant":
            log_gate = np.tile(np.log(resp.mean(axis=0)), (n, 1))
        else:
            proba, m = np.exp(log_gate), n_experts - 1
            hessian = np.empty((m, p, m, p))
            for k in range(m):
                for j in range(k, m):
                    curve = proba[:, k] * ((k == j) - proba[:, j])
                    hessian[k, :, j] = (design.T * curve) @ design
                    hessian[j, :, k] = hessian[k, :, j]
            slope = (design.T @ (resp - proba))[:, :m].T.ravel()
            flat = hessian.reshape(m * p, m * p) + 1e-6 * np.eye(m * p)
            weights[:, :m] += np.linalg.solve(flat, slope).reshape(m, p).T
            log_gate = special.log_softmax(design @ weights, axis=1)
        joint = log_gate + log_density
        log_norm = special.logsumexp(joint, axis=1)
        resp, value = np.exp(joint - log_norm[:, None]), log_norm.mean()
        if abs(value - before) < TOL:
            return
        before = value


def skmoe(X, y, resp, kind):
    """From the given responsibilities, near maximum likelihood as the others."""
    gate = ConstantGate() if kind == "constant" else SoftmaxGate(alpha=1e-6)
    settings = {"init": lambda *args: resp, "n_init": 1, "tol": TOL, "max_iter": 1000}
    if kind == "logistic":
        expert, mixture = LogisticRegression(C=np.inf), MixtureOfExpertsClassifier
        settings["cv"] = False
    else:
        expert, mixture = LinearRegression(), MixtureOfExpertsRegressor
    mixture(expert, resp.shape[1], gate=gate, **settings).fit(X, y)


def by_default(X, y, resp, kind):
    """The default fit of that number of experts, all starts included."""
    mixture = MixtureOfExpertsClassifier if kind == "logistic" else MixtureOfExpertsRegressor
    gate = ConstantGate() if kind == "constant" else None
    mixture(n_experts=resp.shape[1], gate=gate, random_state=0).fit(X, y)


def flexmix_seconds(X, y, resp, kind):
    """CPU seconds of the fit alone, as R measures them."""
    with tempfile.TemporaryDirectory() as folder:
        names = [f"x{j}" for j in range(X.shape[1])]
        table = np.column_stack([X, y])
        header = ",".join([*names, "y"])
        np.savetxt(Path(folder, "data.csv"), table, delimiter=",", header=header, comments="")
        header = ",".join(f"r{k}" for k in range(resp.shape[1]))
        np.savetxt(Path(folder, "start.csv"), resp, delimiter=",", header=header, comments="")
        Path(folder, "fit.R").write_text(FLEXMIX)
        command = ["Rscript", str(Path(folder, "fit.R")), folder]
        command += [kind, str(TOL)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def seconds(function, *args):
    """CPU seconds of a call."""
    start = time.process_time()
    function(*args)
    return time.process_time() - start


def contenders(n, kind):
    """Functions of (X, y, resp, kind) that return their CPU seconds."""
    found = {
        "skmoe": lambda *args: seconds(skmoe, *args),
        "skmoe, float32": lambda X, *args: seconds(skmoe, X.astype(np.float32), *args),
        "skmoe, all starts, number given": lambda *args: seconds(by_default, *args),
        "textbook EM in NumPy": lambda *args: seconds(textbook, *args),
    }
    try:
        from lightgbm import LGBMClassifier, LGBMRegressor
    except ImportError:
        print("lightgbm is not installed: left out")
    else:
        booster = LGBMClassifier if kind == "logistic" else LGBMRegressor
        model = booster(n_jobs=1, verbose=-1)
        found["LightGBM, default"] = lambda X, y, *args: seconds(model.fit, X, y)
    has_r = shutil.which("Rscript") is not None
    test = ["Rscript", "-e", "library(flexmix)"]
    if has_r and subprocess.run(test, capture_output=True).returncode == 0:
        if n <= SLOW:
            found["flexmix"] = flexmix_seconds
    else:
        print("R with flexmix is not installed: left out")
    return found


def run(rounds=3, only=""):
    """What was fitted, and the median CPU seconds of each contender, one work after the other."""
    for (n, d, n_experts), kind in WORK:
        if only not in f"{n}x{d}":
            continue
        data = planted(n, d, n_experts, kind)
        functions = contenders(n, kind)
        functions["skmoe"](*(part[:400] for part in data), kind)  # imports, threads
        times = {name: [] for name in functions}
        for _ in range(rounds):
            for name, function in functions.items():
                times[name].append(function(*data, kind))
        title = f"{n:,} x {d}, K = {n_experts}, {WORDS[kind]}"
        yield title, {name: float(np.median(taken)) for name, taken in times.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="a shape, as in 20000x10")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for title, times in run(options.rounds, options.only):
        print(f"\n{title}")
        for name, taken in times.items():
            ratio = taken / times["skmoe"]
            print(f"  {name:28s} {taken:8.3f} s  {ratio:7.2f} x skmoe", flush=True)
