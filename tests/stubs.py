"""Stubs of the public modules, from signatures and docstrings: for editors and type checkers.

``python tests/stubs.py`` writes them. ``tests/test_stubs.py`` asks whether they are those of the
code, and ``nox -s types`` whether pyright finds a type of everything that is public.
"""

import ast
import dataclasses
import functools
import importlib
import inspect
import re
import sys
import textwrap
from collections import Counter
from pathlib import Path

from numpydoc.docscrape import NumpyDocString

import skmoe

MODULES = {  # and what they hold, but for the public ones, which have __all__
    "skmoe": None,
    "skmoe._planning.plan": ["Plan"],
    "skmoe._reports.expert_report": ["ExpertReport"],
    "skmoe._reports.profiles": ["ExpertProfiles"],
    "skmoe._reports.coefficients": ["CoefficientTable"],
    "skmoe._stacking.specialisation": ["Specialisation"],
    "skmoe.distributions": None,
    "skmoe.exceptions": None,
    "skmoe.gates": None,
    "skmoe.inference": None,
    "skmoe.inspection": None,
    "skmoe.likelihoods": None,
    "skmoe.metrics": None,
    "skmoe.model_selection": None,
    "skmoe.rows": None,
}
BASES = ["BaseEstimator", "ClassifierMixin", "RegressorMixin", "TransformerMixin"]
WORDS = {
    "False": "bool",
    "None": "None",
    "bool": "bool",
    "callable": "Callable[..., Any]",
    "dict": "dict[Any, Any]",
    "float": "float",
    "int": "int",
    "iterable": "Iterable[Any]",
    "likelihood": "BaseLikelihood",
    "list": "list[Any]",
    "ndarray": "np.ndarray",
    "ndarrays": "np.ndarray",
    "array-like": "ArrayLike",
    "RandomState": "np.random.RandomState",
    "str": "str",
    "tuple": "tuple[Any, ...]",
    "type": "type",
}
IMPORTS = {
    "collections.abc": ["Callable", "Iterable", "Sequence"],
    "typing": ["Any", "Literal", "Self", "overload"],
    "numpy.typing": ["ArrayLike"],
    "sklearn.base": BASES,
}
HEAD = """# Made by tests/stubs.py.
# ruff: noqa
# fmt: off
"""


@functools.cache
def names_of(module):
    """Names that a module exports, in order."""
    return MODULES[module] or sorted(importlib.import_module(module).__all__)


@functools.cache
def homes():
    """Module of each name."""
    return {name: module for module in MODULES for name in names_of(module)}


@functools.cache
def documented(text):
    return NumpyDocString(inspect.cleandoc(text or ""))


def pieces(text):
    """Alternatives that a docstring names, apart at commas and "or" outside of brackets."""
    depth, found = 0, [""]
    for token in re.split(r"(\(|\)|\{|\}|,? or |, )", text):
        depth += (token in ("(", "{")) - (token in (")", "}"))
        is_list = token == " or " and re.match("(list|sequence) of", found[-1])
        if depth == 0 and re.fullmatch(r",? or |, ", token) and not is_list:
            found.append("")
        else:
            found[-1] += token
    return [piece.strip() for piece in found if piece.strip()]


def annotation(text):
    """The type that a docstring describes; Any where it is not a plain one."""
    optional = "default=None" in text
    found = []
    for piece in pieces(re.sub(r",? default=.*", "", text)):
        of = re.match(r"(list|tuple|sequence) of (?!shape)(?:two |three )?(.+)", piece)
        word = re.match(r"[\w-]*", piece)[0]
        if piece.startswith("(") and found:  # a second shape
            continue
        if piece.startswith("shaped like"):
            continue
        if piece.startswith("{"):
            found.append(f"Literal[{piece[1:-1]}]")
        elif piece.startswith('"'):
            found.append(f"Literal[{piece}]")
        elif of:
            kind = {"list": "list[{}]", "tuple": "tuple[{}, ...]", "sequence": "Sequence[{}]"}
            found.append(kind[of[1]].format(annotation(of[2])))
        elif word in homes():
            found.append(word)
        else:
            found.append(WORDS.get(word, "Any"))
    found = list(dict.fromkeys(found + ["None"] * optional))
    return "Any" if "Any" in found or not found or found == ["None"] else " | ".join(found)


def function_of(member):
    """The function behind a method, property or conditional method; None of what is none."""
    for name in ("fget", "func", "fn", "__func__"):
        member = getattr(member, name, None) or member
    return member if inspect.isfunction(member) else None


