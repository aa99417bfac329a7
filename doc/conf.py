"""Configuration of the documentation."""

import re
import sys
from importlib.metadata import metadata
from pathlib import Path

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml

sys.path.insert(0, str(Path(__file__).parent))  # pages

project = "skmoe"
author = "The skmoe developers"
copyright = "2026, The skmoe developers"
version = release = metadata("skmoe")["Version"]
# [project.urls] of pyproject.toml, by their names.
addresses = dict(line.split(", ", 1) for line in metadata("skmoe").get_all("Project-URL", []))
repository = addresses.get("Repository", "<address of the repository>")
rst_epilog = f".. |repository| replace:: {repository}"

extensions = [
    "myst_parser",
    "numpydoc",
    "pages",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "templates", "paper", "auto_examples/*.ipynb", "auto_examples/*.py"]
templates_path = ["templates"]

nitpicky = True
nitpick_ignore = [("py:mod", "scipy.stats")]  # it is elsewhere
linkcheck_ignore = [r"(\.\./)?auto_examples/"]  # targets of figures, which only a build has

html_theme = "pydata_sphinx_theme"
html_title = f"skmoe {release}"
html_baseurl = addresses.get("Documentation", "")
html_logo = html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["tables.js"]
html_theme_options = {
    "logo": {"text": "skmoe"},
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
    "show_toc_level": 2,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
}
if "Repository" in addresses:
    html_theme_options["github_url"] = repository
if html_baseurl:  # each version has a folder there; pages.py writes the list of them
    html_theme_options["switcher"] = {
        "json_url": f"{html_baseurl.rstrip('/')}/dev/_static/switcher.json",
        "version_match": "dev" if "dev" in release else release,
    }
    html_theme_options["check_switcher"] = False  # not before the first version is there
    html_theme_options["navbar_end"] = ["version-switcher", "theme-switcher", "navbar-icon-links"]
ALONE = ["index", "install", "howto", "comparison", "questions", "glossary", "changelog"]
ALONE += ["choosing_a_call", "**/plot_five_minutes"]
html_sidebars = {page: [] for page in ALONE}  # pages without neighbours in their section
html_show_sourcelink = False
html_math_renderer = "mathml"

copybutton_prompt_text = r">>> |\.\.\. "  # only lines with a prompt are copied, and without it
copybutton_prompt_is_regexp = True

toc_object_entries_show_parents = "hide"  # "fit()" rather than "MixtureOfExpertsRegressor.fit()"
autodoc_typehints = "none"  # the docstrings say it
autosummary_ignore_module_all = False
numpydoc_show_class_members = False  # templates/autosummary/class.rst documents them in full

SECTIONS = ["start", "regimes", "predictions", "gates", "scale"]
sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["auto_examples"],
    "ignore_pattern": r"\bunlike_experts\.py$",  # the README's; it draws nothing
    "subsection_order": [f"../examples/{name}" for name in SECTIONS] + ["*"],
    "within_subsection_order": "ExampleTitleSortKey",
    "doc_module": ("skmoe",),
    "reference_url": {"skmoe": None},
    "backreferences_dir": "generated/backreferences",
    "download_all_examples": False,
    "write_computation_times": False,
    "min_reported_time": 3600,  # seconds; it depends on the machine
    "show_memory": False,
    "thumbnail_size": (480, 320),
    "image_scrapers": ("pages.scrape",),
    "reset_modules": ("matplotlib", "pages.turn_warnings_into_errors"),
    "parallel": True,  # as many as sphinx-build -j
    "abort_on_example_error": True,
    "remove_config_comments": True,
}


def is_told_elsewhere(app, what, name, obj, skip, options):
    """Leave out what scikit-learn says of every estimator, and a base class of its parts."""
    obj = obj.fget if isinstance(obj, property) else obj
    package, _, module = (getattr(obj, "__module__", None) or "").partition(".")
    of_part = module.startswith(("distributions", "gates", "likelihoods"))
    return skip or package != "skmoe" or (of_part and obj.__doc__ is None)


def spaced(formula):
    """A formula with thin spaces about names of functions, as TeX sets them: a log b, a log(b)."""
    thin = '<mspace width="0.1667em"></mspace>'
    name = r"<mi>\w+</mi>\s*<mo>&ApplyFunction;</mo>"
    formula = re.sub(rf"(</m(?:i|n|sub|sup|subsup)>\s*)({name})", rf"\1{thin}\2", formula)
    return re.sub(rf"({name})(?=\s*<m(?!o stretchy|space))", rf"\1{thin}", formula)


def add_formula(writer, node):
    """Write a formula as MathML, which browsers show without a script or a network."""
    is_block = node.tagname == "math_block"
    latex = re.sub(r"\\[bB]igg?[lr]?(?=[(\[])", r"\\left", node.astext())  # as large as inside
    latex = re.sub(r"\\[bB]igg?[lr]?(?=[)\]])", r"\\right", latex)
    latex = re.sub(r"\|([^|]+)\|", r"\\left|\1\\right|", latex)
    number = f' id="{node["ids"][0]}"' if node.get("ids") else ""
    tag = "div" if is_block else "span"
    formula = spaced(tex2mathml(latex, as_block=is_block))
    writer.body.append(f'<{tag} class="math"{number}>{formula}</{tag}>')
    raise SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (add_formula, None), (add_formula, None))
    app.connect("autodoc-skip-member", is_told_elsewhere)
