"""Which experts and which likelihood are pooled: what depends on the target alone."""

from .._experts.pooled import PooledExperts
from .._experts.pooled_generalized_linear import PooledGeneralizedLinearExperts
from .._experts.pooled_logistic import PooledLogisticExperts
from ..likelihoods._pooled import PooledGaussian
from ..likelihoods._pooled_categorical import PooledCategorical


def pooled_parts(parts, source, design, data, start, block):
    """One pooled expert, of which ``resized`` makes more, and its likelihood.

    ``source`` is what experts see and ``design`` the same as an array; ``start(likelihood)`` lets a
    likelihood look at the target, and returns it; ``block`` (n_columns,) says of which column of
    strings they are levels, see ``StandardColumns``.
    """
    given = design, data.y, data.weight
    settings = {"units": data.units, "block": block}
    if parts.classes is not None:
        likelihood = PooledCategorical(n_classes=len(parts.classes))
        return PooledLogisticExperts(*given, classes=parts.classes, **settings), start(likelihood)
    settings["shared_columns"] = parts.shared_columns(source) if parts.shared_effects else ()
    family = parts.likelihood.family
    if family is not None:
        likelihood = parts.likelihood.pooled().fitting(in_sample=True, linear=True)
        settings |= {"family": family, "exposure": data.exposure}
        return PooledGeneralizedLinearExperts(*given, **settings), start(likelihood)
    likelihood = start(PooledGaussian(parts.likelihood.scale))
    settings |= {"floor": likelihood.floor_, "shared_scale": likelihood.scale == "shared"}
    return PooledExperts(*given, **settings), likelihood
