/* Expectations of the logistic function of normal numbers.
 *
 * The logistic function is, but for 2e-9, a mixture of normal distribution functions:
 * J. F. Monahan and L. A. Stefanski, "Normal scale mixture approximations to F*(z) and computation
 * of the logistic-normal integral", Handbook of the Logistic Distribution (1992) 529-540. These in
 * turn are a rational function times the density: J. F. Hart et al., Computer Approximations
 * (1968), number 5666, as in G. West, "Better approximations to cumulative normal functions",
 * Wilmott Magazine (2005) 70-76.
 */
#ifndef SKMOE_LOGISTIC_NORMAL_H
#define SKMOE_LOGISTIC_NORMAL_H

#include <stddef.h>

#include "_exp.h"

#define SKMOE_N_NORMAL 8
#define SKMOE_ONE_OVER_ROOT_2_PI 0.39894228040143267794

static const double skmoe_shares[SKMOE_N_NORMAL] = {
    0.003246343272134, 0.051517477033972, 0.195077912673858, 0.315569823632818,
    0.274149576158423, 0.131076880695470, 0.027912418727972, 0.001449567805354};
static const double skmoe_slopes[SKMOE_N_NORMAL] = {
    1.365340806296348, 1.059523971016916, 0.830791313765644, 0.650732166639391,
    0.508135425366489, 0.396313345166341, 0.308904252267995, 0.238212616409306};

/* Normal distribution function at -x, for x >= 0, over exp(-x^2 / 2). */
static inline double skmoe_upper_tail(double x) {
    double p = 3.52624965998911e-2, q = 8.83883476483184e-2;
    p = p * x + 0.700383064443688;
    p = p * x + 6.37396220353165;
    p = p * x + 33.912866078383;
    p = p * x + 112.079291497871;
    p = p * x + 221.213596169931;
    p = p * x + 220.206867912376;
    q = q * x + 1.75566716318264;
    q = q * x + 16.064177579207;
    q = q * x + 86.7807322029461;
    q = q * x + 296.564248779674;
    q = q * x + 637.333633378831;
    q = q * x + 793.826512519948;
    q = q * x + 440.413735824752;
    return p / q;
}

/* Expected log-probability of a class, curvature and working response. */
SKMOE_CLONES
static void skmoe_logistic_normal(
    const double *mean,     /* IN: (n,) */
    const double *variance, /* IN: (n,) */
    const double *labels,   /* IN: (n,) 0 or 1 */
    double *value,          /* OUT: (n,) */
    double *curvature,      /* OUT: (n,) */
    double *working,        /* OUT: (n,) */
    ptrdiff_t n) {
    ptrdiff_t i, j;
    SKMOE_NO_ALIASES
    for (i = 0; i < n; i++) {
        double at = mean[i], proba = 0, bend = 0, rest = 0;
        for (j = 0; j < SKMOE_N_NORMAL; j++) {
            double width = sqrt(1 / (skmoe_slopes[j] * skmoe_slopes[j]) + variance[i]);
            double a = at / width, x = a < 0 ? -a : a;
            double bell = skmoe_share_f64(-0.5 * a * a), tail;
            x = x < 40 ? x : 40; /* beyond, the bell is nothing */
            tail = bell * skmoe_upper_tail(x);
            bell *= SKMOE_ONE_OVER_ROOT_2_PI * skmoe_shares[j];
            proba += skmoe_shares[j] * (a < 0 ? tail : 1 - tail);
            bend += bell / width;
            rest += bell * width;
        }
        value[i] = (labels[i] - proba) * at - rest;
        curvature[i] = bend;
        working[i] = labels[i] - proba + bend * at;
    }
}

#endif
