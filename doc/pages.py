"""What the site has beside Sphinx: thumbnails of one panel, pictures for phones, examples first."""

import html
import json
import re
import warnings
from pathlib import Path

from docutils import nodes
from matplotlib import pyplot as plt
from PIL import Image
from sklearn.exceptions import ConvergenceWarning
from sphinx_gallery.directives import imgsgnode
from sphinx_gallery.scrapers import matplotlib_scraper
from sphinx_gallery.utils import scale_image

from skmoe import exceptions

PHONE = 600  # pixels: pictures that are wider scroll on a phone, lest their text becomes too small
NARROW = 5.6  # inches, for the pictures that are a little wider


def turn_warnings_into_errors(gallery_conf, path):
    """Have an example fail that warns of its fits."""
    for category in (ConvergenceWarning, *map(vars(exceptions).get, exceptions.__all__)):
        warnings.simplefilter("error", category)
    warnings.simplefilter("ignore", exceptions.LongFitWarning)  # of machines that are slow


def scrape(block, block_vars, gallery_conf):
    """Save the pictures of a code block, and the first panel of those that have several."""
    figures = [plt.figure(number) for number in plt.get_fignums()]
    for figure in figures:
        width, height = figure.get_size_inches()
        if NARROW < width <= 1.25 * NARROW:
            figure.set_size_inches(NARROW, height)
    paths = block_vars["image_path_iterator"]
    n_before = len(paths)
    rst = matplotlib_scraper(block, block_vars, gallery_conf)
    for figure, path in zip(figures, paths.paths[n_before:], strict=True):
        if len(figure.axes) > 1:
            figure.set_layout_engine("none")  # the axes stay where they are
            for legend in figure.legends:  # of all panels
                legend.set_visible(False)
            box = figure.axes[0].get_tightbbox()
            box = box.transformed(figure.dpi_scale_trans.inverted()).padded(0.05)
            figure.savefig(path.replace(".png", "_panel.png"), bbox_inches=box)
    return rst


def crop_thumbnails(app):
    """Thumbnails of pictures with several panels show the first of these."""
    size = app.config.sphinx_gallery_conf["thumbnail_size"]
    for script in Path(app.srcdir, "auto_examples").glob("*/plot_*.py"):
        number = re.search(r"thumbnail_number = (\d+)", script.read_text("utf-8"))
        number = int(number[1]) if number else 1
        images = script.parent / "images"
        panel = images / f"sphx_glr_{script.stem}_{number:03}_panel.png"
        if panel.exists():
            scale_image(panel, images / "thumb" / f"sphx_glr_{script.stem}_thumb.png", *size)


def mark_pictures(app, doctree, docname):
    """Give wide pictures a class, and thumbnails the first sentence of their example as text."""
    sentence = ""
    for node in list(doctree.findall()):
        if isinstance(node, nodes.raw) and 'tooltip="' in node.astext():
            tooltip = re.search(r'tooltip="([^"]*)"', node.astext())[1]
            sentence = re.match(r".*?[.:](?= |$)|.*", html.unescape(tooltip))[0]
        elif isinstance(node, nodes.image) and "/thumb/" in node["uri"]:
            node["alt"] = node.get("alt") or sentence
        elif isinstance(node, (nodes.figure, imgsgnode)):
            image = next(node.findall(nodes.image), node)
            path = Path(app.srcdir, image["uri"].lstrip("/"))
            if path.suffix == ".png" and not (path.exists() and Image.open(path).width > PHONE):
                continue
            if isinstance(node, nodes.figure):
                node["classes"].append("wide-picture")
            else:
                node.replace_self(nodes.container("", node.deepcopy(), classes=["wide-picture"]))


def example_first(app, what, name, obj, options, lines):
    """Move the example of a class or function before its parameters, notes and references."""
    if what not in {"class", "function"} or ".. rubric:: Examples" not in lines:
        return
    begin = lines.index(".. rubric:: Examples")
    parts = [i for i, line in enumerate(lines) if re.match(r":\w+:$|\.\. (rubric|seealso)", line)]
    end = next((i for i in parts if i > begin), len(lines))
    lines[parts[0] : end] = lines[begin:end] + [""] + lines[parts[0] : begin]


# Addresses that people type or that moved, and where they lead; add one where a page moves.
REDIRECTS = {
    "api/index": "api",
    "benchmarks": "benchmarks/index",
    "examples": "auto_examples/index",
    "faq": "questions",
    "guide": "guide/index",
    "guide/effects": "guide/inference",
    "guide/errors": "guide/likelihoods",
    "guide/first_fit": "guide/index",
    "guide/many_rows_experts": "guide/many_rows",
    "guide/one_pass": "benchmarks/performance",
    "guide/onnx": "guide/serving",
    "guide/own_densities": "guide/specialisation",
    "guide/own_gate": "guide/extending",
    "guide/small_tables": "guide/number",
    "guide/sparse_terms": "glossary",
    "guide/stacks": "guide/specialisation",
    "guide/warm_starts": "guide/choosing",
    "guide/when": "choosing_a_call",
    "user_guide": "guide/index",
}


def versions(changelog, documentation):
    """Entries of the switcher: what is in development, and all that was released, newest first."""
    numbers = re.findall(r"(?m)^## (\d\S*) \(\d", changelog)
    entries = [{"name": "dev", "version": "dev", "url": f"{documentation}/dev/"}]
    for number in numbers:
        url = f"{documentation}/{number}/"
        entries.append({"name": number, "version": number, "url": url})
    if numbers:
        entries[1] |= {"name": f"{numbers[0]} (stable)", "preferred": True}
    return entries


def write_files(app, exception):
    """Write redirects, and the versions that the switcher reads at the address of the site."""
    if exception or app.builder.name != "html":
        return
    root = Path(app.outdir)
    for old, new in REDIRECTS.items():
        place = root / f"{old}.html"
        target = "../" * old.count("/") + f"{new}.html"
        place.write_text(
            f'<!doctype html><title>Moved</title><link rel="canonical" href="{target}">'
            f'<meta http-equiv="refresh" content="0; url={target}"><a href="{target}">Moved</a>\n',
            "utf-8",
        )
    changelog = Path(app.srcdir, "..", "CHANGELOG.md").read_text("utf-8")
    entries = versions(changelog, app.config.html_baseurl.rstrip("/"))
    (root / "_static" / "switcher.json").write_text(json.dumps(entries, indent=1), "utf-8")


def setup(app):
    app.connect("build-finished", write_files)
    app.connect("builder-inited", crop_thumbnails, priority=900)  # the gallery's is before
    app.connect("doctree-resolved", mark_pictures)
    app.connect("autodoc-process-docstring", example_first, priority=900)  # numpydoc's is before
    return {"parallel_read_safe": True, "parallel_write_safe": True}
