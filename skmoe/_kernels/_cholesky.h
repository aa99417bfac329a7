/* Cholesky factorisation of one small symmetric matrix, rows one after the other. */
#ifndef SKMOE_CHOLESKY_H
#define SKMOE_CHOLESKY_H

#include <math.h>
#include <stddef.h>

#include "_exp.h"

#define SKMOE_PANEL 16 /* pivots taken together: the rows below are fetched once for all of them */

/* Factor U with matrix = U' U in place of the upper triangle; what is below is not looked at.
 * Returns the smallest pivot over the largest: 0 where the matrix is not positive definite. */
SKMOE_CLONES
static double skmoe_cholesky(
    double *matrix, /* IN OUT: (n, n) */
    ptrdiff_t n) {
    double smallest = INFINITY, largest = 0;
    ptrdiff_t start, i, j, k;
    for (start = 0; start < n; start += SKMOE_PANEL) {
        ptrdiff_t stop = start + SKMOE_PANEL < n ? start + SKMOE_PANEL : n;
        for (i = start; i < n; i++) {
            double *row = matrix + i * n;
            for (k = start; k < (i < stop ? i : stop); k++) {
                const double *above = matrix + k * n;
                double factor = above[i];
                for (j = i; j < n; j++) row[j] -= factor * above[j];
            }
            if (i < stop) {
                double pivot = sqrt(row[i]);
                if (!(pivot > 0 && pivot < INFINITY)) return 0;
                smallest = pivot < smallest ? pivot : smallest;
                largest = pivot > largest ? pivot : largest;
                for (j = i; j < n; j++) row[j] /= pivot;
            }
        }
    }
    return n ? smallest / largest : 1;
}

/* Solution of U' U x = right, in place of right. */
SKMOE_CLONES
static void skmoe_solve_factored(
    const double *factor, /* IN: (n, n) */
    double *right,        /* IN OUT: (n,) */
    ptrdiff_t n) {
    ptrdiff_t j, k;
    for (k = 0; k < n; k++) {
        const double *row = factor + k * n;
        right[k] /= row[k];
        for (j = k + 1; j < n; j++) right[j] -= right[k] * row[j];
    }
    for (k = n - 1; k >= 0; k--) {
        const double *row = factor + k * n;
        for (j = k + 1; j < n; j++) right[k] -= row[j] * right[j];
        right[k] /= row[k];
    }
}

#endif
