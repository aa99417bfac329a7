/* What a round of pooled lines asks of a block of rows; see _block.h. */
#ifndef SKMOE_POOLED_RUN_H
#define SKMOE_POOLED_RUN_H

#include "_block.h"

/* Weights of the rows of each expert, these times targets, and sums of these times targets. */
SKMOE_CLONES
static void skmoe_pooled_weights(
    const double *resp,   /* IN: (n, B) */
    const double *weight, /* IN: (B,) */
    const double *y,      /* IN: (B,) */
    double *mass,         /* OUT: (n, B) */
    double *pull,         /* OUT: (n, B) */
    double *squares,      /* IN OUT: (n,) */
    ptrdiff_t n, ptrdiff_t rows) {
    ptrdiff_t i, k;
    for (k = 0; k < n; k++) {
        ptrdiff_t at = k * SKMOE_BLOCK;
        SKMOE_NO_ALIASES
        for (i = 0; i < rows; i++) {
            mass[at + i] = weight[i] * resp[at + i];
            pull[at + i] = mass[at + i] * y[i];
        }
        squares[k] += ordered_sum_f64(pull + at, y, rows);
    }
}

/* Expected log-densities in place of means, responsibilities and log-density of each row; the
 * log-likelihood of the rows. */
SKMOE_CLONES
static double skmoe_pooled_e_step(
    const double *design,    /* IN: (q, B) */
    const double *y,         /* IN: (B,) */
    const double *weight,    /* IN: (B,) */
    const double *cov,       /* IN: (n, q, q) */
    const double *precision, /* IN: (n,) */
    const double *constant,  /* IN: (n,) */
    double floor,            /* IN */
    const double *log_gate,  /* IN: (n, B) or NULL */
    double *means,           /* IN OUT: (n, B), expected log-densities on return */
    double *resp,            /* OUT: (n, B) */
    double *log_norm,        /* OUT: (B,) */
    ptrdiff_t q, ptrdiff_t n, ptrdiff_t rows) {
    double form[SKMOE_BLOCK], product[SKMOE_BLOCK], total[SKMOE_BLOCK];
    ptrdiff_t i, j, k, l;
    for (k = 0; k < n; k++) {
        double *mean = means + k * SKMOE_BLOCK, *share = resp + k * SKMOE_BLOCK;
        for (i = 0; i < rows; i++) form[i] = floor;
        for (j = 0; j < q; j++) {
            const double *row = cov + (k * q + j) * q, *column = design + j * SKMOE_BLOCK;
            double own = row[j];
            for (i = 0; i < rows; i++) product[i] = own * column[i];
            for (l = 0; l < j; l++) {
                const double *other = design + l * SKMOE_BLOCK;
                double twice = 2 * row[l];
                for (i = 0; i < rows; i++) product[i] += twice * other[i];
            }
            for (i = 0; i < rows; i++) form[i] += product[i] * column[i];
        }
        for (i = 0; i < rows; i++) {
            double error = y[i] - mean[i];
            mean[i] = 0.5 * (constant[k] - precision[k] * (error * error + form[i]));
            share[i] = mean[i] + (log_gate ? log_gate[k * SKMOE_BLOCK + i] : 0);
        }
    }
    softmax_f64(resp, NULL, log_norm, total, n, rows);
    for (i = 0; i < rows; i++) log_norm[i] += skmoe_log_f64(total[i]);
    return sum_of_rows_f64(log_norm, weight, rows);
}

#endif