def functions():
    """Names and functions of all that is public."""
    for name, module in homes().items():
        thing = getattr(importlib.import_module(module), name)
        if inspect.isfunction(thing):
            yield name, thing
        elif inspect.isclass(thing):
            for key in dir(thing):
                function = function_of(inspect.getattr_static(thing, key))
                if function and function.__module__.startswith("skmoe"):
                    yield key, function


@functools.cache
def usual():
    """The most frequent types of parameters and results of a name, for docstrings without."""
    parameters, results = {}, {}
    for name, function in functions():
        said = documented(function.__doc__)
        for parameter in said["Parameters"]:
            for one in parameter.name.split(","):
                parameters.setdefault(one.strip(), Counter())[annotation(parameter.type)] += 1
        if said["Returns"]:
            results.setdefault(name, Counter())[result_of(said["Returns"])] += 1
    return [{k: v.most_common(1)[0][0] for k, v in of.items()} for of in (parameters, results)]


def result_of(returns):
    if any(one.name == "self" for one in returns):
        return "Self"
    types = [annotation(one.type or one.name) for one in returns]
    return types[0] if len(types) == 1 else f"tuple[{', '.join(types)}]"


def result(name, function):
    """Type of what a function returns."""
    if name == "__init__":
        return "None"
    said = documented(function.__doc__)["Returns"]
    if said:
        return result_of(said)
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    nodes = [node for node in ast.walk(tree) if isinstance(node, (ast.Return, ast.Yield))]
    if not any(node.value is not None for node in nodes):
        return "None"
    if all(isinstance(node.value, ast.Name) and node.value.id == "self" for node in nodes):
        return "Self"
    return usual()[1].get(name, "Any")


def parameters_of(name, owner, function):
    """Annotated parameters of a signature, as they are written."""
    docs = [function.__doc__]
    if owner is not None:
        docs += [owner.__doc__] if name == "__init__" else []
        docs += [vars(base)[name].__doc__ for base in owner.__mro__ if name in vars(base)]
    types = {}
    for doc in docs:
        said = documented(doc)
        for parameter in said["Parameters"] + said["Attributes"] * (name == "__init__"):
            for one in parameter.name.split(","):
                types.setdefault(one.strip().lstrip("*"), annotation(parameter.type))
    found, is_bare = [], False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in ("self", "cls") and not found:
            found.append(parameter.name)
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not is_bare:
            found.append("*")
        is_bare |= parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        kind = types.get(parameter.name) or usual()[0].get(parameter.name, "Any")
        text = f"{stars}{parameter.name}: {kind}"
        if parameter.default is not parameter.empty:
            plain = isinstance(parameter.default, (bool, int, float, str, type(None)))
            default = repr(parameter.default).replace("'", '"') if plain else "..."
            optional = parameter.default is None and not re.search(r"\b(Any|None)$", kind)
            text += f"{' | None' * optional} = {default if default != 'inf' else '...'}"
        found.append(text)
    return found


def definition(name, owner, function, indent="", decorator=""):
    """A function, and where a parameter such as return_std decides what it returns, two of them."""
    parameters, end = parameters_of(name, owner, function), result(name, function)
    place = next((i for i, p in enumerate(parameters) if re.match("return_.*bool", p)), None)
    if place is None or not end.startswith("tuple["):
        return decorator + written(name, parameters, end, indent)
    flag = parameters[place].partition(":")[0]
    found = []
    for value, kind in [("False", end[len("tuple[") :].partition(", ")[0]), ("True", end)]:
        default = " = False" if value == "False" else ""
        parameters[place] = f"{flag}: Literal[{value}]{default}"
        found += [f"{indent}@overload", decorator + written(name, parameters, kind, indent)]
    return "\n".join(found)


def written(name, parameters, end, indent):
    """A line, or as many as it takes."""
    line = f"{indent}def {name}({', '.join(parameters)}) -> {end}: ..."
    if len(line) <= 100:
        return line
    inner = f"{indent}    {', '.join(parameters)}"
    if len(inner) > 100:
        inner = "\n".join(f"{indent}    {parameter}," for parameter in parameters)
    return f"{indent}def {name}(\n{inner}\n{indent}) -> {end}: ..."


def assigned(kind):
    """Public attributes that __init__ sets."""
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind) if field.name[0] != "_"]
    if not inspect.isfunction(kind.__init__):
        return []
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind.__init__)))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    found = [x for x in found if isinstance(x.ctx, ast.Store) and ast.unparse(x.value) == "self"]
    return [node.attr for node in found if node.attr[0] != "_"]


def type_of(value):
    """Type of what a class holds."""
    return type(value).__name__ if isinstance(value, (bool, int, str)) else "Any"


