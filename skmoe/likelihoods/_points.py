"""What several likelihoods have learned, as one vector of numbers for EM to extrapolate."""

import numpy as np


def joint_point(likelihoods):
    """Their points (n_numbers,), one after the other; None where one of them has none."""
    points = [each.point() for each in likelihoods]
    return None if any(point is None for point in points) else np.concatenate(points)


def at_joint_point(likelihoods, point):
    """New likelihoods, a list, which have learned what the point says."""
    ends = np.cumsum([len(each.point()) for each in likelihoods])[:-1]
    return [each.at(part) for each, part in zip(likelihoods, np.split(point, ends), strict=True)]
