/* exp and log of whole arrays, in place. */
#ifndef SKMOE_EXP_ALL_H
#define SKMOE_EXP_ALL_H

#include <stddef.h>

#include "_exp.h"

SKMOE_CLONES
static void skmoe_exp_all_f64(double *x, ptrdiff_t n) {
    ptrdiff_t i;
    for (i = 0; i < n; i++) x[i] = skmoe_exp_f64(x[i]);
}

SKMOE_CLONES
static void skmoe_exp_all_f32(float *x, ptrdiff_t n) {
    ptrdiff_t i;
    for (i = 0; i < n; i++) x[i] = skmoe_exp_f32(x[i]);
}

SKMOE_CLONES
static void skmoe_log_all_f64(double *x, ptrdiff_t n) {
    ptrdiff_t i;
    for (i = 0; i < n; i++) x[i] = skmoe_log_f64(x[i]);
}

#endif