def documented_attributes(kind):
    """Types of the attributes that the docstring of a class tells of."""
    return {
        name.strip().strip("`"): annotation(one.type)
        for one in documented(kind.__doc__)["Attributes"]
        for name in one.name.split(",")
    }


def bases_of(kind):
    """Public classes that a class derives from."""
    found = []
    for base in kind.__bases__:
        home = homes().get(base.__name__)
        if home and getattr(importlib.import_module(home), base.__name__) is base:
            found.append(base)
        elif base.__module__.startswith("skmoe"):
            found += bases_of(base)
        elif base.__name__ in BASES or issubclass(base, Warning):
            found.append(base)
    return [
        x for x in dict.fromkeys(found) if not any(x is not y and issubclass(y, x) for y in found)
    ]


def class_stub(kind):
    """A class with its attributes and methods, but for those that it inherits."""
    bases = bases_of(kind)
    attributes, methods = documented_attributes(kind), []
    inherited = {k: v for base in bases for k, v in documented_attributes(base).items()}
    if inspect.isfunction(kind.__init__):
        pairs = [x.partition(": ") for x in parameters_of("__init__", kind, kind.__init__)]
        types = {name: rest.partition(" = ")[0] for name, _, rest in pairs}
        for name in assigned(kind):
            attributes.setdefault(name, types.get(name) or type_of(getattr(kind, name, None)))
    for name in sorted(dir(kind), key=lambda name: (name != "__init__", name)):
        owner = next(base for base in kind.__mro__ if name in vars(base) or base is object)
        if name.startswith("_") and name not in ("__init__", "__len__", "__getitem__", "__iter__"):
            continue
        if not owner.__module__.startswith("skmoe") or any(issubclass(x, owner) for x in bases):
            continue
        member = vars(owner)[name]
        function = function_of(member)
        if function is None:
            is_setter = name.startswith("set_")
            of = "Callable[..., Any]" if is_setter else inherited.get(name) or type_of(member)
            attributes.setdefault(name, of)
        elif isinstance(member, (property, functools.cached_property)):
            of = attributes.pop(name, None) or result(name, function)
            methods.append(f"    @property\n    def {name}(self) -> {of}: ...")
        else:
            decorator = {classmethod: "    @classmethod\n", staticmethod: "    @staticmethod\n"}
            start = decorator.get(type(member), "")
            methods.append(definition(name, kind, function, "    ", start))
    if hasattr(kind, "set_callbacks"):  # of scikit-learn 1.9
        attributes["set_callbacks"] = "Callable[..., Self]"
    attributes = {k: v for k, v in attributes.items() if k.isidentifier()}
    lines = [f"    {name}: {of}" for name, of in attributes.items()] + methods
    arguments = f"({', '.join(base.__name__ for base in bases)})" if bases else ""
    return f"class {kind.__name__}{arguments}:" + ("\n" + "\n".join(lines) if lines else " ...")


def stub(module):
    """The text of a stub."""
    body, own = [], importlib.import_module(module)
    for name in names_of(module):
        thing = getattr(own, name)
        if inspect.isclass(thing):
            body.append(class_stub(thing))
        else:
            body.append(definition(name, None, thing))
    # Bases first, as in any module.
    kinds = [getattr(own, name) for name in names_of(module)]
    depth = [len(kind.__mro__) if inspect.isclass(kind) else 0 for kind in kinds]
    body = [text for _, text in sorted(zip(depth, body, strict=True), key=lambda pair: pair[0])]
    text = "\n\n".join(body)
    words = set(re.findall(r"[A-Za-z_]\w*", re.sub('"[^"]*"', "", text)))
    groups = {home: sorted(words & set(names)) for home, names in IMPORTS.items()}
    for name in sorted(words & set(homes())):
        if homes()[name] != module:
            groups.setdefault(homes()[name], []).append(name)
    lines = ["import numpy as np"] * ("np" in words)
    lines += [f"from {home} import {', '.join(names)}" for home, names in groups.items() if names]
    exports = "".join(f'    "{name}",\n' for name in names_of(module))
    lines += ["", f"__all__ = [\n{exports}]"] + ["__version__: str"] * (module == "skmoe")
    return HEAD + "\n".join([*lines, "", text, ""])


def path_of(module):
    source = Path(importlib.import_module(module).__file__)
    return source.with_suffix(".pyi")


def stubs():
    """Texts by path."""
    return {path_of(module): stub(module) for module in MODULES}


if __name__ == "__main__":
    for path, text in stubs().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(Path(skmoe.__file__).parents[1]), file=sys.stderr)
