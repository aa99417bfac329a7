"""Which experts and which likelihood are pooled: what depends on the target alone."""

from .._experts.pooled import PooledExperts
from .._experts.pooled_generalized_linear import PooledGeneralizedLinearExperts
from .._experts.pooled_logistic import PooledLogisticExperts
from ..likelihoods._pooled import PooledCategorical, PooledGaussian


def pooled_parts(parts, design, data, start, block):
    """One pooled expert, of which ``resized`` makes more, and its likelihood.

    ``design`` is what experts see; ``start(likelihood)`` lets a likelihood look at the target, and
    returns it; ``block`` (n_columns,) says of which column of strings they are levels, see
    ``StandardColumns``.
    """
    given = design, data.y, data.weight
    settings = {"units": data.units, "block": block}
    if parts.classes is not None:
        likelihood = PooledCategorical(n_classes=len(parts.classes))
        return PooledLogisticExperts(*given, classes=parts.classes, **settings), start(likelihood)
    family = parts.likelihood.family
    if family is not None:
        likelihood = parts.likelihood.pooled().fitting(in_sample=True, linear=True)
        settings |= {"family": family, "exposure": data.exposure}
        return PooledGeneralizedLinearExperts(*given, **settings), start(likelihood)
    likelihood = start(PooledGaussian(parts.likelihood.scale))
    settings |= {"floor": likelihood.floor_, "shared_scale": likelihood.scale == "shared"}
    return PooledExperts(*given, **settings), likelihood
