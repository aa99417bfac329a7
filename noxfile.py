"""What continuous integration runs: ``nox -l`` lists it, ``nox -s docs`` runs a part.

What follows ``--`` goes to pytest: ``nox -s tests -- -m "not slow" tests/test_gates.py``.
"""

from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
PROJECT = nox.project.load_toml("pyproject.toml")["project"]
QUICK = ["pytest", "-m", "not slow"]
FORECASTERS = ["skforecast>=0.26", "sktime>=1.2"]  # of the guide, and not for pandas 3


@nox.session
def lint(session):
    """Style, spelling and the workflows of GitHub."""
    session.install("--group", "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("cython-lint", "skmoe")
    session.run("codespell")
    session.run("zizmor", "--offline", "--quiet", ".github")


@nox.session
def types(session):
    """Types of all that is public, as an editor finds them, and whether they agree."""
    session.install(".", "--group", "types")
    session.run("pyright", "--verifytypes", "skmoe", "--ignoreexternal")
    session.run("mypy")


@nox.session
def tests(session):
    """All tests but those of packages that only the group full-tests brings."""
    session.install(".[tests]")
    session.run("pytest", *session.posargs)


@nox.session(default=False)
def oldest(session):
    """Tests of what dependencies are asked for, with the oldest of these."""
    # The floors in pyproject.toml, as constraints. The other tests are of what skmoe computes.
    floors = session.cache_dir / "floors.txt"
    requirements = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["tests"]
    floors.write_text("\n".join(requirements).replace(">=", "=="))
    session.install("--constraint", str(floors), ".[tests]", *FORECASTERS)
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    asked = ["column_kinds", "kernels", "parallel", "parameters", "recipes", "tables"]
    session.run(*QUICK, *(f"tests/test_{name}.py" for name in asked))
    # Not every one, as they are many.
    session.run("pytest", "-k", "check_estimator or check_fit", "tests/test_contract.py")


@nox.session(default=False)
def rounding(session):
    """The quick tests with other rounding errors, as other processors and compilers have them."""
    session.env["SKMOE_CFLAGS"] = "-O1"
    session.env["OPENBLAS_CORETYPE"] = "Nehalem"
    session.install(".[tests]")
    session.run(*QUICK, *session.posargs)


@nox.session(default=False)
def full(session):
    """The slow tests, and those that are asked for, with everything installed.

    None may be skipped here but those that tests/conftest.py lists.
    """
    session.install(".", "--group", "full-tests")
    session.env["SKMOE_NO_SKIPS"] = "1"
    # Workers that are killed come back in time where nothing else keeps the cores busy.
    session.run("pytest", "-n0", "-m", "slow", "tests/test_parallel.py")
    session.run("pytest", "-m", "slow", "--ignore", "tests/test_parallel.py")
    if session.posargs:
        session.run("pytest", *session.posargs)


@nox.session(default=False)
def docs(session):
    """The documentation, its examples and its doctests."""
    session.install(".[tests]", "--group", "docs")
    session.env["OMP_NUM_THREADS"] = "1"  # small examples lose more than they gain by threads
    flags = "doctest_optionflags=NORMALIZE_WHITESPACE ELLIPSIS"
    options = ["-o", flags, "--doctest-glob=*.rst", "--doctest-continue-on-failure", "--timeout=0"]
    pages = [*sorted(Path("doc").glob("*.rst")), *sorted(Path("doc/guide").glob("*.rst"))]
    session.run("pytest", "-o", "filterwarnings=", *options, *map(str, pages))
    options = ["-q", "-j", "auto", "-W", "--keep-going"]
    session.run("sphinx-build", *options, "-b", "html", "doc", "doc/_build")


@nox.session(default=False)
def links(session):
    """The links of the documentation."""
    session.install(".", "--group", "docs")
    options = ["-W", "--keep-going", "-D", "plot_gallery=0"]
    session.run("sphinx-build", *options, "-b", "linkcheck", "doc", "doc/_build")


@nox.session(default=False)
def sdist(session):
    """The sdist, which holds what git holds."""
    session.install("--group", "release")
    session.run("check-sdist", "--inject-junk")
    session.run("python", "-m", "build", "--sdist")
    session.run("twine", "check", "--strict", *map(str, Path("dist").glob("*.tar.gz")))
