"""Shapes of Gamma variables; part of `_linear_run.pyx` and `_pooled_run.pyx`."""

cdef enum:
    MOST_SHAPE_STEPS = 50

cdef double LARGEST_SHAPE = 1e6
cdef double LARGEST_DEVIANCE = 1e100
cdef double SERIES_FROM = 20.0  # asymptotic series are exact from there on
cdef double TWO_PI = 6.283185307179586


cdef double shape_of_deviance(double deviance) noexcept nogil:
    """``shape_of_deviance`` of one number."""
    cdef double root, shape, step
    cdef int _step
    deviance = fmin(fmax(deviance, 0.5 / LARGEST_SHAPE), LARGEST_DEVIANCE)
    root = sqrt((deviance - 3) ** 2 + 24 * deviance)
    if deviance < 3:
        shape = (3 - deviance + root) / (12 * deviance)
    else:
        shape = 2 / (fabs(deviance - 3) + root)
    for _step in range(MOST_SHAPE_STEPS):
        step = (log(shape) - psi(shape) - deviance) / (1 - shape * trigamma(shape))
        shape *= exp(-fmax(fmin(step, 1.0), -1.0))
        if fabs(step) < 1e-12:
            break
    return fmin(shape, LARGEST_SHAPE)


cdef double trigamma(double x) noexcept nogil:
    """Derivative of psi, by its asymptotic series."""
    cdef double total = 0.0
    cdef double inverse, square
    while x < SERIES_FROM:
        total += 1 / (x * x)
        x += 1
    inverse, square = 1 / x, 1 / (x * x)
    return total + inverse * (
        1 + inverse / 2 + square * (1.0 / 6 - square * (1.0 / 30 - square / 42)))


cdef double gamma_constant(double shape) noexcept nogil:
    """What log-densities of a shape have besides, without the difference of large numbers."""
    cdef double square
    if shape < SERIES_FROM:
        return shape * log(shape) - shape - lgamma(shape)
    square = 1 / (shape * shape)
    return 0.5 * log(shape / TWO_PI) - (
        1.0 / 12 - square * (1.0 / 360 - square * (1.0 / 1260 - square * (1.0 / 1680)))) / shape
