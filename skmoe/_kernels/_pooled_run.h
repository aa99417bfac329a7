/* What a round of pooled experts asks of a block of rows; see _block.h. */
#ifndef SKMOE_POOLED_RUN_H
#define SKMOE_POOLED_RUN_H

#include "_block.h"
#include "_logistic_normal.h"

#define SKMOE_LARGEST_LOG_MEAN 500.0

/* Weights of the rows of each expert, these times targets, and sums of these times targets. */
SKMOE_CLONES
static void skmoe_pooled_weights(
    const double *resp,   /* IN: (n, B) */
    const double *weight, /* IN: (B,) */
    const double *y,      /* IN: (B,) */
    double *mass,         /* OUT: (n, B) */
    double *pull,         /* OUT: (n, B) */
    double *squares,      /* IN OUT: (n,) */
    ptrdiff_t n, ptrdiff_t rows) {
    ptrdiff_t i, k;
    for (k = 0; k < n; k++) {
        ptrdiff_t at = k * SKMOE_BLOCK;
        SKMOE_NO_ALIASES
        for (i = 0; i < rows; i++) {
            mass[at + i] = weight[i] * resp[at + i];
            pull[at + i] = mass[at + i] * y[i];
        }
        squares[k] += ordered_sum_f64(pull + at, y, rows);
    }
}

/* What Gram matrices and sums over the rows are weighted with. */
SKMOE_CLONES
static void skmoe_pooled_pulls(
    const double *resp,      /* IN: (n, B) */
    const double *weight,    /* IN: (B,) */
    const double *curvature, /* IN: (n, B) */
    const double *working,   /* IN: (n, B) */
    double *mass,            /* OUT: (n, B) */
    double *pull,            /* OUT: (n, B) */
    ptrdiff_t n, ptrdiff_t rows) {
    ptrdiff_t i, k;
    for (k = 0; k < n; k++) {
        ptrdiff_t at = k * SKMOE_BLOCK;
        SKMOE_NO_ALIASES
        for (i = 0; i < rows; i++) {
            double share = weight[i] * resp[at + i];
            mass[at + i] = share * curvature[at + i];
            pull[at + i] = share * working[at + i];
        }
    }
}

/* Variances of a linear function of the columns, plus a constant. */
SKMOE_INLINE void skmoe_quadratic_form(
    const double *design, /* IN: (q, B) */
    const double *cov,    /* IN: (q, q) */
    double constant,      /* IN */
    double *form,         /* OUT: (B,) */
    ptrdiff_t q, ptrdiff_t rows) {
    double product[SKMOE_BLOCK];
    ptrdiff_t i, j, l;
    for (i = 0; i < rows; i++) form[i] = constant;
    for (j = 0; j < q; j++) {
        const double *row = cov + j * q, *column = design + j * SKMOE_BLOCK;
        double own = row[j];
        for (i = 0; i < rows; i++) product[i] = own * column[i];
        for (l = 0; l < j; l++) {
            const double *other = design + l * SKMOE_BLOCK;
            double twice = 2 * row[l];
            for (i = 0; i < rows; i++) product[i] += twice * other[i];
        }
        for (i = 0; i < rows; i++) form[i] += product[i] * column[i];
    }
}

/* Expected log-densities in place of means. */
SKMOE_CLONES
static void skmoe_pooled_lines(
    const double *design,    /* IN: (q, B) */
    const double *y,         /* IN: (B,) */
    const double *cov,       /* IN: (n, q, q) */
    const double *precision, /* IN: (n,) */
    const double *constant,  /* IN: (n,) */
    double floor,            /* IN */
    double *means,           /* IN OUT: (n, B) */
    ptrdiff_t q, ptrdiff_t n, ptrdiff_t rows) {
    double form[SKMOE_BLOCK];
    ptrdiff_t i, k;
    for (k = 0; k < n; k++) {
        double *mean = means + k * SKMOE_BLOCK;
        skmoe_quadratic_form(design, cov + k * q * q, floor, form, q, rows);
        for (i = 0; i < rows; i++) {
            double error = y[i] - mean[i];
            mean[i] = 0.5 * (constant[k] - precision[k] * (error * error + form[i]));
        }
    }
}

