"""What ``fit`` will do: every "auto" is resolved here, once, from parameters and rows."""

from .making import make_plan
from .number import BIC, EVIDENCE, specialists_to_try
from .parts import make_parts
from .plan import Plan
from .request import MOST_EXPERTS
from .ways import NEEDS, WAYS

__all__ = [
    "BIC",
    "EVIDENCE",
    "MOST_EXPERTS",
    "NEEDS",
    "WAYS",
    "Plan",
    "make_parts",
    "make_plan",
    "specialists_to_try",
]
