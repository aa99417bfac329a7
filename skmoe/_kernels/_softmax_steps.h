/* What Newton's method for a softmax asks of a block of rows; see _block.h. */
#ifndef SKMOE_SOFTMAX_STEPS_H
#define SKMOE_SOFTMAX_STEPS_H

#include "_block.h"

/* Probabilities and their logarithms of `logits + size * direction`; their value, the sum of
 * targets times logarithms. */
SKMOE_CLONES
static double skmoe_softmax_value(
    const double *logits,    /* IN: (n, B) */
    const double *direction, /* IN: (n, B) */
    double size,             /* IN */
    const double *targets,   /* IN: (n, B) */
    double *proba,           /* OUT: (n, B) */
    double *log_proba,       /* OUT: (n, B) */
    ptrdiff_t n, ptrdiff_t rows) {
    double largest[SKMOE_BLOCK], total[SKMOE_BLOCK], value = 0;
    ptrdiff_t i, k;
    for (k = 0; k < n * SKMOE_BLOCK; k += SKMOE_BLOCK)
        for (i = k; i < k + rows; i++) proba[i] = log_proba[i] = logits[i] + size * direction[i];
    softmax_f64(proba, NULL, largest, total, n, rows);
    for (i = 0; i < rows; i++) total[i] = largest[i] + skmoe_log_f64(total[i]);
    for (k = 0; k < n * SKMOE_BLOCK; k += SKMOE_BLOCK) {
        for (i = 0; i < rows; i++) log_proba[k + i] -= total[i];
        value += ordered_sum_f64(targets + k, log_proba + k, rows);
    }
    return value;
}

/* What targets exceed probabilities by, times the mass of the rows. */
SKMOE_CLONES
static void skmoe_softmax_lack(
    const double *targets, /* IN: (n, B) */
    const double *proba,   /* IN: (n, B) */
    const double *mass,    /* IN: (B,) */
    double *lack,          /* OUT: (n, B) */
    ptrdiff_t n, ptrdiff_t rows) {
    ptrdiff_t i, k;
    for (k = 0; k < n * SKMOE_BLOCK; k += SKMOE_BLOCK)
        for (i = 0; i < rows; i++) lack[k + i] = targets[k + i] - mass[i] * proba[k + i];
}

/* The largest absolute value. */
SKMOE_CLONES
static double skmoe_largest(const double *direction, ptrdiff_t n, ptrdiff_t rows) {
    double largest = 0;
    ptrdiff_t i, k;
    for (k = 0; k < n * SKMOE_BLOCK; k += SKMOE_BLOCK)
        for (i = k; i < k + rows; i++) {
            double size = direction[i] < 0 ? -direction[i] : direction[i];
            largest = size > largest ? size : largest;
        }
    return largest;
}

#endif
