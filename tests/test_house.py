"""The structure of the package, by its sources: floors, sizes, and what asks or calls what."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import skmoe
from skmoe import _doors

PACKAGE = Path(skmoe.__file__).parent
PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"

# Ceilings, as a package grows by what nobody sees in a single change. Lower one when its number
# falls; none is raised: what comes in is paid for by what goes out. Size is counted in syntax nodes
# and, of compiled code, in tokens, as lines would be saved by writing several things in one.
IN_ALL = {
    "syntax nodes": 253_553,  # of ast.walk
    "syntax nodes of the core": 180_635,  # without leaves
    "compiled tokens": 52_973,  # words and signs, without comments and docstrings
    "files": 160,
    "names that stand for two things": 0,  # functions and classes at the top of a file
    "classes": 249,
    "classes of problems": 4,  # ways to train by EM
    "classes of trainers": 4,
    "types of gates and likelihoods asked for": 12,  # where they are neither written nor analysed
    "private methods called in another file": 10,
    "hasattr and getattr": 22,
}
EACH = {
    "test files that define a helper": 5,  # shared: tests/planted.py, tests/mixtures.py
}

# Folders that the core reaches through its doors alone; relative to skmoe/
LEAVES = (
    "_effects", "_ready", "_updates", "inference", "inspection", "model_selection", "onnx", "rows",
)  # fmt: skip
DOORS = "_doors.py"
WITHOUT_DOOR = {"inspection", "model_selection", "onnx"}  # users alone ask for them

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="The sources are not there.")


# Floors --------------------------------------------------------------------------------------


@cache
def units():
    """Names of the modules and folders of the package, but for ``__init__``."""
    found = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    return {name for name in found if not name.startswith("__")}


@cache
def floors():
    """Floor of each module or folder, as the table has it."""
    table = re.search("```text\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S).group(1)
    found = {}
    for line in table.strip().splitlines():
        number, *cells = re.split(r"\s{2,}", line.strip())
        for name in cells:
            if name.rstrip("/") in units():
                assert name.rstrip("/") not in found, "twice in the table"
                found[name.rstrip("/")] = int(number)
    return found


@cache
def parsed():
    """Text and all nodes of each file of the package."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
    return {path: (text, list(ast.walk(ast.parse(text)))) for path, text in texts.items()}


def imports_of(path):
    """Modules or folders of the package that a file imports from, with the line."""
    inside = path.relative_to(PACKAGE).parent.parts
    for node in parsed()[path][1]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "skmoe":
                    yield (*alias.name.split("."), "__init__")[1], node.lineno
        elif isinstance(node, ast.ImportFrom):
            absolute = (node.module or "").split(".") if node.module else []
            if node.level:
                absolute = ["skmoe", *inside[: len(inside) + 1 - node.level], *absolute]
            if absolute[:1] == ["skmoe"]:
                for alias in node.names:
                    yield (*absolute, alias.name)[1], node.lineno


@cache
def all_imports():
    """Pairs of an importing and an imported unit, and where, in a list."""
    found = []
    for path in parsed():
        here = path.relative_to(PACKAGE)
        unit = here.parts[0].removesuffix(".py")
        if not unit.startswith("__") and str(here) != DOORS:
            for name, line in imports_of(path):
                if name != unit and not name.startswith("__"):
                    found.append((unit, name, f"{here}:{line}"))
    return found


def test_every_module_has_a_floor():
    assert units() - floors().keys() == set()


def test_imports_go_down_the_floors():
    floor = floors()
    climbing = [
        f"{where} imports {name} (floor {floor[name]}) from floor {floor[unit]}"
        for unit, name, where in all_imports()
        if floor[name] >= floor[unit]
    ]
    assert climbing == []


def test_files_stand_as_low_as_their_imports_let_them():
    floor, lowest = floors(), dict.fromkeys(units(), 1)
    for unit, name, _ in all_imports():
        lowest[unit] = max(lowest[unit], floor[name] + 1)
    assert floor == lowest


def test_files_that_contributing_names_are_there_with_what_is_said_to_be_in_them():
    def homes(name):
        return [found for top in (PAGE.parent, PACKAGE) for found in top.glob(name)] or [
            *PACKAGE.rglob(name)
        ]

    text = PAGE.read_text(encoding="utf-8").partition("## A release")[0]
    files = re.findall(r"`(\w[\w/]*(?:/|\.\w{2,4}))`", text)
    assert [name for name in files if not homes(name)] == []
    pairs = re.findall(r"`(\w+)`,?\s(?:in|of)\s`([\w/]+\.py)`", text)
    assert len(pairs) > 10
    lost = [
        pair for pair in pairs
        if not any(re.search(rf"\b{pair[0]}\b", path.read_text("utf-8")) for path in homes(pair[1]))
    ]  # fmt: skip
    assert lost == []


