/* Included by _block.h once for each REAL. B stands for SKMOE_BLOCK, the length of every row of
 * an array; only the first `rows` entries of it are looked at. */

/* Softmax over n logits of each row, in place; the largest logit and the sum of exp(logit -
 * largest), whose product with exp(largest) is the normaliser. */
static inline void NAME(softmax)(
    REAL *logits,  /* IN OUT: (n, B) */
    REAL *largest, /* OUT: (B,) */
    REAL *total,   /* OUT: (B,) */
    int n, int rows) {
    REAL inverse[SKMOE_BLOCK];
    int i, k;
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
            total[i] += logit[i];
        }
    }
    for (i = 0; i < rows; i++) inverse[i] = 1 / total[i];
    for (k = 0; k < n; k++) {
        REAL *logit = logits + k * SKMOE_BLOCK;
        for (i = 0; i < rows; i++) logit[i] *= inverse[i];
    }
}

/* Residuals in place of means, and logit plus Gaussian log-density of each. */
static inline void NAME(gaussian_joint)(
    const REAL *logits,    /* IN: (n, B) */
    REAL *means,           /* IN OUT: (n, B), residuals on return */
    const REAL *y,         /* IN: (B,) */
    const REAL *precision, /* IN: (n,) 1 / scale */
    const REAL *log_scale, /* IN: (n,) with log(2 pi) / 2 */
    REAL *joint,           /* OUT: (n, B) */
    int n, int rows) {
    int i, k;
    for (k = 0; k < n; k++) {
        const REAL *logit = logits + k * SKMOE_BLOCK;
        REAL *mean = means + k * SKMOE_BLOCK, *out = joint + k * SKMOE_BLOCK;
        REAL scaled = precision[k], constant = log_scale[k];
        for (i = 0; i < rows; i++) {
            REAL z;
            mean[i] = y[i] - mean[i];
            z = mean[i] * scaled;
            out[i] = logit[i] - (REAL)0.5 * z * z - constant;
        }
    }
}

/* E-step of Gaussian experts: log-likelihood of the rows. */
SKMOE_CLONES
static double NAME(gaussian_e_step)(
    REAL *gate,            /* IN OUT: (n, B) logits, probabilities on return */
    REAL *means,           /* IN OUT: (n, B), residuals on return */
    const REAL *y,         /* IN: (B,) */
    const REAL *weight,    /* IN: (B,) */
    const REAL *precision, /* IN: (n,) */
    const REAL *log_scale, /* IN: (n,) */
    REAL *resp,            /* OUT: (n, B) */
    int n, int rows) {
    REAL largest_gate[SKMOE_BLOCK], total_gate[SKMOE_BLOCK];
    REAL largest[SKMOE_BLOCK], total[SKMOE_BLOCK];
    double log_likelihood = 0;
    int i;
    NAME(gaussian_joint)(gate, means, y, precision, log_scale, resp, n, rows);
    NAME(softmax)(gate, largest_gate, total_gate, n, rows);
    NAME(softmax)(resp, largest, total, n, rows);
    for (i = 0; i < rows; i++) {
        double of_row = (double)(largest[i] - largest_gate[i]) + log(total[i] / total_gate[i]);
        if (weight[i] != 0) log_likelihood += weight[i] * of_row; /* 0 * -inf would be NaN */
    }
    return log_likelihood;
}

