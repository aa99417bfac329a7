"""Public docstrings: their examples run, and they follow numpydoc."""

import copy
import doctest
import functools
import importlib.util
import inspect
import pkgutil
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from numpydoc.validate import ERROR_MSGS, validate

import skmoe

SETTINGS = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text("utf-8"))
IGNORED_CHECKS = set(SETTINGS["tool"]["numpydoc_validation"]["checks"]) & set(ERROR_MSGS)

MIXTURES = {
    f"skmoe.{kind.__name__}": kind
    for kind in (skmoe.MixtureOfExpertsRegressor, skmoe.MixtureOfExpertsClassifier)
}


def public_modules():
    """skmoe and every module below it that has no underscore on its path."""
    found = [info.name for info in pkgutil.walk_packages(skmoe.__path__, "skmoe.")]
    names = [name for name in found if "._" not in name]
    if importlib.util.find_spec("skl2onnx") is None:
        names.remove("skmoe.onnx")
    return {name: importlib.import_module(name) for name in ["skmoe", *names]}


def is_ours(obj):
    obj = obj.fget if isinstance(obj, property) else obj
    return (getattr(obj, "__module__", None) or "").partition(".")[0] == "skmoe"


def public_objects():
    """Classes and functions by the name a user imports, each once."""
    objects = {}
    for module_name, module in public_modules().items():
        for name in getattr(module, "__all__", vars(module)):
            obj = getattr(module, name)
            documented = inspect.isclass(obj) or inspect.isfunction(obj)
            if documented and not name.startswith("_") and is_ours(obj):
                if not any(obj is other for other in objects.values()):
                    objects[f"{module_name}.{name}"] = obj
    return objects


def public_methods():
    """Methods and properties of the public classes, also those inherited inside skmoe."""
    return {
        f"{class_name}.{name}": method
        for class_name, cls in public_objects().items()
        if inspect.isclass(cls)
        for name, method in inspect.getmembers(cls)
        if not name.startswith("_") and is_ours(method)
        if inspect.isroutine(method) or isinstance(method, property)
    }


@functools.cache
def example_of(kind):
    """What is defined after the example of a class."""
    test = doctest.DocTestParser().get_doctest(kind.__doc__, {}, kind.__name__, None, 0)
    doctest.DocTestRunner(verbose=False).run(test, out=lambda text: None, clear_globs=False)
    return {name: test.globs[name] for name in ("X", "y", "moe")} | {"np": np}


def doctests():
    finder = doctest.DocTestFinder(recurse=False)
    documented = public_modules() | public_objects() | public_methods()
    return [
        pytest.param(test, id=name)
        for name, obj in documented.items()
        # Without globals: an example imports what it uses, as its reader has to.
        for test in finder.find(obj, name, module=False, globs={})
        if test.examples
    ]


@pytest.mark.parametrize("test", doctests())
def test_example_prints_what_it_shows(test):
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    report = []
    kind = test.name.rpartition(".")[0]
    if kind in MIXTURES and "import" not in test.examples[0].source:
        # Methods go on from the example of the class.
        found = example_of(MIXTURES[kind])
        test.globs.update(found | {"moe": copy.deepcopy(found["moe"])})
    runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)


@pytest.mark.parametrize("test", doctests())
def test_example_fits_the_page(test):
    lines = [line for example in test.examples for line in example.source.splitlines()]
    assert [line for line in lines if len(line) > 79 - len(">>> ")] == []


def has_its_own_docstring(obj):
    return (obj.fget if isinstance(obj, property) else obj).__doc__ is not None


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, obj in (public_objects() | public_methods()).items()
        if has_its_own_docstring(obj)
    ],
)
def test_docstring_follows_numpydoc(name):
    errors = [
        f"{code}: {message}"
        for code, message in validate(name)["errors"]
        if code not in IGNORED_CHECKS
    ]
    assert not errors, "\n".join([name, *errors])


@pytest.mark.parametrize(
    ("name", "method"),
    [
        (name, method)
        for name, method in public_methods().items()
        if not has_its_own_docstring(method)
    ],
)
def test_inherited_docstring_tells_of_all_that_the_method_takes(name, method):
    inherited = inspect.getdoc(method)
    assert inherited, f"{name} has no docstring, nor has what it overrides"
    takes = [] if isinstance(method, property) else list(inspect.signature(method).parameters)[1:]
    assert [word for word in takes if not re.search(rf"\b{word}\b", inherited)] == []


def usable_objects():
    """The public objects that a user calls: no warnings, no abstract classes."""
    return {
        name: obj
        for name, obj in public_objects().items()
        if not (inspect.isabstract(obj) or inspect.isclass(obj) and issubclass(obj, Exception))
    }


@pytest.mark.parametrize("kind", MIXTURES)
def test_methods_of_mixtures_show_examples(kind):
    methods = {name: each for name, each in public_methods().items() if name.startswith(f"{kind}.")}
    assert len(methods) > 25
    assert [name for name, each in methods.items() if ">>>" not in inspect.getdoc(each)] == []


@pytest.mark.parametrize("name", usable_objects())
def test_class_or_function_shows_an_example(name):
    assert ">>>" in inspect.getdoc(usable_objects()[name]), f"{name} has no example"
