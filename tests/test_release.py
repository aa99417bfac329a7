"""What is written in several places for a release says the same in all of them."""

import importlib
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import skmoe

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(
    not (ROOT / "CITATION.cff").exists(), reason="The sources are not there."
)


def found(pattern, *names):
    """The first match in a file of the project."""
    return re.search(pattern, ROOT.joinpath(*names).read_text("utf-8"), re.MULTILINE).group(1)


def test_the_version_is_the_same_everywhere():
    number = skmoe.__version__
    assert version("skmoe") == number
    assert found(r"^version: (\S+)$", "CITATION.cff") == number
    assert found(r"^## (\S+) \(", "CHANGELOG.md") == number


def test_every_package_is_installed():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    folders = [path.parent for path in ROOT.glob("skmoe/**/__init__.py")]
    names = [".".join(folder.relative_to(ROOT).parts) for folder in folders]
    assert sorted(names) == settings["packages"]


@pytest.mark.parametrize("patch", [-1, 0])  # of the floor: the version before, and itself
def test_an_older_scikit_learn_is_refused_by_its_version_before_anything_private(patch):
    floor = found(r'"scikit-learn>=(\d+\.\d+)\.0"', "pyproject.toml")
    major, minor = floor.split(".")
    version = f"{major}.{int(minor) + patch}.2"
    code = (
        f"import sys, numpy, sklearn; sklearn.__version__ = {version!r}\n"
        "for name in list(sys.modules):\n"
        "    if name.startswith('sklearn.'):\n"
        "        sys.modules[name] = None  # what is imported from there is not found\n"
        "import skmoe"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(skmoe.__file__).parents[1], capture_output=True, text=True, check=False,
    )  # fmt: skip
    last = run.stderr.strip().splitlines()[-1]
    if patch < 0:
        asked = f"ImportError: skmoe needs scikit-learn {floor} or newer, and found {version}: "
        assert last.startswith(asked)
    else:
        assert last.startswith("ModuleNotFoundError: import of sklearn.base halted")


@pytest.mark.skipif(not (ROOT / "recipe").exists(), reason="The sources are not there.")
def test_the_recipe_asks_for_what_the_package_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    asked = found(r"^  run: \[python >=(.*)\]$", "recipe", "meta.yaml").split(", ")
    assert found(r'set version = "(\S+)"', "recipe", "meta.yaml") == skmoe.__version__
    assert f">={asked[0]}" == project["project"]["requires-python"]
    assert [name.replace(" ", "") for name in asked[1:]] == project["project"]["dependencies"]
    host = found(r"^  host: (.*)$", "recipe", "meta.yaml").lower().replace(" ", "")
    for requirement in project["build-system"]["requires"]:
        assert requirement.lower() in host


@pytest.mark.parametrize("module", ["gates", "likelihoods", "metrics", "inspection", "exceptions"])
def test_the_changelog_names_what_is_public(module):
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    names = [*skmoe.__all__, *importlib.import_module(f"skmoe.{module}").__all__]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_addresses_of_the_project_are_those_of_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    addresses = tuple(address.rstrip("/") for address in project.get("urls", {}).values())
    kinds = {".cff", ".md", ".py", ".rst", ".toml", ".yaml", ".yml"}
    built = {".git", ".nox", ".venv", "_build", "auto_examples", "build", "generated"}
    elsewhere = []
    for path in ROOT.rglob("*"):
        if path.suffix in kinds and not built & set(path.relative_to(ROOT).parts):
            text = path.read_text("utf-8")
            found = re.findall(r"https?://(?!pypi\.org/)[\w./-]*\bskmoe\b[\w./-]*", text)
            elsewhere += [(path.name, one) for one in found if not one.startswith(addresses)]
    assert elsewhere == []