/* With responsibilities given: the gate's log-likelihood of them as soft labels. */
SKMOE_CLONES
static double NAME(given_e_step)(
    REAL *gate,         /* IN OUT: (n, B) logits, probabilities on return */
    REAL *means,        /* IN OUT: (n, B), residuals on return */
    const REAL *y,      /* IN: (B,) */
    const REAL *weight, /* IN: (B,) */
    const REAL *resp,   /* IN: (n, B) */
    int n, int rows) {
    REAL largest[SKMOE_BLOCK], total[SKMOE_BLOCK], mean_logit[SKMOE_BLOCK];
    double log_likelihood = 0;
    int i, k;
    for (i = 0; i < rows; i++) mean_logit[i] = 0;
    for (k = 0; k < n; k++) {
        const REAL *logit = gate + k * SKMOE_BLOCK, *share = resp + k * SKMOE_BLOCK;
        REAL *mean = means + k * SKMOE_BLOCK;
        for (i = 0; i < rows; i++) {
            mean_logit[i] += share[i] * logit[i];
            mean[i] = y[i] - mean[i];
        }
    }
    NAME(softmax)(gate, largest, total, n, rows);
    for (i = 0; i < rows; i++)
        log_likelihood += weight[i] * ((double)(mean_logit[i] - largest[i]) - log(total[i]));
    return log_likelihood;
}

/* What the sums over rows are weighted with: for each expert the mass of its rows, the mass times
 * the residual, and what the gate's probability lacks of the responsibility. Returns nothing but
 * adds the experts' weighted squares of residuals to `squares`. */
SKMOE_CLONES
static void NAME(expert_weights)(
    const REAL *proba,  /* IN: (n, B) */
    const REAL *resp,   /* IN: (n, B) */
    const REAL *errors, /* IN: (n, B) residuals */
    const REAL *weight, /* IN: (B,) */
    REAL *mass,         /* OUT: (n, B) */
    REAL *pull,         /* OUT: (n, B) */
    REAL *lack,         /* OUT: (n, B) */
    double *squares,    /* IN OUT: (n,) */
    int n, int rows) {
    int i, j, k;
    for (k = 0; k < n; k++) {
        ptrdiff_t at = k * SKMOE_BLOCK;
        REAL lanes[16] = {0}; /* a fixed order of the sum, whatever the vector length */
        double sum = 0;
        for (i = 0; i < rows; i++) {
            mass[at + i] = weight[i] * resp[at + i];
            pull[at + i] = mass[at + i] * errors[at + i];
            lack[at + i] = mass[at + i] - weight[i] * proba[at + i];
        }
        for (i = 0; i + 16 <= rows; i += 16)
            for (j = 0; j < 16; j++) lanes[j] += pull[at + i + j] * errors[at + i + j];
        for (; i < rows; i++) lanes[0] += pull[at + i] * errors[at + i];
        for (j = 0; j < 16; j++) sum += lanes[j];
        squares[k] += sum;
    }
}

/* weight * proba_k * proba_l for k < l: the gate's curvature between two experts. */
SKMOE_CLONES
static void NAME(curvature_weights)(
    const REAL *proba,  /* IN: (n, B) */
    const REAL *weight, /* IN: (B,) */
    REAL *products,     /* OUT: (n * (n - 1) / 2, B) */
    int n, int rows) {
    int i, k, l;
    for (l = 1; l < n; l++)
        for (k = 0; k < l; k++, products += SKMOE_BLOCK)
            for (i = 0; i < rows; i++) {
                REAL product = proba[k * SKMOE_BLOCK + i] * proba[l * SKMOE_BLOCK + i];
                products[i] = product > (REAL)1e-26 ? weight[i] * product : 0; /* see _exp.h */
            }
}

/* A vector of so many rows: on every machine the same number, so that the order of a sum is too. */
#define LANES ((int)(SKMOE_LANES_BYTES / sizeof(REAL)))
#if defined(__GNUC__)
typedef REAL NAME(lanes) __attribute__((vector_size(SKMOE_LANES_BYTES)));

SKMOE_INLINE NAME(lanes) NAME(times)(NAME(lanes) a, NAME(lanes) b) { return a * b; }

SKMOE_INLINE NAME(lanes) NAME(add_product)(NAME(lanes) sum, NAME(lanes) a, NAME(lanes) b) {
    return sum + a * b;
}

SKMOE_INLINE NAME(lanes) NAME(add_multiple)(NAME(lanes) sum, NAME(lanes) a, REAL factor) {
    return sum + a * factor;
}

