"""Imports go one way, down the floors of the table in CONTRIBUTING.md."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import skmoe

PACKAGE = Path(skmoe.__file__).parent
PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="The sources are not there.")


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


def imports_of(path):
    """Modules or folders of the package that a file imports from, with the line."""
    inside = path.relative_to(PACKAGE).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
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
    for path in sorted(PACKAGE.rglob("*.py")):
        here = path.relative_to(PACKAGE)
        unit = here.parts[0].removesuffix(".py")
        if not unit.startswith("__"):
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
