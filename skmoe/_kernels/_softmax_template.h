/* Included once for each REAL; the rows of an array are SKMOE_BLOCK numbers long. */

/* Softmax over n logits of each row, in place, where exp(logit) counts `factors` times; the largest
 * logit and the sum of exp(logit - largest) times its factor, whose product with exp(largest) is
 * the normaliser. */
SKMOE_INLINE void NAME(softmax)(
    REAL *logits,        /* IN OUT: (n, B) */
    const REAL *factors, /* IN: (n, B), or NULL for ones */
    REAL *largest,       /* OUT: (rows,) */
    REAL *total,         /* OUT: (rows,) */
    ptrdiff_t n, ptrdiff_t rows) {
    REAL inverse[SKMOE_BLOCK];
    ptrdiff_t i, k;
    for (i = 0; i < rows; i++) largest[i] = logits[i];
    for (k = 1; k < n; k++) {
        const REAL *logit = logits + k * SKMOE_BLOCK;
        for (i = 0; i < rows; i++) largest[i] = logit[i] > largest[i] ? logit[i] : largest[i];
    }
    for (i = 0; i < rows; i++) total[i] = 0;
    for (k = 0; k < n; k++) {
        REAL *logit = logits + k * SKMOE_BLOCK;
        for (i = 0; i < rows; i++) {
            logit[i] = NAME(skmoe_share)(logit[i] - largest[i]);
            if (factors) logit[i] *= factors[k * SKMOE_BLOCK + i];
            total[i] += logit[i];
        }
    }
    for (i = 0; i < rows; i++) inverse[i] = 1 / total[i];
    for (k = 0; k < n; k++) {
        REAL *logit = logits + k * SKMOE_BLOCK;
        for (i = 0; i < rows; i++) logit[i] *= inverse[i];
    }
}
