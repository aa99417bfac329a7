"""Tables as text and as HTML, for what a user prints or a notebook shows."""

import html

WIDTH = 79  # columns of text


def first_of(values, most=5):
    """A list as text, of which no more than ``most`` values are shown."""
    if len(values) <= most:
        return str(values)
    return f"{str(values[:most])[:-1]}, ... {len(values)} in all]"


def text_table(header, cells):
    """Columns of one width, the first one flush left, the others flush right."""
    widths = [max(len(row[i]) for row in [header, *cells]) for i in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [header, *cells]
    ]
    return "\n".join(lines)


def under_headings(headings, names, cells):
    """Rows of a table under headings, one where a heading differs from the last.

    ``headings`` and ``names`` are those of each row, and names are indented; ``cells`` are rows
    without their first column. Returns rows with it, and headings as rows of their own.
    """
    rows, last = [], None
    for heading, name, row in zip(headings, names, cells, strict=True):
        if heading != last:
            rows.append([heading] + [""] * len(row))
        rows.append([f"  {name}", *row])
        last = heading
    return rows


def interval_ends(level):
    """Names of the ends of a central interval: 2.5 % and 97.5 % for a level of 0.95."""
    return [f"{50 * (1 + sign * level):.4g} %" for sign in (-1, 1)]


def html_table(header, cells, caption=None, below=()):
    """The same as HTML, everything escaped, with lines ``below``."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in cells
    )
    caption = "" if caption is None else f"<caption>{html.escape(caption)}</caption>"
    table = f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return table + "".join(f"<p>{html.escape(line)}</p>" for line in below)