# Leaves ---------------------------------------------------------------------------------------


def test_slow_tests_are_there():
    tests = Path(__file__).parent
    for name in tests.joinpath("slow.txt").read_text("utf-8").split():
        file, _, test = name.partition("::")
        assert f"\ndef {test}(" in tests.joinpath(file).read_text("utf-8"), name


def test_the_core_imports_no_leaf_but_at_its_door():
    core = [path for path in parsed() if path.relative_to(PACKAGE).parts[0] not in LEAVES]
    found = [
        f"{path.relative_to(PACKAGE)}:{line} {name}"
        for path in core
        for name, line in imports_of(path)
        if name in LEAVES
    ]
    assert found == []
    by_name = [
        str(path.relative_to(PACKAGE)) for path in core if "import_module" in parsed()[path][0]
    ]
    assert by_name == [DOORS]
    assert sorted(_doors.LEAVES) == [leaf for leaf in LEAVES if leaf not in WITHOUT_DOOR]


def test_an_error_inside_of_a_leaf_is_not_taken_for_its_absence(monkeypatch):
    monkeypatch.setitem(sys.modules, "skmoe._updates", None)
    assert _doors.updates() is None
    monkeypatch.delitem(sys.modules, "skmoe._updates")
    for name in [each for each in sys.modules if each.startswith("skmoe._updates.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "skmoe._updates.stream", None)
    with pytest.raises(ModuleNotFoundError, match=r"skmoe\._updates\.stream"):
        _doors.updates()


FITS_OF_THE_CORE = """
import sys
# That of an editable install would find the leaves where they are.
sys.meta_path = [each for each in sys.meta_path if "editable" not in str(each)]
import numpy as np
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.tree import DecisionTreeRegressor
import skmoe
from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

assert skmoe.__file__.startswith(sys.argv[1]), skmoe.__file__
rng = np.random.default_rng(0)
X = rng.normal(size=(120, 2))
y = np.where(X[:, 0] > 0, 2.0, -1.0) * X[:, 1] + 0.3 * rng.normal(size=120)
few = {"random_state": 0, "n_init": 1, "max_iter": 3}
for moe in (
    MixtureOfExpertsRegressor(n_experts=2, **few),
    MixtureOfExpertsRegressor(LinearRegression(), 2, tol=1.0, **few),
    MixtureOfExpertsRegressor([("a", Ridge()), ("b", DecisionTreeRegressor())], cv=2, **few),
    MixtureOfExpertsRegressor(DecisionTreeRegressor(max_depth=2), 2, cv=2, **few),
):
    moe.fit(X, y).predict(X, quantiles=[0.1, 0.9])
MixtureOfExpertsRegressor(n_experts=2, likelihood="poisson", **few).fit(X, np.round(y**2))
MixtureOfExpertsClassifier(n_experts=2, **few).fit(X, y > 0).predict_proba(X)
gone = tuple(f"skmoe.{leaf}" for leaf in sys.argv[2:])
loaded = [name for name in sys.modules if gone and name.startswith(gone)]
assert not loaded, loaded
"""


REFUSED = {  # what needs a leaf, with an ImportError that says so where it is gone
    "_effects": [
        "from skmoe.likelihoods import RandomEffects",
        "from skmoe.inference import subject_effects",
    ],
    "inference": [
        "from skmoe.likelihoods import PredictorTerms",
        "MixtureOfExpertsRegressor(n_experts=1, **few).fit(X, y).summary(X, y)",
    ],
    "_ready": [
        "from skmoe import DensityForestRegressor",
        "MixtureOfExpertsRegressor('diverse').fit(X, y)",
    ],
}
REFUSAL = """
try:
    {what}
except ImportError as error:
    assert any(leaf in str(error) for leaf in gone), error  # its own, or one on the way
else:
    raise AssertionError({what!r})
"""


@pytest.mark.parametrize(
    "leaves", ["all", *(pytest.param(each, marks=pytest.mark.slow) for each in LEAVES)]
)
def test_the_core_fits_without_leaves(leaves, tmp_path):
    gone = LEAVES if leaves == "all" else (leaves,)
    shutil.copytree(PACKAGE, tmp_path / "skmoe", ignore=lambda folder, names: [
        name for name in names if name == "__pycache__"
        or str(Path(folder, name).relative_to(PACKAGE)) in gone
    ])  # fmt: skip
    refused = [what for leaf in gone for what in REFUSED.get(leaf, ())]
    code = FITS_OF_THE_CORE + "".join(REFUSAL.format(what=what) for what in refused)
    script = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path), *gone]
    subprocess.run(script, check=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path)})


