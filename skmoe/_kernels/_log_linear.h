/* What EM of experts with a log link does with a block of rows; see _block.h. */
#ifndef SKMOE_LOG_LINEAR_H
#define SKMOE_LOG_LINEAR_H

#include "_block.h"

#define SKMOE_LARGEST_PREDICTOR 500.0

/* Minus half unit deviances, up to a function of the target, their slopes in place of the linear
 * predictors, and their curvatures, of counts or Gamma targets. */
SKMOE_INLINE void skmoe_log_linear_units(
    double *predictors, /* IN OUT: (n, B), slopes on return */
    const double *y,    /* IN: (B,) */
    int is_gamma,       /* IN */
    double *curvature,  /* OUT: (n, B) */
    double *units,      /* OUT: (n, B) */
    ptrdiff_t n, ptrdiff_t rows) {
    const double most = SKMOE_LARGEST_PREDICTOR;
    double near[SKMOE_BLOCK], log_y[SKMOE_BLOCK];
    ptrdiff_t i, k;
    for (i = 0; i < rows; i++) {
        near[i] = y[i] > 0 ? y[i] : 1; /* rows beyond the last have zeros */
        log_y[i] = skmoe_log_f64(near[i]);
    }
    for (k = 0; k < n; k++) {
        double *own = predictors + k * SKMOE_BLOCK, *unit = units + k * SKMOE_BLOCK;
        double *bend = curvature + k * SKMOE_BLOCK;
        SKMOE_NO_ALIASES
        for (i = 0; i < rows; i++) {
            double at = own[i] > most ? most : own[i], ratio, excess; /* a NaN stays */
            at = at < -most ? -most : at;
            ratio = is_gamma ? log_y[i] - at : at - log_y[i];
            ratio = ratio > most ? most : ratio;
            excess = skmoe_expm1_f64(ratio);
            if (!is_gamma) excess = near[i] * excess + (near[i] - y[i]); /* of the mean over y */
            unit[i] = (is_gamma ? ratio : y[i] * ratio) - excess;
            own[i] = is_gamma ? excess : -excess;
            bend[i] = (is_gamma ? 1 : y[i]) + excess;
        }
    }
}

/* E-step: log-likelihood of the rows, but for a constant of each. */
SKMOE_CLONES
static double skmoe_log_linear_e_step(
    double *gate,           /* IN OUT: (n, B) logits, probabilities on return */
    double *predictors,     /* IN OUT: (n, B), slopes on return */
    const double *y,        /* IN: (B,) */
    const double *weight,   /* IN: (B,) */
    const double *shape,    /* IN: (n,) factors of the units */
    const double *constant, /* IN: (n,) of log-densities */
    int is_gamma,           /* IN */
    double *curvature,      /* OUT: (n, B) */
    double *units,          /* OUT: (n, B) */
    double *resp,           /* OUT: (n, B) */
    ptrdiff_t n, ptrdiff_t rows) {
    double largest_gate[SKMOE_BLOCK], total_gate[SKMOE_BLOCK];
    double largest[SKMOE_BLOCK], total[SKMOE_BLOCK];
    ptrdiff_t i, k;
    skmoe_log_linear_units(predictors, y, is_gamma, curvature, units, n, rows);
    for (k = 0; k < n; k++) {
        ptrdiff_t at = k * SKMOE_BLOCK;
        SKMOE_NO_ALIASES
        for (i = 0; i < rows; i++)
            resp[at + i] = gate[at + i] + shape[k] * units[at + i] + constant[k];
    }
    softmax_f64(gate, NULL, largest_gate, total_gate, n, rows);
    softmax_f64(resp, NULL, largest, total, n, rows);
    return rows_log_likelihood_f64(largest, total, largest_gate, total_gate, weight, rows);
}

/* With responsibilities given: the gate's log-likelihood of them and the experts' under them. */
SKMOE_CLONES
static double skmoe_given_log_linear(
    double *gate,           /* IN OUT: (n, B) logits, probabilities on return */
    double *predictors,     /* IN OUT: (n, B), slopes on return */
    const double *y,        /* IN: (B,) */
    const double *weight,   /* IN: (B,) */
    const double *shape,    /* IN: (n,) factors of the units */
    const double *constant, /* IN: (n,) of log-densities */
    int is_gamma,           /* IN */
    const double *resp,     /* IN: (n, B) */
    double *curvature,      /* OUT: (n, B) */
    double *units,          /* OUT: (n, B) */
    ptrdiff_t n, ptrdiff_t rows) {
    double of_row[SKMOE_BLOCK] = {0};
    ptrdiff_t i, k;
    skmoe_log_linear_units(predictors, y, is_gamma, curvature, units, n, rows);
    for (k = 0; k < n; k++) {
        ptrdiff_t at = k * SKMOE_BLOCK;
        for (i = 0; i < rows; i++)
            of_row[i] += resp[at + i] * (shape[k] * units[at + i] + constant[k]);
    }
    return sum_of_rows_f64(of_row, weight, rows) +
           gate_log_likelihood_f64(gate, weight, resp, n, rows);
}

/* As logistic_weights, with a curvature of any size; adds to weighted sums of the units, too. */
SKMOE_CLONES
static void skmoe_log_linear_weights(
    const double *proba,  /* IN: (n, B) */
    const double *resp,   /* IN: (n, B) */
    const double *slopes, /* IN: (n, B) */
    const double *weight, /* IN: (B,) */
    double *curvature,    /* IN OUT: (n, B), weighted on return */
    double *pull,         /* IN OUT: (n, B) units, weighted slopes on return */
    double *lack,         /* OUT: (n, B) */
    double *masses,       /* IN OUT: (n,) */
    double *values,       /* IN OUT: (n,) sums of the units, or NULL */
    ptrdiff_t n, ptrdiff_t rows) {
    double mass[SKMOE_BLOCK];
    ptrdiff_t i, k;
    for (k = 0; k < n; k++) {
        ptrdiff_t at = k * SKMOE_BLOCK;
        for (i = 0; i < rows; i++) mass[i] = weight[i] * resp[at + i];
        if (values) values[k] += ordered_sum_f64(mass, pull + at, rows);
        SKMOE_NO_ALIASES
        for (i = 0; i < rows; i++) {
            curvature[at + i] *= mass[i];
            pull[at + i] = mass[i] * slopes[at + i];
            lack[at + i] = mass[i] - weight[i] * proba[at + i];
        }
        masses[k] += ordered_sum_f64(weight, resp + at, rows);
    }
}

#endif
