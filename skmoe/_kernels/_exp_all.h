/* exp, log and interpolated distribution functions of whole arrays, in place. */
#ifndef SKMOE_EXP_ALL_H
#define SKMOE_EXP_ALL_H

#include <stddef.h>

#include "_exp.h"

#define SKMOE_SOME 256 /* numbers of a distribution function at once */

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

/* z becomes the probability below it, of a symmetric distribution. The logarithm of that below -|z|
 * is a cubic polynomial in each of n_steps equal steps of arcsinh(|z|): four coefficients each, of
 * rising powers. Those of z[i] begin at step first[i]. */
SKMOE_CLONES
static void skmoe_symmetric_cdf_f64(
    double *z, const int64_t *first, ptrdiff_t n, const double *cubics, double step,
    double n_steps
) {
    double share[SKMOE_SOME], tail[SKMOE_SOME];
    ptrdiff_t begin, i, some;
    for (begin = 0; begin < n; begin += SKMOE_SOME, z += SKMOE_SOME, first += SKMOE_SOME) {
        some = n - begin < SKMOE_SOME ? n - begin : SKMOE_SOME;
        for (i = 0; i < some; i++) {
            double size = fabs(z[i]);
            double steps = skmoe_log_f64(size + sqrt(size * size + 1.0)) / step;
            share[i] = steps < n_steps ? steps : n_steps; /* NaN, too */
        }
        for (i = 0; i < some; i++) { /* no vectors: each looks up numbers of its own */
            int64_t whole = (int64_t)share[i] - (share[i] == n_steps);
            const double *cubic = cubics + 4 * (whole + first[i]);
            double t = share[i] - (double)whole;
            tail[i] = ((cubic[3] * t + cubic[2]) * t + cubic[1]) * t + cubic[0];
        }
        for (i = 0; i < some; i++) {
            double below = skmoe_exp_f64(tail[i]);
            below = z[i] < 0.0 ? below : 1.0 - below;
            z[i] = z[i] == z[i] ? below : z[i];
        }
    }
}

/* Sums (n_places, n) of weights (n, n_components) times the distribution functions of components at
 * places (n_places, n). */
static void skmoe_mixed_cdf_f64(
    const double *places, ptrdiff_t n_places, ptrdiff_t n, ptrdiff_t n_components,
    const double *weight, const double *centre, const double *scale, const int64_t *first,
    const double *cubics, double step, double n_steps, double *sums
) {
    double z[SKMOE_SOME], share[SKMOE_SOME];
    int64_t from[SKMOE_SOME];
    ptrdiff_t of[SKMOE_SOME], i, p, k, j, some = 0;
    for (p = 0; p < n_places * n; p++) sums[p] = 0.0;
    for (i = 0; i < n; i++)
        for (p = i; p < n_places * n; p += n)
            for (k = i * n_components; k < (i + 1) * n_components; k++) {
                if (weight[k] == 0.0) continue;
                z[some] = (places[p] - centre[k]) / scale[k];
                share[some] = weight[k];
                from[some] = first[k];
                of[some] = p;
                if (++some == SKMOE_SOME) {
                    skmoe_symmetric_cdf_f64(z, from, some, cubics, step, n_steps);
                    for (j = 0; j < some; j++) sums[of[j]] += share[j] * z[j];
                    some = 0;
                }
            }
    skmoe_symmetric_cdf_f64(z, from, some, cubics, step, n_steps);
    for (j = 0; j < some; j++) sums[of[j]] += share[j] * z[j];
}

#endif