# Sizes ----------------------------------------------------------------------------------------


def compiled_tokens(path):
    """Number of words and signs of a Cython or C file, without comments and docstrings."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.S)
    text = re.sub(r"(?<!:)//[^\n]*", "", text)
    if path.suffix != ".h":
        text = re.sub(r'"""(?:.|\n)*?"""', "", text)
        text = re.sub(r"#[^\n]*", "", text)
    return len(re.findall(r"\w+|[^\w\s]", text))


def classes_asked_for(node):
    """Names of the classes that ``isinstance(...)`` or ``type(...) is`` asks for."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
        asked = node.args[1]
    elif isinstance(node, ast.Compare) and "type" == getattr(
        getattr(node.left, "func", None), "id", ""
    ):
        asked = node.comparators[0]
    else:
        return set()
    return {each.id for each in ast.walk(asked) if isinstance(each, ast.Name)}


def private_calls(node):
    """Names of the private methods that a class calls through ``self`` and does not define."""
    defined = {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
    called = [
        each.func.attr
        for each in ast.walk(node)
        if isinstance(each, ast.Call)
        and isinstance(each.func, ast.Attribute)
        and getattr(each.func.value, "id", "") == "self"
    ]
    return [name for name in called if re.match("_(?!_)", name) and name not in defined]


@cache
def measured():
    """Each size in each file, or of each function or helper, as a counter by its name."""
    found = {what: Counter() for what in IN_ALL | EACH}
    parts, methods, named = set(), {}, {}
    for path, (_, nodes) in parsed().items():
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                if path.parent.name in ("gates", "likelihoods"):
                    parts.add(node.name)
                for each in node.body:
                    if isinstance(each, ast.FunctionDef):
                        methods.setdefault(each.name, set()).add(path)
    for path, (text, nodes) in parsed().items():
        where = str(path.relative_to(PACKAGE))
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                found["classes"][where] += 1
                found["classes of problems"][where] += node.name.endswith("Problem")
                found["classes of trainers"][where] += node.name.endswith("Trainer")
                found["private methods called in another file"][where] += sum(
                    name in methods and path not in methods[name] for name in private_calls(node)
                )
            if isinstance(node, ast.Call):
                is_asked = getattr(node.func, "id", "") in ("hasattr", "getattr")
                found["hasattr and getattr"][where] += is_asked
            if path.parent.name not in ("gates", "likelihoods", "inference"):
                asks = bool(classes_asked_for(node) & parts)
                found["types of gates and likelihoods asked for"][where] += asks
        found["files"][where] = 1
        for name in {each.name for each in ast.parse(text).body if hasattr(each, "name")}:
            named.setdefault(name, []).append(where)
        found["syntax nodes"][where] = len(nodes)
        if path.relative_to(PACKAGE).parts[0] not in LEAVES:
            found["syntax nodes of the core"][where] = len(nodes)
    for path in PACKAGE.rglob("*"):
        if path.suffix in (".pyx", ".pxi", ".pxd", ".h"):
            found["compiled tokens"][str(path.relative_to(PACKAGE))] = compiled_tokens(path)
    found["names that stand for two things"].update(n for n, places in named.items() if places[1:])
    for path in Path(__file__).parent.glob("test_*.py"):
        names = re.findall(r"^def (?!test_)(\w+)", path.read_text(encoding="utf-8"), re.M)
        found["test files that define a helper"].update(set(names))
    return found


@pytest.mark.parametrize("what", IN_ALL)
def test_the_package_stays_below_the_ceiling_of(what):
    found = measured()[what]
    assert found.total() <= IN_ALL[what], f"most of them: {found.most_common(10)}"


@pytest.mark.parametrize("what", EACH)
def test_nothing_is_above_the_ceiling_of(what):
    found = measured()[what]
    assert {name: size for name, size in found.items() if size > EACH[what]} == {}
