"""Which experts and which likelihood are pooled: what depends on the target alone."""

from .._experts.pooled import PooledExperts
from .._experts.pooled_binomial import PooledBinomialExperts
from .._experts.pooled_log_linear import PooledGammaExperts, PooledPoissonExperts
from .._experts.pooled_logistic import PooledLogisticExperts
from ..likelihoods._pooled import PooledGaussian
from ..likelihoods._pooled_binomial import PooledBinomial
from ..likelihoods._pooled_categorical import PooledCategorical
from ..likelihoods._pooled_log_linear import PooledGamma, PooledPoisson

GLMS = {
    "binomial": (PooledBinomialExperts, PooledBinomial),
    "poisson": (PooledPoissonExperts, PooledPoisson),
    "gamma": (PooledGammaExperts, PooledGamma),
}


def pooled_parts(parts, source, design, data, start, block):
    """One pooled expert, of which ``resized`` makes more, and its likelihood.

    ``source`` is what experts see and ``design`` the same as an array; ``start(likelihood)`` lets a
    likelihood look at the target, and returns it; ``block`` (n_columns,) says of which column of
    strings they are levels, see ``StandardColumns``.
    """
    if parts.classes is not None:
        likelihood = PooledCategorical(n_classes=len(parts.classes))
        experts = PooledLogisticExperts(
            design,
            data.y,
            data.weight,
            classes=parts.classes,
            units=data.units,
            block=block,
        )
        return experts, start(likelihood)
    shared_columns = parts.shared_columns(source) if parts.shared_effects else ()
    if parts.likelihood.glm is not None:
        kind_of_experts, kind_of_likelihood = GLMS[parts.likelihood.glm]
        likelihood = kind_of_likelihood().fitting(in_sample=True, linear=True)
        experts = kind_of_experts(
            design,
            data.y,
            data.weight,
            exposure=data.exposure,
            shared_columns=shared_columns,
            units=data.units,
            block=block,
        )
        return experts, start(likelihood)
    likelihood = start(PooledGaussian(parts.likelihood.scale))
    experts = PooledExperts(
        design,
        data.y,
        data.weight,
        floor=likelihood.floor_,
        shared_scale=likelihood.scale == "shared",
        shared_columns=shared_columns,
        units=data.units,
        block=block,
    )
    return experts, likelihood
