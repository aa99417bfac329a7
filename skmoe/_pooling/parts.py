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
    settings = {"shared_columns": shared_columns, "units": data.units, "block": block}
    given, family = (design, data.y, data.weight), parts.likelihood.family
    if family is not None:
        likelihood = parts.likelihood.pooled().fitting(in_sample=True, linear=True)
        experts = PooledGeneralizedLinearExperts(
            *given, family=family, exposure=data.exposure, **settings
        )
        return experts, start(likelihood)
    likelihood = start(PooledGaussian(parts.likelihood.scale))
    experts = PooledExperts(
        *given,
        floor=likelihood.floor_,
        shared_scale=likelihood.scale == "shared",
        **settings,
    )
    return experts, likelihood
