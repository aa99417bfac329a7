/* Included once for each REAL: between rows of n experts, as arrays have them, and the rows of a
 * block side by side. Of few experts, their number is known when this is compiled, so that the
 * loops over rows become vector instructions. */

#define SKMOE_FOR_FEW(call)                                                   \
    switch (n) {                                                              \
    case 2: call(2); break;                                                   \
    case 3: call(3); break;                                                   \
    case 4: call(4); break;                                                   \
    case 8: call(8); break;                                                   \
    default: call(n);                                                         \
    }

SKMOE_INLINE void NAME(add_columns)(
    const REAL *a, const REAL *b, double *out, ptrdiff_t n, ptrdiff_t rows) {
    ptrdiff_t i, k;
    for (i = 0; i < rows; i++)
        for (k = 0; k < n; k++)
            out[k * SKMOE_BLOCK + i] = (double)a[i * n + k] + (double)b[i * n + k];
}

/* Sum of two arrays, transposed. */
SKMOE_CLONES
static void NAME(add_transposed)(
    const REAL *a, /* IN: (rows, n) */
    const REAL *b, /* IN: (rows, n) */
    double *out,   /* OUT: (n, SKMOE_BLOCK) */
    ptrdiff_t n, ptrdiff_t rows) {
#define SKMOE_CALL(n) NAME(add_columns)(a, b, out, n, rows)
    SKMOE_FOR_FEW(SKMOE_CALL)
#undef SKMOE_CALL
}

SKMOE_INLINE void NAME(copy_columns)(
    const double *block, REAL *out, ptrdiff_t n, ptrdiff_t rows) {
    ptrdiff_t i, k;
    for (i = 0; i < rows; i++)
        for (k = 0; k < n; k++) out[i * n + k] = (REAL)block[k * SKMOE_BLOCK + i];
}

/* Back again. */
SKMOE_CLONES
static void NAME(transpose_back)(
    const double *block, /* IN: (n, SKMOE_BLOCK) */
    REAL *out,           /* OUT: (rows, n) */
    ptrdiff_t n, ptrdiff_t rows) {
#define SKMOE_CALL(n) NAME(copy_columns)(block, out, n, rows)
    SKMOE_FOR_FEW(SKMOE_CALL)
#undef SKMOE_CALL
}

#undef SKMOE_FOR_FEW

/* Weighted sum of log-sum-exps in a fixed order, whatever the vector length; they are copied. NaN
 * where one of them is no number, whatever its weight. */
SKMOE_CLONES
static double NAME(take_log_norms)(
    const double *log_norm, /* IN: (rows,) */
    const double *weight,   /* IN: (rows,) */
    REAL *out,              /* OUT: (rows,) */
    ptrdiff_t rows) {
    double lanes[8] = {0}, total = 0;
    ptrdiff_t i, j, whole = rows / 8 * 8;
    for (i = 0; i < rows; i++) out[i] = (REAL)log_norm[i];
    for (i = 0; i < whole; i += 8)
        for (j = 0; j < 8; j++) lanes[j] += weight[i + j] * log_norm[i + j];
    for (; i < rows; i++) lanes[i - whole] += weight[i] * log_norm[i];
    for (j = 0; j < 8; j++) total += lanes[j];
    return total;
}
