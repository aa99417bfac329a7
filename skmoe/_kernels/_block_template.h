/* Included by _block.h once for each REAL. B stands for SKMOE_BLOCK, the length of every row of
 * an array; only the first `rows` entries of it, a multiple of 16, are looked at. */

#include "_softmax_template.h"

/* Residuals in place of means, and logit plus Gaussian log-density of each. */
static inline void NAME(gaussian_joint)(
    const REAL *logits,    /* IN: (n, B) */
    REAL *means,           /* IN OUT: (n, B), residuals on return */
    const REAL *y,         /* IN: (B,) */
    const REAL *precision, /* IN: (n,) 1 / scale */
    const REAL *log_scale, /* IN: (n,) with log(2 pi) / 2 */
    REAL *joint,           /* OUT: (n, B) */
    ptrdiff_t n, ptrdiff_t rows) {
    ptrdiff_t i, k;
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

/* Weighted sum of numbers of the rows, in a fixed order, whatever the vector length. */
SKMOE_INLINE double NAME(sum_of_rows)(
    const double *of_row, /* IN: (B,) */
    const REAL *weight,   /* IN: (B,) */
    ptrdiff_t rows) {
    double lanes[16] = {0}, sum = 0;
    ptrdiff_t i, j;
    for (i = 0; i < rows; i += 16)
        for (j = 0; j < 16; j++) /* 0 * -inf would be NaN */
            lanes[j] += weight[i + j] != 0 ? weight[i + j] * of_row[i + j] : 0;
    for (j = 0; j < 16; j++) sum += lanes[j];
    return sum;
}

/* Log-likelihood of the rows from the softmax of joint and gate logits. */
SKMOE_INLINE double NAME(rows_log_likelihood)(
    const REAL *largest, const REAL *total, const REAL *largest_gate, const REAL *total_gate,
    const REAL *weight, ptrdiff_t rows) {
    double of_row[SKMOE_BLOCK];
    ptrdiff_t i;
    for (i = 0; i < rows; i++)
        of_row[i] =
            (double)(largest[i] - largest_gate[i]) + skmoe_log_f64(total[i] / total_gate[i]);
    return NAME(sum_of_rows)(of_row, weight, rows);
}

/* Keep the largest of each row, of equal ones the first; the others become too small to count. */
SKMOE_INLINE void NAME(keep_largest)(
    REAL *joint, /* IN OUT: (n, B) */
    ptrdiff_t n_kept, ptrdiff_t n, ptrdiff_t rows) {
    REAL bound[SKMOE_BLOCK], best[SKMOE_BLOCK];
    REAL last[SKMOE_BLOCK], place[SKMOE_BLOCK]; /* of the last one that is kept */
    ptrdiff_t i, k, kept;
    for (i = 0; i < rows; i++) bound[i] = (REAL)INFINITY, last[i] = -1;
    for (kept = 0; kept < n_kept; kept++) {
        for (i = 0; i < rows; i++) best[i] = (REAL)-INFINITY, place[i] = (REAL)n;
        for (k = 0; k < n; k++) {
            const REAL *value = joint + k * SKMOE_BLOCK;
            REAL here = (REAL)k;
            for (i = 0; i < rows; i++) {
                int is_left = value[i] < bound[i] || (value[i] == bound[i] && here > last[i]);
                int is_best = is_left && value[i] > best[i];
                best[i] = is_best ? value[i] : best[i];
                place[i] = is_best ? here : place[i];
            }
        }
        for (i = 0; i < rows; i++) bound[i] = best[i], last[i] = place[i];
    }
    for (k = 0; k < n; k++) {
        REAL *value = joint + k * SKMOE_BLOCK, here = (REAL)k;
        for (i = 0; i < rows; i++) {
            int is_kept = value[i] > bound[i] || (value[i] == bound[i] && here <= last[i]);
            value[i] = is_kept ? value[i] : (REAL)-INFINITY;
        }
    }
}

/* E-step of Gaussian experts: log-likelihood of the rows, each of which `n_kept` experts share. */
SKMOE_CLONES
static double NAME(gaussian_e_step)(
    REAL *gate,            /* IN OUT: (n, B) logits, probabilities on return */
    REAL *means,           /* IN OUT: (n, B), residuals on return */
    const REAL *y,         /* IN: (B,) */
    const REAL *weight,    /* IN: (B,) */
    const REAL *precision, /* IN: (n,) */
    const REAL *log_scale, /* IN: (n,) */
    REAL *resp,            /* OUT: (n, B) */
    ptrdiff_t n_kept, ptrdiff_t n, ptrdiff_t rows) {
    REAL largest_gate[SKMOE_BLOCK], total_gate[SKMOE_BLOCK];
    REAL largest[SKMOE_BLOCK], total[SKMOE_BLOCK];
    NAME(gaussian_joint)(gate, means, y, precision, log_scale, resp, n, rows);
    if (n_kept < n) NAME(keep_largest)(resp, n_kept, n, rows);
    NAME(softmax)(gate, NULL, largest_gate, total_gate, n, rows);
    NAME(softmax)(resp, NULL, largest, total, n, rows);
    return NAME(rows_log_likelihood)(largest, total, largest_gate, total_gate, weight, rows);
}

/* Errors, target minus probability of class 1, in place of its log-odds. The probability of the
 * row's own class is factor * exp(exponent): factors from 1/2 to 1 and exponents of 0 or below need
 * no logarithm. */
SKMOE_INLINE void NAME(logistic_density)(
    REAL *log_odds, /* IN OUT: (n, B), errors on return */
    const REAL *y,  /* IN: (B,) 0 or 1 */
    REAL *exponent, /* OUT: (n, B) */
    REAL *factor,   /* OUT: (n, B) */
    ptrdiff_t n, ptrdiff_t rows) {
    ptrdiff_t i, k;
    for (k = 0; k < n; k++) {
        ptrdiff_t at = k * SKMOE_BLOCK;
        for (i = 0; i < rows; i++) {
            REAL sign = 2 * y[i] - 1, own = sign * log_odds[at + i];
            REAL shrunk = NAME(skmoe_share)(own < 0 ? own : -own);
            REAL larger = 1 / (1 + shrunk), smaller = shrunk * larger;
            log_odds[at + i] = sign * (own < 0 ? larger : smaller);
            exponent[at + i] = own < 0 ? own : 0;
            factor[at + i] = larger;
        }
    }
}

/* The same of three classes and more, each of which has a function: probabilities in place of these.
 */
SKMOE_INLINE void NAME(multinomial_density)(
    REAL *functions, /* IN OUT: (n * n_classes, B), probabilities on return */
    const REAL *y,   /* IN: (B,) class numbers */
    REAL *exponent,  /* OUT: (n, B) */
    REAL *factor,    /* OUT: (n, B) */
    ptrdiff_t n_classes, ptrdiff_t n, ptrdiff_t rows) {
    REAL largest[SKMOE_BLOCK], total[SKMOE_BLOCK];
    ptrdiff_t i, k, c;
    for (k = 0; k < n; k++) {
        REAL *own = functions + k * n_classes * SKMOE_BLOCK;
        REAL *power = exponent + k * SKMOE_BLOCK, *part = factor + k * SKMOE_BLOCK;
        for (i = 0; i < rows; i++) power[i] = 0;
        for (c = 0; c < n_classes; c++) {
            const REAL *of_class = own + c * SKMOE_BLOCK;
            REAL number = (REAL)c;
            for (i = 0; i < rows; i++) power[i] = y[i] == number ? of_class[i] : power[i];
        }
        NAME(softmax)(own, NULL, largest, total, n_classes, rows);
        for (i = 0; i < rows; i++) power[i] -= largest[i], part[i] = 1 / total[i];
    }
}

SKMOE_INLINE void NAME(class_density)(
    REAL *functions, const REAL *y, REAL *exponent, REAL *factor, ptrdiff_t n_classes, ptrdiff_t n,
    ptrdiff_t rows) {
    if (n_classes > 2)
        NAME(multinomial_density)(functions, y, exponent, factor, n_classes, n, rows);
    else
        NAME(logistic_density)(functions, y, exponent, factor, n, rows);
}

/* E-step of logistic experts: log-likelihood of the rows. */
SKMOE_CLONES
static double NAME(logistic_e_step)(
    REAL *gate,         /* IN OUT: (n, B) logits, probabilities on return */
    REAL *functions,    /* IN OUT: as of class_density; of two classes (n, B), errors on return */
    const REAL *y,      /* IN: (B,) */
    const REAL *weight, /* IN: (B,) */
    REAL *factor,       /* OUT: (n, B) memory */
    REAL *resp,         /* OUT: (n, B) */
    ptrdiff_t n_classes, ptrdiff_t n, ptrdiff_t rows) {
    REAL largest_gate[SKMOE_BLOCK], total_gate[SKMOE_BLOCK];
    REAL largest[SKMOE_BLOCK], total[SKMOE_BLOCK];
    ptrdiff_t i, k;
    NAME(class_density)(functions, y, resp, factor, n_classes, n, rows);
    for (k = 0; k < n; k++)
        for (i = 0; i < rows; i++) resp[k * SKMOE_BLOCK + i] += gate[k * SKMOE_BLOCK + i];
    NAME(softmax)(gate, NULL, largest_gate, total_gate, n, rows);
    NAME(softmax)(resp, factor, largest, total, n, rows);
    return NAME(rows_log_likelihood)(largest, total, largest_gate, total_gate, weight, rows);
}

/* The gate's log-likelihood of responsibilities as soft labels. */
SKMOE_INLINE double NAME(gate_log_likelihood)(
    REAL *gate,         /* IN OUT: (n, B) logits, probabilities on return */
    const REAL *weight, /* IN: (B,) */
    const REAL *resp,   /* IN: (n, B) */
    ptrdiff_t n, ptrdiff_t rows) {
    REAL largest[SKMOE_BLOCK], total[SKMOE_BLOCK], mean_logit[SKMOE_BLOCK];
    double of_row[SKMOE_BLOCK];
    ptrdiff_t i, k;
    for (i = 0; i < rows; i++) mean_logit[i] = 0;
    for (k = 0; k < n; k++) {
        const REAL *logit = gate + k * SKMOE_BLOCK, *share = resp + k * SKMOE_BLOCK;
        for (i = 0; i < rows; i++) mean_logit[i] += share[i] * logit[i];
    }
    NAME(softmax)(gate, NULL, largest, total, n, rows);
    for (i = 0; i < rows; i++)
        of_row[i] = (double)(mean_logit[i] - largest[i]) - skmoe_log_f64(total[i]);
    return NAME(sum_of_rows)(of_row, weight, rows);
}

/* With responsibilities given: the gate's log-likelihood of them. */
SKMOE_CLONES
static double NAME(given_gaussian)(
    REAL *gate,         /* IN OUT: (n, B) logits, probabilities on return */
    REAL *means,        /* IN OUT: (n, B), residuals on return */
    const REAL *y,      /* IN: (B,) */
    const REAL *weight, /* IN: (B,) */
    const REAL *resp,   /* IN: (n, B) */
    ptrdiff_t n, ptrdiff_t rows) {
    ptrdiff_t i, k;
    for (k = 0; k < n; k++) {
        REAL *mean = means + k * SKMOE_BLOCK;
        for (i = 0; i < rows; i++) mean[i] = y[i] - mean[i];
    }
    return NAME(gate_log_likelihood)(gate, weight, resp, n, rows);
}

/* With responsibilities given: the gate's log-likelihood of them and the experts' under them. */
SKMOE_CLONES
static double NAME(given_logistic)(
    REAL *gate,         /* IN OUT: (n, B) logits, probabilities on return */
    REAL *functions,    /* IN OUT: as of logistic_e_step */
    const REAL *y,      /* IN: (B,) */
    const REAL *weight, /* IN: (B,) */
    const REAL *resp,   /* IN: (n, B) */
    REAL *exponent,     /* OUT: (n, B) memory */
    REAL *factor,       /* OUT: (n, B) memory */
    ptrdiff_t n_classes, ptrdiff_t n, ptrdiff_t rows) {
    double of_row[SKMOE_BLOCK] = {0};
    ptrdiff_t i, k;
    NAME(class_density)(functions, y, exponent, factor, n_classes, n, rows);
    for (k = 0; k < n; k++) {
        ptrdiff_t at = k * SKMOE_BLOCK;
        for (i = 0; i < rows; i++)
            of_row[i] += resp[at + i] * ((double)exponent[at + i] + skmoe_log_f64(factor[at + i]));
    }
    return NAME(sum_of_rows)(of_row, weight, rows) +
           NAME(gate_log_likelihood)(gate, weight, resp, n, rows);
}

/* Sum of products in a fixed order, whatever the vector length. */
SKMOE_INLINE double NAME(ordered_sum)(const REAL *a, const REAL *b, ptrdiff_t rows) {
    REAL lanes[16] = {0};
    double sum = 0;
    ptrdiff_t i, j;
    for (i = 0; i < rows; i += 16)
        for (j = 0; j < 16; j++) lanes[j] += a[i + j] * b[i + j];
    for (j = 0; j < 16; j++) sum += lanes[j];
    return sum;
}

/* What the sums over rows are weighted with: for each expert the mass of its rows, the mass times
 * the residual, and what the gate's probability lacks of the responsibility. Returns nothing but
 * adds the experts' weighted squares of residuals to `squares`. */
SKMOE_CLONES
static void NAME(gaussian_weights)(
    const REAL *proba,  /* IN: (n, B) */
    const REAL *resp,   /* IN: (n, B) */
    const REAL *errors, /* IN: (n, B) residuals */
    const REAL *weight, /* IN: (B,) */
    REAL *mass,         /* OUT: (n, B) */
    REAL *pull,         /* OUT: (n, B) */
    REAL *lack,         /* OUT: (n, B) */
    double *squares,    /* IN OUT: (n,) */
    ptrdiff_t n, ptrdiff_t rows) {
    ptrdiff_t i, k;
    for (k = 0; k < n; k++) {
        ptrdiff_t at = k * SKMOE_BLOCK;
        SKMOE_NO_ALIASES
        for (i = 0; i < rows; i++) {
            mass[at + i] = weight[i] * resp[at + i];
            pull[at + i] = mass[at + i] * errors[at + i];
            lack[at + i] = mass[at + i] - weight[i] * proba[at + i];
        }
        squares[k] += NAME(ordered_sum)(pull + at, errors + at, rows);
    }
}

/* The same for logistic experts, with the curvature of their log-likelihoods in place of the mass,
 * which is added to `masses`. */
SKMOE_CLONES
static void NAME(logistic_weights)(
    const REAL *proba,  /* IN: (n, B) */
    const REAL *resp,   /* IN: (n, B) */
    const REAL *errors, /* IN: (n, B) */
    const REAL *weight, /* IN: (B,) */
    REAL *curvature,    /* OUT: (n, B) */
    REAL *pull,         /* OUT: (n, B) */
    REAL *lack,         /* OUT: (n, B) */
    double *masses,     /* IN OUT: (n,) */
    ptrdiff_t n, ptrdiff_t rows) {
    ptrdiff_t i, k;
    for (k = 0; k < n; k++) {
        ptrdiff_t at = k * SKMOE_BLOCK;
        SKMOE_NO_ALIASES
        for (i = 0; i < rows; i++) {
            REAL error = errors[at + i], size = error < 0 ? -error : error;
            REAL product = resp[at + i] * size;
            product = product > (REAL)1e-26 ? weight[i] * product : 0; /* see _exp.h */
            curvature[at + i] = product * (1 - size);
            pull[at + i] = error < 0 ? -product : product;
            lack[at + i] = weight[i] * (resp[at + i] - proba[at + i]);
        }
        masses[k] += NAME(ordered_sum)(weight, resp + at, rows);
    }
}

/* weight * proba_k * proba_l for k < l: the gate's curvature between two experts. */
SKMOE_CLONES
static void NAME(curvature_weights)(
    const REAL *proba,  /* IN: (n, B) */
    const REAL *weight, /* IN: (B,) */
    REAL *products,     /* OUT: (n * (n - 1) / 2, B) */
    ptrdiff_t n, ptrdiff_t rows) {
    ptrdiff_t i, k, l;
    for (l = 1; l < n; l++)
        for (k = 0; k < l; k++, products += SKMOE_BLOCK)
            for (i = 0; i < rows; i++) {
                REAL product = proba[k * SKMOE_BLOCK + i] * proba[l * SKMOE_BLOCK + i];
                products[i] = product > (REAL)1e-26 ? weight[i] * product : 0; /* see _exp.h */
            }
}

/* As logistic_weights for three classes and more: what the curvature of each pair is weighted with. */
SKMOE_CLONES
static void NAME(multinomial_weights)(
    const REAL *proba,   /* IN: (n, B) */
    const REAL *resp,    /* IN: (n, B) */
    const REAL *classes, /* IN: (n * n_classes, B) probabilities */
    const REAL *y,       /* IN: (B,) class numbers */
    const REAL *weight,  /* IN: (B,) */
    REAL *curvature,     /* OUT: (n * n_classes * (n_classes - 1) / 2, B) */
    REAL *pull,          /* OUT: (n * n_classes, B) */
    REAL *lack,          /* OUT: (n, B) */
    double *masses,      /* IN OUT: (n,) */
    ptrdiff_t n_classes, ptrdiff_t n, ptrdiff_t rows) {
    REAL mass[SKMOE_BLOCK];
    ptrdiff_t i, k, c;
    for (k = 0; k < n; k++) {
        ptrdiff_t at = k * SKMOE_BLOCK;
        for (i = 0; i < rows; i++) {
            REAL share = resp[at + i];
            mass[i] = share > (REAL)1e-26 ? weight[i] * share : 0; /* see _exp.h */
            lack[at + i] = weight[i] * (share - proba[at + i]);
        }
        masses[k] += NAME(ordered_sum)(weight, resp + at, rows);
        for (c = 0; c < n_classes; c++, pull += SKMOE_BLOCK) {
            const REAL *of_class = classes + c * SKMOE_BLOCK;
            REAL number = (REAL)c;
            for (i = 0; i < rows; i++)
                pull[i] = mass[i] * ((y[i] == number ? (REAL)1 : (REAL)0) - of_class[i]);
        }
        NAME(curvature_weights)(classes, mass, curvature, n_classes, rows);
        classes += n_classes * SKMOE_BLOCK;
        curvature += n_classes * (n_classes - 1) / 2 * SKMOE_BLOCK;
    }
}

/* What bounds the gate's curvature expert by expert: weight * proba, or twice its variance. */
SKMOE_CLONES
static void NAME(separate_weights)(
    const REAL *proba,  /* IN: (n, B) */
    const REAL *weight, /* IN: (B,) */
    REAL *products,     /* OUT: (n, B) */
    ptrdiff_t n, ptrdiff_t rows) {
    ptrdiff_t i, k;
    for (k = 0; k < n; k++)
        for (i = 0; i < rows; i++) {
            REAL share = proba[k * SKMOE_BLOCK + i], left = 2 * (1 - share);
            share = left < 1 ? share * left : share;
            products[k * SKMOE_BLOCK + i] = share > (REAL)1e-26 ? weight[i] * share : 0;
        }
}

/* Linear functions and sums over rows, for vectors of each width; see _moments_template.h. */
#ifdef SKMOE_WIDTHS
#define WIDTH 64
#define WIDE(name) SKMOE_SUFFIX(NAME(name), v4)
#define TARGET __attribute__((target("arch=x86-64-v4")))
#include "_moments_template.h"
#undef WIDTH
#undef WIDE
#undef TARGET

#define WIDTH 32
#define WIDE(name) SKMOE_SUFFIX(NAME(name), v3)
#define TARGET __attribute__((target("arch=x86-64-v3")))
#include "_moments_template.h"
#undef WIDTH
#undef WIDE
#undef TARGET
#endif

#define WIDTH 16
#define WIDE(name) SKMOE_SUFFIX(NAME(name), v1)
#define TARGET
#include "_moments_template.h"
#undef WIDTH
#undef WIDE
#undef TARGET

/* Add the weighted Gram matrices: upper triangles, column after column. */
static void NAME(add_grams)(
    const REAL *design,  /* IN: (p, B) */
    const REAL *weights, /* IN: (n, B) */
    double *grams,       /* IN OUT: (p * (p + 1) / 2, n) */
    ptrdiff_t p, ptrdiff_t n, ptrdiff_t rows) {
    SKMOE_DISPATCH(NAME(add_grams), (design, weights, grams, p, n, rows));
}

/* Add the weighted sums of the columns; the last one is 1. */
static void NAME(add_sums)(
    const REAL *design,  /* IN: (p, B) */
    const REAL *weights, /* IN: (n, B) */
    double *sums,        /* IN OUT: (p, n) */
    ptrdiff_t p, ptrdiff_t n, ptrdiff_t rows) {
    SKMOE_DISPATCH(NAME(add_sums), (design, weights, sums, p, n, rows));
}

/* Linear functions of the columns. */
static void NAME(predict)(
    const REAL *design, /* IN: (p, B) */
    const REAL *coef,   /* IN: (n, p), n even */
    REAL *out,          /* OUT: (n, B) */
    ptrdiff_t p, ptrdiff_t n, ptrdiff_t rows) {
    SKMOE_DISPATCH(NAME(predict), (design, coef, out, p, n, rows));
}