/* Expected log-probabilities in place of means of the log-odds, curvatures, working responses. */
SKMOE_CLONES
static void skmoe_pooled_classes(
    const double *design, /* IN: (q, B) */
    const double *labels, /* IN: (B,) 0 or 1 */
    const double *cov,    /* IN: (n, q, q) */
    double *means,        /* IN OUT: (n, B) */
    double *curvature,    /* OUT: (n, B) */
    double *working,      /* OUT: (n, B) */
    ptrdiff_t q, ptrdiff_t n, ptrdiff_t rows) {
    double form[SKMOE_BLOCK];
    ptrdiff_t i, k;
    for (k = 0; k < n; k++) {
        ptrdiff_t at = k * SKMOE_BLOCK;
        skmoe_quadratic_form(design, cov + k * q * q, 0, form, q, rows);
        for (i = 0; i < rows; i++) form[i] = form[i] > 0 ? form[i] : 0;
        skmoe_logistic_normal(
            means + at, form, labels, means + at, curvature + at, working + at, rows);
    }
}

/* The same for targets of a log link: counts, or positive ones with a shape. */
SKMOE_CLONES
static void skmoe_pooled_log_linear(
    const double *design,   /* IN: (q, B) */
    const double *y,        /* IN: (B,) targets, of size one */
    const double *of_rows,  /* IN: (3, B) logarithms of these, sizes, constants */
    const double *cov,      /* IN: (n, q, q) */
    const double *shape,    /* IN: (n,) */
    const double *constant, /* IN: (n,) */
    int has_shape,          /* IN */
    double *means,          /* IN OUT: (n, B) of the predictors */
    double *curvature,      /* OUT: (n, B) */
    double *working,        /* OUT: (n, B) */
    ptrdiff_t q, ptrdiff_t n, ptrdiff_t rows) {
    const double *log_y = of_rows, *size = log_y + SKMOE_BLOCK, *own = size + SKMOE_BLOCK;
    double form[SKMOE_BLOCK];
    ptrdiff_t i, k;
    for (k = 0; k < n; k++) {
        double *value = means + k * SKMOE_BLOCK, *bend = curvature + k * SKMOE_BLOCK;
        double *pull = working + k * SKMOE_BLOCK, unit = shape[k], more = constant[k];
        skmoe_quadratic_form(design, cov + k * q * q, 0, form, q, rows);
        SKMOE_NO_ALIASES
        for (i = 0; i < rows; i++) {
            double mean = value[i], half = 0.5 * (form[i] > 0 ? form[i] : 0);
            double at = has_shape ? log_y[i] - mean + half : mean + half;
            double ratio = skmoe_exp_f64(at < SKMOE_LARGEST_LOG_MEAN ? at : SKMOE_LARGEST_LOG_MEAN);
            double factor = size[i] * unit, log_ratio = log_y[i] - mean;
            double expected = has_shape ? log_ratio + 1 - ratio : y[i] * (1 - log_ratio) - ratio;
            double slope = has_shape ? ratio - 1 : y[i] - ratio;
            value[i] = factor * expected + more + own[i];
            bend[i] = factor * ratio;
            pull[i] = factor * slope + bend[i] * mean;
        }
    }
}

/* Expected log-densities, weighted with responsibilities and weights, summed over the rows. */
SKMOE_CLONES
static double skmoe_pooled_bound(
    const double *log_density, /* IN: (n, B) */
    const double *resp,        /* IN: (n, B) */
    const double *weight,      /* IN: (B,) */
    ptrdiff_t n, ptrdiff_t rows) {
    double of_row[SKMOE_BLOCK] = {0};
    ptrdiff_t i, k;
    for (k = 0; k < n; k++) {
        ptrdiff_t at = k * SKMOE_BLOCK;
        for (i = 0; i < rows; i++) of_row[i] += resp[at + i] * log_density[at + i];
    }
    return sum_of_rows_f64(of_row, weight, rows);
}

/* Responsibilities and log-density of each row; the log-likelihood of the rows. */
SKMOE_CLONES
static double skmoe_pooled_shares(
    const double *log_density, /* IN: (n, B) */
    const double *log_gate,    /* IN: (n, B) */
    const double *weight,      /* IN: (B,) */
    double *resp,              /* OUT: (n, B) */
    double *log_norm,          /* OUT: (B,) */
    ptrdiff_t n, ptrdiff_t rows) {
    double total[SKMOE_BLOCK];
    ptrdiff_t i, k;
    for (k = 0; k < n; k++) {
        ptrdiff_t at = k * SKMOE_BLOCK;
        for (i = 0; i < rows; i++)
            resp[at + i] = log_density[at + i] + log_gate[at + i];
    }
    softmax_f64(resp, NULL, log_norm, total, n, rows);
    for (i = 0; i < rows; i++) log_norm[i] += skmoe_log_f64(total[i]);
    return sum_of_rows_f64(log_norm, weight, rows);
}

#endif
