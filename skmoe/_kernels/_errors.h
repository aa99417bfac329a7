/* What the errors of one regression ask of a block of rows; see _block.h. */
#ifndef SKMOE_ERRORS_H
#define SKMOE_ERRORS_H

#include "_block.h"

/* Ratios of squares to their expectation, exp(linear + size * direction); half the deviance of the
 * Gamma likelihood, but for what depends on the squares alone. */
SKMOE_CLONES
static double skmoe_gamma_value(
    const double *linear,    /* IN: (B,) */
    const double *direction, /* IN: (B,) */
    double size,             /* IN */
    const double *squares,   /* IN: (B,) */
    const double *weight,    /* IN: (B,) */
    double *ratio,           /* OUT: (B,) */
    ptrdiff_t rows) {
    double of_row[SKMOE_BLOCK];
    ptrdiff_t i;
    for (i = 0; i < rows; i++) {
        double at = linear[i] + size * direction[i];
        ratio[i] = squares[i] * skmoe_exp_f64(-at);
        of_row[i] = at + ratio[i];
    }
    return sum_of_rows_f64(of_row, weight, rows);
}

/* What its gradient and its curvature in the linear function are of. */
SKMOE_CLONES
static void skmoe_gamma_weights(
    const double *ratio,  /* IN: (B,) */
    const double *weight, /* IN: (B,) */
    double *lack,         /* OUT: (B,) */
    double *curvature,    /* OUT: (B,) */
    ptrdiff_t rows) {
    ptrdiff_t i;
    SKMOE_NO_ALIASES
    for (i = 0; i < rows; i++) {
        curvature[i] = weight[i] != 0 ? weight[i] * ratio[i] : 0; /* a ratio may be inf */
        lack[i] = curvature[i] - weight[i];
    }
}

#define SKMOE_N_SHAPES 3 /* normal components of the errors */

/* E-step of errors that are a mixture of normal ones: the log-likelihood of the rows, with sums of
 * shares, of these times errors and times their squares. */
SKMOE_CLONES
static double skmoe_shape_e_step(
    const double *errors,    /* IN: (B,) */
    const double *weight,    /* IN: (B,) */
    const double *log_share, /* IN: (3,) less the logarithm of the scale */
    const double *centre,    /* IN: (3,) */
    const double *precision, /* IN: (3,) */
    double *share,           /* OUT: (3, B) times weights */
    double *sums,            /* IN OUT: (3, 3) */
    ptrdiff_t rows) {
    double largest[SKMOE_BLOCK], total[SKMOE_BLOCK], product[SKMOE_BLOCK], value;
    ptrdiff_t i, k;
    for (k = 0; k < SKMOE_N_SHAPES; k++)
        for (i = 0; i < rows; i++) {
            double z = errors[i] - centre[k];
            share[k * SKMOE_BLOCK + i] = log_share[k] - 0.5 * precision[k] * z * z;
        }
    softmax_f64(share, NULL, largest, total, SKMOE_N_SHAPES, rows);
    for (i = 0; i < rows; i++) total[i] = largest[i] + skmoe_log_f64(total[i]);
    value = sum_of_rows_f64(total, weight, rows);
    for (k = 0; k < SKMOE_N_SHAPES; k++) {
        double *own = share + k * SKMOE_BLOCK;
        sums[k] += ordered_sum_f64(weight, own, rows);
        for (i = 0; i < rows; i++) {
            own[i] *= weight[i];
            product[i] = own[i] * errors[i];
        }
        sums[SKMOE_N_SHAPES + k] += ordered_sum_f64(own, errors, rows);
        sums[2 * SKMOE_N_SHAPES + k] += ordered_sum_f64(product, errors, rows);
    }
    return value;
}

/* Weights of the least squares that coefficients are the solution of, and of its right-hand side.
 */
SKMOE_CLONES
static void skmoe_shape_weights(
    const double *target,    /* IN: (B,) errors around zero */
    const double *unit,      /* IN: (B,) inverse scale */
    const double *centre,    /* IN: (3,) */
    const double *precision, /* IN: (3,) */
    const double *share,     /* IN: (3, B) times weights */
    double *curvature,       /* OUT: (B,) */
    double *pull,            /* OUT: (B,) */
    ptrdiff_t rows) {
    ptrdiff_t i, k;
    for (i = 0; i < rows; i++) curvature[i] = pull[i] = 0;
    for (k = 0; k < SKMOE_N_SHAPES; k++)
        for (i = 0; i < rows; i++) {
            double own = share[k * SKMOE_BLOCK + i] * precision[k] * unit[i];
            curvature[i] += own * unit[i];
            pull[i] += own * (target[i] - centre[k]);
        }
}

#endif
