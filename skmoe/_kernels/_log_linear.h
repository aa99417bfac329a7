/* What EM of experts with a log link does with a block of rows; see _block.h. */
#ifndef SKMOE_LOG_LINEAR_H
#define SKMOE_LOG_LINEAR_H

#include "_block.h"

#define SKMOE_LARGEST_PREDICTOR 500.0

/* Log-densities of counts, but for a constant of the row, their slopes in place of the linear
 * functions, and means, which are the curvatures. */
SKMOE_INLINE void skmoe_counts_density(
    double *functions,   /* IN OUT: (n, B), slopes on return */
    const double *y,     /* IN: (B,) */
    double *log_density, /* OUT: (n, B) */
    double *means,       /* OUT: (n, B) */
    ptrdiff_t n, ptrdiff_t rows) {
    double log_y[SKMOE_BLOCK];
    ptrdiff_t i, k;
    for (i = 0; i < rows; i++) log_y[i] = skmoe_log_f64(y[i] > 0 ? y[i] : 1);
    for (k = 0; k < n; k++) {
        double *own = functions + k * SKMOE_BLOCK, *value = log_density + k * SKMOE_BLOCK;
        double *mean = means + k * SKMOE_BLOCK;
        SKMOE_NO_ALIASES
        for (i = 0; i < rows; i++) {
            double at = own[i] < SKMOE_LARGEST_PREDICTOR ? own[i] : SKMOE_LARGEST_PREDICTOR;
            at = at > -SKMOE_LARGEST_PREDICTOR ? at : -SKMOE_LARGEST_PREDICTOR;
            mean[i] = skmoe_exp_f64(at);
            own[i] = y[i] - mean[i];
            value[i] = y[i] * (at - log_y[i]) + own[i];
        }
    }
}

/* E-step: log-likelihood of the rows. */
SKMOE_CLONES
static double skmoe_counts_e_step(
    double *gate,         /* IN OUT: (n, B) logits, probabilities on return */
    double *functions,    /* IN OUT: (n, B), slopes on return */
    const double *y,      /* IN: (B,) */
    const double *weight, /* IN: (B,) */
    double *means,        /* OUT: (n, B) */
    double *resp,         /* OUT: (n, B) */
    ptrdiff_t n, ptrdiff_t rows) {
    double largest_gate[SKMOE_BLOCK], total_gate[SKMOE_BLOCK];
    double largest[SKMOE_BLOCK], total[SKMOE_BLOCK];
    ptrdiff_t i, k;
    skmoe_counts_density(functions, y, resp, means, n, rows);
    for (k = 0; k < n; k++)
        for (i = 0; i < rows; i++) resp[k * SKMOE_BLOCK + i] += gate[k * SKMOE_BLOCK + i];
    softmax_f64(gate, NULL, largest_gate, total_gate, n, rows);
    softmax_f64(resp, NULL, largest, total, n, rows);
    return rows_log_likelihood_f64(largest, total, largest_gate, total_gate, weight, rows);
}

/* With responsibilities given: the gate's log-likelihood of them and the experts' under them. */
SKMOE_CLONES
static double skmoe_given_counts(
    double *gate,         /* IN OUT: (n, B) logits, probabilities on return */
    double *functions,    /* IN OUT: (n, B), slopes on return */
    const double *y,      /* IN: (B,) */
    const double *weight, /* IN: (B,) */
    const double *resp,   /* IN: (n, B) */
    double *means,        /* OUT: (n, B) */
    double *memory,       /* OUT: (n, B) */
    ptrdiff_t n, ptrdiff_t rows) {
    double of_row[SKMOE_BLOCK] = {0};
    ptrdiff_t i, k;
    skmoe_counts_density(functions, y, memory, means, n, rows);
    for (k = 0; k < n; k++) {
        ptrdiff_t at = k * SKMOE_BLOCK;
        for (i = 0; i < rows; i++) of_row[i] += resp[at + i] * memory[at + i];
    }
    return sum_of_rows_f64(of_row, weight, rows) +
           gate_log_likelihood_f64(gate, weight, resp, n, rows);
}

/* As logistic_weights, with means in place of the curvature. */
SKMOE_CLONES
static void skmoe_counts_weights(
    const double *proba,  /* IN: (n, B) */
    const double *resp,   /* IN: (n, B) */
    const double *slopes, /* IN: (n, B) */
    const double *weight, /* IN: (B,) */
    double *curvature,    /* IN OUT: (n, B) means, and these weighted on return */
    double *pull,         /* OUT: (n, B) */
    double *lack,         /* OUT: (n, B) */
    double *masses,       /* IN OUT: (n,) */
    ptrdiff_t n, ptrdiff_t rows) {
    ptrdiff_t i, k;
    for (k = 0; k < n; k++) {
        ptrdiff_t at = k * SKMOE_BLOCK;
        SKMOE_NO_ALIASES
        for (i = 0; i < rows; i++) {
            double mass = weight[i] * resp[at + i];
            curvature[at + i] *= mass;
            pull[at + i] = mass * slopes[at + i];
            lack[at + i] = mass - weight[i] * proba[at + i];
        }
        masses[k] += ordered_sum_f64(weight, resp + at, rows);
    }
}

#endif