SKMOE_INLINE REAL NAME(lane)(NAME(lanes) a, int i) { return a[i]; }
#else
typedef struct {
    REAL at[SKMOE_LANES_BYTES / sizeof(REAL)];
} NAME(lanes);

SKMOE_INLINE NAME(lanes) NAME(times)(NAME(lanes) a, NAME(lanes) b) {
    int i;
    for (i = 0; i < LANES; i++) a.at[i] *= b.at[i];
    return a;
}

SKMOE_INLINE NAME(lanes) NAME(add_product)(NAME(lanes) sum, NAME(lanes) a, NAME(lanes) b) {
    int i;
    for (i = 0; i < LANES; i++) sum.at[i] += a.at[i] * b.at[i];
    return sum;
}

SKMOE_INLINE NAME(lanes) NAME(add_multiple)(NAME(lanes) sum, NAME(lanes) a, REAL factor) {
    int i;
    for (i = 0; i < LANES; i++) sum.at[i] += a.at[i] * factor;
    return sum;
}

SKMOE_INLINE REAL NAME(lane)(NAME(lanes) a, int i) { return a.at[i]; }
#endif

SKMOE_INLINE NAME(lanes) NAME(load)(const REAL *from) { return *(const NAME(lanes) *)from; }

SKMOE_INLINE REAL NAME(sum_lanes)(NAME(lanes) a) {
    REAL sums[SKMOE_LANES_BYTES / sizeof(REAL)];
    int i, width;
    for (i = 0; i < LANES; i++) sums[i] = NAME(lane)(a, i);
    for (width = LANES / 2; width > 0; width /= 2)
        for (i = 0; i < width; i++) sums[i] += sums[i + width];
    return sums[0];
}

/* n_left x n_weights sums over rows of left * right * weight, all of them in registers. */
SKMOE_INLINE void NAME(tile_moments)(
    const REAL *left,    /* IN: (n_left, B) */
    const REAL *right,   /* IN: (B,) */
    const REAL *weights, /* IN: (n_weights, B) */
    double *sums,        /* IN OUT: (n_left, stride) */
    int stride, const int n_left, const int n_weights, int rows) {
    NAME(lanes) sum[2][8];
    int i, j, k;
    for (j = 0; j < n_left; j++)
        for (k = 0; k < n_weights; k++) sum[j][k] = (NAME(lanes)){0};
    for (i = 0; i < rows; i += LANES) {
        NAME(lanes) product[2], other = NAME(load)(right + i);
        for (j = 0; j < n_left; j++)
            product[j] = NAME(times)(NAME(load)(left + j * SKMOE_BLOCK + i), other);
        for (k = 0; k < n_weights; k++) {
            NAME(lanes) weight = NAME(load)(weights + k * SKMOE_BLOCK + i);
            for (j = 0; j < n_left; j++)
                sum[j][k] = NAME(add_product)(sum[j][k], product[j], weight);
        }
    }
    for (j = 0; j < n_left; j++)
        for (k = 0; k < n_weights; k++) sums[j * stride + k] += NAME(sum_lanes)(sum[j][k]);
}

/* Up to 8 weights: two columns at a time where there are few, to keep the multipliers busy. */
SKMOE_INLINE void NAME(column_moments)(
    const REAL *left, const REAL *right, const REAL *weights, double *sums, int stride, int n_left,
    const int n_weights, const int at_a_time, int rows) {
    int j;
    for (j = 0; j + at_a_time <= n_left; j += at_a_time)
        NAME(tile_moments)(
            left + j * SKMOE_BLOCK, right, weights, sums + j * stride, stride, at_a_time,
            n_weights, rows);
    for (; j < n_left; j++)
        NAME(tile_moments)(
            left + j * SKMOE_BLOCK, right, weights, sums + j * stride, stride, 1, n_weights,
            rows);
}

