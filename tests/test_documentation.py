"""Pages can be read: short sentences, and code that needs no scrolling."""

import ast
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

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
        found = re.finditer(r"^( *)\.\. code-block::.*\n((?:\1 +.*\n|\n)+)", text, re.MULTILINE)
        blocks = [match[2] for match in found]
        blocks += re.findall(r"(?:^ *(?:>>>|\.\.\.).*\n)+", text, re.MULTILINE)
    return [line for block in blocks for line in textwrap.dedent(block).splitlines()]


@pytest.mark.skipif(not PAGES, reason="the pages are with the sources only")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_fits_the_page(page):
    assert [line for line in code_lines(page) if len(line) > WIDTH] == []


def sentences(page):
    """Sentences of paragraphs and lists, not of tables or captions."""
    text = page.read_text("utf-8")
    text = re.sub(r"(?ms)^( *)\.\. [\w-]+::.*?(?=^\1\S|\Z)", "\n\n", text)  # directives
    text = re.sub(r"(?m)^ *(\.\. .*|[=\-~^]{4,}[=\- ]*)$", "\n", text)  # labels, lines under titles
    text = re.sub(r":\w+:`[^`]*`|``[^`]*``", "X", text)
    for block in re.split(r"\n\s*\n", text):
        if block.lstrip().startswith((">>>", "...")):  # code, with what it prints
            continue
        for item in re.split(r"(?m)^\s*(?:[-*]|\d+\.)\s+", block):
            yield from re.split(r"(?<=[.!?])[*)]*\s+(?=[\"“(*]*[A-Z0-9])", " ".join(item.split()))


@pytest.mark.skipif(not GUIDE, reason="the pages are with the sources only")
def test_sentences_of_the_guide_are_short():
    counts = [
        len(re.findall(r"[A-Za-zÀ-ÿ][\w'’-]*", sentence))
        for page in GUIDE
        if page.parent.name == "guide"
        for sentence in sentences(page)
    ]
    counts = np.array([n for n in counts if n > 2])
    assert len(counts) > 1000
    assert np.median(counts) <= 16
    assert np.quantile(counts, 0.9) <= 30


@pytest.mark.skipif(not GUIDE, reason="the pages are with the sources only")
def test_pages_of_the_guide_are_lessons_of_1500_words_at_most():
    tables = {"migrating.rst"}  # to look things up in
    lessons = [page for page in GUIDE if page.parent.name == "guide" and page.name not in tables]
    counts = {page.name: len(page.read_text("utf-8").split()) for page in lessons}
    assert {name: count for name, count in counts.items() if count > 1500} == {}


@pytest.mark.skipif(not GUIDE, reason="the pages are with the sources only")
@pytest.mark.parametrize("kind", [MixtureOfExpertsRegressor, MixtureOfExpertsClassifier])
def test_every_method_has_a_section_on_the_page_of_its_estimator(kind):
    template = (ROOT / "doc/templates/autosummary/estimator.rst").read_text("utf-8")
    names = [name for name in dir(kind) if not name.startswith("_")]
    ours = [n for n in names if getattr(getattr(kind, n), "__module__", "").startswith("skmoe")]
    assert [name for name in ours if f'"{name}"' not in template] == []
