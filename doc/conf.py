"""Configuration of the documentation."""

import warnings
from importlib.metadata import version as installed_version

from sklearn.exceptions import ConvergenceWarning

from skmoe import exceptions

for category in (ConvergenceWarning, *map(vars(exceptions).get, exceptions.__all__)):
    warnings.simplefilter("error", category)  # in the examples

project = "skmoe"
author = "The skmoe developers"
copyright = "2026, The skmoe developers"
version = release = installed_version("skmoe")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "templates", "auto_examples/*.ipynb", "auto_examples/*.py"]
templates_path = ["templates"]

nitpicky = True
nitpick_ignore = [("py:mod", "scipy.stats")]  # it is elsewhere

html_theme = "pydata_sphinx_theme"
html_title = f"skmoe {release}"
html_theme_options = {"show_prev_next": False}
html_show_sourcelink = False

autodoc_typehints = "none"  # the docstrings say it
autosummary_ignore_module_all = False
numpydoc_show_class_members = False  # templates/autosummary/class.rst documents them in full

sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["auto_examples"],
    "ignore_pattern": r"\bunlike_experts\.py$",  # the README's; it draws nothing
    "within_subsection_order": "FileNameSortKey",
    "doc_module": ("skmoe",),
    "reference_url": {"skmoe": None},
    "backreferences_dir": None,
    "download_all_examples": False,
    "write_computation_times": False,
    "show_memory": False,
    "abort_on_example_error": True,
    "remove_config_comments": True,
}


def is_from_elsewhere(app, what, name, obj, skip, options):
    """Leave out the methods that scikit-learn gives to every estimator."""
    obj = obj.fget if isinstance(obj, property) else obj
    module = getattr(obj, "__module__", None) or ""
    return skip or module.partition(".")[0] != "skmoe"


def setup(app):
    app.connect("autodoc-skip-member", is_from_elsewhere)