/* Add sums over rows of left_j * right * weight_k. */
SKMOE_INLINE void NAME(moments)(
    const REAL *left,    /* IN: (n_left, B) */
    const REAL *right,   /* IN: (B,) */
    const REAL *weights, /* IN: (n_weights, B) */
    double *sums,        /* IN OUT: (n_left, stride) */
    int stride, int n_left, int n_weights, int rows) {
    switch (n_weights) {
    case 1: NAME(column_moments)(left, right, weights, sums, stride, n_left, 1, 2, rows); break;
    case 2: NAME(column_moments)(left, right, weights, sums, stride, n_left, 2, 2, rows); break;
    case 3: NAME(column_moments)(left, right, weights, sums, stride, n_left, 3, 2, rows); break;
    case 4: NAME(column_moments)(left, right, weights, sums, stride, n_left, 4, 2, rows); break;
    default: NAME(column_moments)(left, right, weights, sums, stride, n_left, 8, 1, rows);
    }
}

SKMOE_INLINE int NAME(next_weights)(int n_left_over) {
    return n_left_over >= 8 ? 8 : n_left_over < 4 ? n_left_over : 4;
}

/* Add the weighted Gram matrices: upper triangles, column after column. */
SKMOE_CLONES
static void NAME(add_grams)(
    const REAL *design,  /* IN: (p, B) */
    const REAL *weights, /* IN: (n, B) */
    double *grams,       /* IN OUT: (p * (p + 1) / 2, n) */
    int p, int n, int rows) {
    int b, k, now;
    for (k = 0; k < n; k += now) {
        double *to = grams + k;
        now = NAME(next_weights)(n - k);
        for (b = 0; b < p; to += (ptrdiff_t)(b + 1) * n, b++)
            NAME(moments)(
                design, design + b * SKMOE_BLOCK, weights + k * SKMOE_BLOCK, to, n, b + 1, now,
                rows);
    }
}

/* Add the weighted sums of the columns; the last one is 1. */
SKMOE_CLONES
static void NAME(add_sums)(
    const REAL *design,  /* IN: (p, B) */
    const REAL *weights, /* IN: (n, B) */
    double *sums,        /* IN OUT: (p, n) */
    int p, int n, int rows) {
    const REAL *ones = design + (p - 1) * SKMOE_BLOCK;
    int k, now;
    for (k = 0; k < n; k += now) {
        now = NAME(next_weights)(n - k);
        NAME(moments)(design, ones, weights + k * SKMOE_BLOCK, sums + k, n, p, now, rows);
    }
}

/* Linear functions of the columns. */
SKMOE_CLONES
static void NAME(predict)(
    const REAL *design, /* IN: (p, B) */
    const REAL *coef,   /* IN: (n, p), n even */
    REAL *out,          /* OUT: (n, B) */
    int p, int n, int rows) {
    int i, j, k, m;
    for (k = 0; k < n; k += 2) {
        const REAL *first = coef + k * p, *second = first + p;
        REAL *to = out + k * SKMOE_BLOCK;
        for (i = 0; i < rows; i += 4 * LANES) {
            NAME(lanes) sum[2][4];
            for (m = 0; m < 4; m++) sum[0][m] = sum[1][m] = (NAME(lanes)){0};
            for (j = 0; j < p; j++)
                for (m = 0; m < 4; m++) {
                    NAME(lanes) x = NAME(load)(design + j * SKMOE_BLOCK + i + m * LANES);
                    sum[0][m] = NAME(add_multiple)(sum[0][m], x, first[j]);
                    sum[1][m] = NAME(add_multiple)(sum[1][m], x, second[j]);
                }
            for (m = 0; m < 4; m++) {
                memcpy(to + i + m * LANES, &sum[0][m], SKMOE_LANES_BYTES);
                memcpy(to + SKMOE_BLOCK + i + m * LANES, &sum[1][m], SKMOE_LANES_BYTES);
            }
        }
    }
}
#undef LANES
