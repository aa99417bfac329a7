"""Docstrings of classes that are completed by those of a base class."""

import inspect
import re

HEADING = re.compile(r"^(\w[\w ]*)\n-{3,}\n", re.M)


def completed_by(base):
    """A decorator: the docstring of a class gets those of the base's entries that it has not.

    Parameters are put in the order of ``__init__``. Attributes of the base follow the class's own,
    and keep their places where the class has other words for them.
    """

    def complete(cls):
        if cls.__doc__ and base.__doc__:  # with -OO there are none
            sections = _sections(cls.__doc__)
            given = _sections(base.__doc__)
            own, known = (_entries(each["Parameters"]) for each in (sections, given))
            names = [name for name in inspect.signature(cls).parameters if name in own | known]
            sections["Parameters"] = "\n".join((known | own)[name] for name in names)
            own, known = (_entries(each["Attributes"]) for each in (sections, given))
            new = {name: entry for name, entry in own.items() if name not in known}
            sections["Attributes"] = "\n".join((new | known | own).values())
            cls.__doc__ = "\n\n".join(
                f"{name}\n{'-' * len(name)}\n{text}" if name else text
                for name, text in sections.items()
            )
            cls.__doc__ += "\n"
        return cls

    return complete


def _sections(doc):
    """Text of each numpydoc section, that before the first of them under ""."""
    first, *others = HEADING.split(inspect.cleandoc(doc))
    texts = dict(zip(["", *others[::2]], [first, *others[1::2]], strict=True))
    return {name: text.strip() for name, text in texts.items()}


def _entries(text):
    """Entries of a section by what they describe."""
    return {entry.partition(" : ")[0]: entry.strip() for entry in re.split(r"\n(?=\S)", text)}
