/* Posterior of a few rows side by side. */
#ifndef SKMOE_POSTERIOR_H
#define SKMOE_POSTERIOR_H

#include <stddef.h>

#include "_exp.h"

#define SKMOE_BLOCK 72     /* from one expert to the next: no power of two, for the cache's sake */
#define SKMOE_FEW_ROWS 64

#define REAL double
#define NAME(name) SKMOE_SUFFIX(name, f64)
#include "_softmax_template.h"
#include "_transpose_template.h"
#undef REAL
#undef NAME

#define REAL float
#define NAME(name) SKMOE_SUFFIX(name, f32)
#include "_transpose_template.h"
#undef REAL
#undef NAME

/* Responsibilities in place of log-gate plus log-density, and the log-sum-exp of these; where that
 * is not finite or not a number, log_norm is NaN. */
SKMOE_CLONES
static void skmoe_posterior(
    double *joint,    /* IN OUT: (n, SKMOE_BLOCK), SKMOE_FEW_ROWS of each row */
    double *log_norm, /* OUT: (SKMOE_FEW_ROWS,) */
    ptrdiff_t n) {
    double total[SKMOE_FEW_ROWS];
    ptrdiff_t i;
    softmax_f64(joint, NULL, log_norm, total, n, SKMOE_FEW_ROWS);
    for (i = 0; i < SKMOE_FEW_ROWS; i++) log_norm[i] += skmoe_log_f64(total[i]);
}

#endif
