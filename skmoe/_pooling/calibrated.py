r"""One logistic regression with calibrated probabilities, in place of several experts.

Where classes of some rows do not depend on the columns, being labels that are wrong or answers that
are guessed, no logistic regression is right, and experts of a mixture differ though there is one
regression function:

.. math:: P(y = c \mid x) = \Big(1 - \sum_j g_j\Big) \mathrm{softmax}(x^T B)_c + g_c

as in psychometric functions [1]_. By BIC, the shares :math:`g` cost half a logarithm each.

References
----------
.. [1] F. A. Wichmann and N. J. Hill, "The psychometric function: I. Fitting, sampling, and goodness
   of fit", Perception & Psychophysics 63 (2001) 1293-1313.
"""

import numpy as np
from scipy import optimize, special

SLOPE_PENALTY = 0.1  # of slopes: they are finite where the columns separate classes
FIRST_SHARE = 0.05  # of rows of each class that do not depend on the columns
LEAST_LOG_SHARE = -20.0  # relative to 0 of the rows that do


def gain_of_calibration(design, y, weight, n_classes):
    """By how much calibration raises the log-evidence of one regression over all rows, by BIC.

    Parameters
    ----------
    design : ndarray of shape (n_samples, q)
        Columns, and the intercept.
    y : ndarray of int of shape (n_samples,)
        Number of the class.
    weight : ndarray of shape (n_samples,)
        Weights of the rows.
    n_classes : int
        Number of classes.
    """
    labels = np.eye(n_classes)[y]
    n_coef, settings = design.shape[1] * n_classes, {"method": "L-BFGS-B", "jac": True}
    bounds = [(None, None)] * n_coef + [(LEAST_LOG_SHARE, LEAST_LOG_SHARE)] * n_classes
    start = np.append(np.zeros(n_coef), np.full(n_classes, LEAST_LOG_SHARE))
    plain = optimize.minimize(_loss, start, (design, labels, weight), bounds=bounds, **settings)
    start = np.append(plain.x[:n_coef], np.full(n_classes, np.log(FIRST_SHARE)))
    found = optimize.minimize(_loss, start, (design, labels, weight), **settings)
    return float(plain.fun - found.fun - 0.5 * n_classes * np.log(weight.sum()))


def _loss(theta, design, labels, weight):
    """Penalised negative log-likelihood, and its gradient; log-odds of guesses come last."""
    n_classes = labels.shape[1]
    n_coef = design.shape[1] * n_classes
    coef = theta[:n_coef].reshape(-1, n_classes)
    slopes = np.append(coef[:-1], np.zeros((1, n_classes)), axis=0)
    odds = np.exp(np.clip(theta[n_coef:], LEAST_LOG_SHARE, -LEAST_LOG_SHARE))
    kept, guessed = 1 / (1 + odds.sum()), odds / (1 + odds.sum())
    log_proba = special.log_softmax(design @ coef, axis=1)
    own = (labels * log_proba).sum(axis=1)
    value = np.logaddexp(np.log(kept) + own, np.log(labels @ guessed))
    is_meant = np.exp(np.log(kept) + own - value)  # posterior that the columns decide
    by_linear = is_meant[:, None] * (labels - np.exp(log_proba))
    gradient = design.T @ (weight[:, None] * by_linear) - SLOPE_PENALTY * slopes
    loss = 0.5 * SLOPE_PENALTY * (slopes**2).sum() - weight @ value
    # The share of a class among guesses and the rest is a softmax of log-odds.
    of_odds = (weight * (1 - is_meant)) @ labels - weight.sum() * guessed
    return loss, -np.append(gradient.ravel(), of_odds)
