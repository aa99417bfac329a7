"""Code on the pages of the site and in the README can be read without scrolling."""

import ast
import re
import textwrap
from pathlib import Path

import pytest

WIDTH = 79
ROOT = Path(__file__).parents[1]
GUIDE = [*sorted(ROOT.glob("doc/*.rst")), *sorted(ROOT.glob("doc/guide/*.rst"))]
PAGES = [*GUIDE, *sorted(ROOT.glob("doc/benchmarks/*.rst"))]
PAGES += [*ROOT.glob("README.md"), *sorted(ROOT.glob("examples/**/*.py"))]


def code_lines(page):
    """Lines of code of a page, as they are shown."""
    text = page.read_text("utf-8")
    if page.suffix == ".py":  # the docstring and comments from the margin are text
        lines = text.splitlines()[ast.parse(text).body[0].end_lineno :]
        return [line for line in lines if not line.startswith("#")]
    if page.suffix == ".md":
        blocks = re.findall(r"^```\w+\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    else:
        blocks = re.findall(r"^ *\.\. code-block::.*\n((?: +.*\n|\n)+)", text, re.MULTILINE)
        blocks += re.findall(r"(?:^ *(?:>>>|\.\.\.).*\n)+", text, re.MULTILINE)
    return [line for block in blocks for line in textwrap.dedent(block).splitlines()]


@pytest.mark.skipif(not PAGES, reason="the pages are with the sources only")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_fits_the_page(page):
    assert [line for line in code_lines(page) if len(line) > WIDTH] == []
