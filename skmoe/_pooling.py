"""What partial pooling asks of a mixture."""

from ._experts.fitting import split_last
from .gates import ConstantGate, SoftmaxGate
from .likelihoods import Gaussian


def check_pooling(mixture, subject):
    """Raise a ValueError if ``pooling=True`` meets what pooled experts do not know.

    Parameters
    ----------
    mixture : MixtureOfExpertsRegressor
        Unfitted.
    subject : array-like or None
        What ``fit`` was given.
    """
    likelihood, gate = mixture._likelihood(), split_last(mixture.gate)[1]
    is_gaussian = (
        type(likelihood) is Gaussian
        and isinstance(likelihood.scale, str)
        and likelihood.scale in ("expert", "shared")
        and likelihood.covariance == "diag"
    )
    is_softmax = type(gate) is SoftmaxGate and (gate.l1_ratio == 0 or gate.alpha == 0)
    is_in_sample = mixture.cv is False
    is_in_sample = is_in_sample or (isinstance(mixture.cv, str) and mixture.cv == "auto")
    wanted = {
        "experts=None, which are linear": mixture.experts is None,
        "Gaussian errors: likelihood='gaussian', or Gaussian('shared')": is_gaussian,
        "the gate None, SoftmaxGate() with l1_ratio=0 or ConstantGate()": (
            gate is None or is_softmax or type(gate) is ConstantGate
        ),
        "cv='auto'": is_in_sample,
        "shared_effects=None": not mixture.shared_effects,
        "top_k=None": mixture.top_k is None,
        "load_balance=0": mixture.load_balance == 0,
        "rows that are independent, without subject": subject is None,
    }
    lacking = [what for what, is_given in wanted.items() if not is_given]
    if lacking:
        raise ValueError(
            f"pooling=True needs {'; '.join(lacking)}. Set that, or set pooling=False for maximum "
            "likelihood, which takes all of these."
        )
