"""How many experts, or what will choose their number."""

from dataclasses import replace

from .._em.loop import count
from .._experts.traits import is_frozen
from .request import is_word
from .ways import MOST_POOLED_ROWS, lacking

NUMBERS_OF_SPECIALISTS = (4, 8)  # that are tried beside a generalist
EVIDENCE, BIC, OUT_OF_FOLD = "the evidence", "BIC", "the out-of-fold log-density"


def choose_number(training, request, previous):
    """Number of experts, None where it is to be chosen, and the reason."""
    if request.kind == "list":
        return request.n_experts, "those of the list"
    n_zero = request.likelihood.zero_expert is not None
    n_before = None if previous is None else previous.shape[1] - n_zero
    if request.n_experts is not None and n_before not in (None, request.n_experts):
        raise ValueError(
            f"warm_start=True goes on from the last fit, which has {count(n_before)}; n_experts is "
            f"{request.n_experts}. Set n_experts={n_before}, or warm_start=False."
        )
    if request.n_experts is not None:
        return request.n_experts, "as asked for"
    if n_before is not None:
        return n_before, "as many as in the last fit, since warm_start=True"
    if training == "specialists":
        return None, (
            "chosen by the out-of-fold log-density: 4 beside one of all rows if they raise it by "
            "more than its standard error, 8 if these raise it again"
        )
    if is_frozen(request.templates[0]):
        return 1, "copies of what is frozen would be alike"
    if request.many and training == "em" and not _can_count(request):
        return NUMBERS_OF_SPECIALISTS[0], "of rows that are not in memory it is not chosen"
    way = chosen_by(training, request)
    is_other_gate = way != OUT_OF_FOLD and not has_plain_gate(request)
    behind = ", behind a softmax gate where all experts answer" if is_other_gate else ""
    return None, f"chosen by {way}{behind}"


def chosen_by(training, request):
    """What chooses the number of experts: ``EVIDENCE``, ``BIC`` or ``OUT_OF_FOLD``."""
    plain = replace(request, gate=None, top_k=None)
    if training == "pooled":
        return EVIDENCE
    if request.kind == "default" and not has_plain_gate(request) and _pools(plain):
        return EVIDENCE
    return BIC if _can_count(plain) else OUT_OF_FOLD


def _pools(request):
    """Whether the default experts are pooled by "auto"."""
    is_small = len(request.rows.y) <= MOST_POOLED_ROWS and not request.many
    return is_small and lacking("pooled", request) is None


def has_plain_gate(request):
    """Whether the number of experts can be chosen behind the requested gate."""
    return request.top_k is None and request.can_count_gate


def _can_count(request):
    """Whether experts are linear, and compared by BIC: at the maximum of their likelihood."""
    in_sample = request.cv is False or is_word(request.cv, "auto")
    return in_sample and request.groups is None and request.is_solved


def specialists_to_try(n_experts, most):
    """Numbers of specialists, of which 1 is none: those that are tried, or the one asked for."""
    if n_experts is not None:
        return [n_experts]
    return [k for k in NUMBERS_OF_SPECIALISTS if k <= most] or [1]
