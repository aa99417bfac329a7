"""The stubs are those of the code, and say what docstrings say."""

import inspect

import pytest

from skmoe import metrics

pytest.importorskip("numpydoc")
stubs = pytest.importorskip("stubs")


@pytest.fixture(name="made", scope="module")
def _made():
    return stubs.stubs()


def test_stubs_are_up_to_date(made):
    old = [p for p, text in made.items() if not p.exists() or p.read_text("utf-8") != text]
    assert old == [], "run python tests/stubs.py"


def test_signatures_keep_their_order_and_defaults(made):
    text = next(text for path, text in made.items() if path.name == "metrics.pyi")
    scope = {}
    exec(text.replace(": ...", ": pass"), scope)  # a stub is Python, too
    for name in metrics.__all__:
        ours, theirs = (
            inspect.signature(x).parameters for x in (scope[name], getattr(metrics, name))
        )
        assert list(ours) == list(theirs)
        assert [p.kind for p in ours.values()] == [p.kind for p in theirs.values()]


def test_a_private_base_is_not_taken_for_a_public_class_of_its_name(made):
    text = next(text for path, text in made.items() if path.parent.name == "likelihoods")
    assert "class BaseLikelihood(BaseEstimator):" in text
