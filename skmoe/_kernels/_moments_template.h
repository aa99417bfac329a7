/* Included by _block_template.h for each REAL and each WIDTH of the machine's vectors in bytes: GCC
 * keeps vectors in registers where the machine has so wide ones, and in memory where it has not.
 *
 * Sums run down LANES rows side by side, so many on every machine that their order is the same
 * too; where vectors are narrower, they do so one part of the lanes after the other.
 */
#define LANES ((ptrdiff_t)(SKMOE_LANES_BYTES / sizeof(REAL)))
#if defined(__GNUC__)
#define PART ((ptrdiff_t)(WIDTH / sizeof(REAL)))
typedef REAL WIDE(vector) __attribute__((vector_size(WIDTH)));
#else
#define PART 1
typedef REAL WIDE(vector);
#endif

SKMOE_INLINE WIDE(vector) WIDE(load)(const REAL *from) { return *(const WIDE(vector) *)from; }

/* n_left x n_weights sums over rows of left * right * weight, all of them in registers. */
SKMOE_INLINE void WIDE(tile_moments)(
    const REAL *left,    /* IN: (n_left, B) */
    const REAL *right,   /* IN: (B,) */
    const REAL *weights, /* IN: (n_weights, B) */
    double *sums,        /* IN OUT: (n_left, stride) */
    ptrdiff_t stride, const ptrdiff_t n_left, const ptrdiff_t n_weights, ptrdiff_t rows) {
    REAL lanes[3][4][SKMOE_LANES_BYTES / sizeof(REAL)];
    ptrdiff_t i, j, k, part, width;
    for (part = 0; part < LANES; part += PART) {
        WIDE(vector) sum[3][4];
        for (j = 0; j < n_left; j++)
            for (k = 0; k < n_weights; k++) sum[j][k] = (WIDE(vector)){0};
        for (i = part; i < rows; i += LANES) {
            WIDE(vector) product[3], other = WIDE(load)(right + i);
            for (j = 0; j < n_left; j++)
                product[j] = WIDE(load)(left + j * SKMOE_BLOCK + i) * other;
            for (k = 0; k < n_weights; k++) {
                WIDE(vector) weight = WIDE(load)(weights + k * SKMOE_BLOCK + i);
                for (j = 0; j < n_left; j++) sum[j][k] = sum[j][k] + product[j] * weight;
            }
        }
        for (j = 0; j < n_left; j++)
            for (k = 0; k < n_weights; k++)
                memcpy(&lanes[j][k][part], &sum[j][k], PART * sizeof(REAL));
    }
    for (j = 0; j < n_left; j++)
        for (k = 0; k < n_weights; k++) {
            for (width = LANES / 2; width > 0; width /= 2)
                for (i = 0; i < width; i++) lanes[j][k][i] += lanes[j][k][i + width];
            sums[j * stride + k] += lanes[j][k][0];
        }
}

/* Up to 4 weights, which stay in the L1 cache, and as many columns at a time as 16 registers hold
 * the sums of. */
SKMOE_INLINE void WIDE(column_moments)(
    const REAL *left, const REAL *right, const REAL *weights, double *sums, ptrdiff_t stride,
    ptrdiff_t n_left, const ptrdiff_t n_weights, const ptrdiff_t at_a_time, ptrdiff_t rows) {
    ptrdiff_t j;
    for (j = 0; j + at_a_time <= n_left; j += at_a_time)
        WIDE(tile_moments)(
            left + j * SKMOE_BLOCK, right, weights, sums + j * stride, stride, at_a_time,
            n_weights, rows);
    for (; j < n_left; j++)
        WIDE(tile_moments)(
            left + j * SKMOE_BLOCK, right, weights, sums + j * stride, stride, 1, n_weights,
            rows);
}

/* Add sums over rows of left_j * right * weight_k. */
SKMOE_INLINE void WIDE(moments)(
    const REAL *left,    /* IN: (n_left, B) */
    const REAL *right,   /* IN: (B,) */
    const REAL *weights, /* IN: (n_weights, B) */
    double *sums,        /* IN OUT: (n_left, stride) */
    ptrdiff_t stride, ptrdiff_t n_left, ptrdiff_t n_weights, ptrdiff_t rows) {
    switch (n_weights) {
    case 1: WIDE(column_moments)(left, right, weights, sums, stride, n_left, 1, 2, rows); break;
    case 2: WIDE(column_moments)(left, right, weights, sums, stride, n_left, 2, 2, rows); break;
    case 3: WIDE(column_moments)(left, right, weights, sums, stride, n_left, 3, 2, rows); break;
    default: WIDE(column_moments)(left, right, weights, sums, stride, n_left, 4, 3, rows);
    }
}

TARGET
static void WIDE(add_grams)(
    const REAL *design, const REAL *weights, double *grams, ptrdiff_t p, ptrdiff_t n,
    ptrdiff_t rows) {
    ptrdiff_t b, k, now;
    for (k = 0; k < n; k += now) {
        double *to = grams + k;
        now = n - k < 4 ? n - k : 4;
        for (b = 0; b < p; to += (b + 1) * n, b++)
            WIDE(moments)(
                design, design + b * SKMOE_BLOCK, weights + k * SKMOE_BLOCK, to, n, b + 1, now,
                rows);
    }
}

TARGET
static void WIDE(add_sums)(
    const REAL *design, const REAL *weights, double *sums, ptrdiff_t p, ptrdiff_t n,
    ptrdiff_t rows) {
    const REAL *ones = design + (p - 1) * SKMOE_BLOCK;
    ptrdiff_t k, now;
    for (k = 0; k < n; k += now) {
        now = n - k < 4 ? n - k : 4;
        WIDE(moments)(design, ones, weights + k * SKMOE_BLOCK, sums + k, n, p, now, rows);
    }
}

TARGET
static void WIDE(predict)(
    const REAL *design, const REAL *coef, REAL *out, ptrdiff_t p, ptrdiff_t n, ptrdiff_t rows) {
    ptrdiff_t i, j, k, m;
    for (k = 0; k < n; k += 2) {
        const REAL *first = coef + k * p, *second = first + p;
        REAL *to = out + k * SKMOE_BLOCK;
        for (i = 0; i < rows; i += 4 * PART) {
            WIDE(vector) sum[2][4];
            for (m = 0; m < 4; m++) sum[0][m] = sum[1][m] = (WIDE(vector)){0};
            for (j = 0; j < p; j++)
                for (m = 0; m < 4; m++) {
                    WIDE(vector) x = WIDE(load)(design + j * SKMOE_BLOCK + i + m * PART);
                    sum[0][m] = sum[0][m] + x * first[j];
                    sum[1][m] = sum[1][m] + x * second[j];
                }
            for (m = 0; m < 4; m++) {
                memcpy(to + i + m * PART, &sum[0][m], PART * sizeof(REAL));
                memcpy(to + SKMOE_BLOCK + i + m * PART, &sum[1][m], PART * sizeof(REAL));
            }
        }
    }
}
#undef LANES
#undef PART
