/* exp without branches, so that compilers turn loops over it into vector instructions.
 *
 * Within 1.5 units in the last place of the true value, denormal results included; exp(-inf) is
 * 0, exp(inf) is inf and exp(NaN) is NaN. C99, nothing else: any compiler will do. With GCC on
 * x86-64 under glibc, SKMOE_CLONES before a function builds it for wider vectors too and picks
 * one when the module is loaded.
 *
 * x = n log(2) + r with |r| <= log(2) / 2, exp(r) by its Taylor polynomial. 2^n is applied in two
 * factors: the first cannot leave the normal range, the second rounds once, to a denormal, 0 or
 * inf where need be.
 */
#ifndef SKMOE_EXP_H
#define SKMOE_EXP_H

#include <stdint.h>
#include <string.h>
#include <stdlib.h> /* defines __GLIBC__ */

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#if __GNUC__ >= 12
#define SKMOE_WIDTHS
#define SKMOE_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
#endif
#ifndef SKMOE_CLONES
#define SKMOE_CLONES
#endif

#if defined(__GNUC__)
#define SKMOE_INLINE static inline __attribute__((always_inline))
#else
#define SKMOE_INLINE static inline
#endif

#define SKMOE_SUFFIX_(name, suffix) name##_##suffix
#define SKMOE_SUFFIX(name, suffix) SKMOE_SUFFIX_(name, suffix)

/* Adding this rounds to an integer, which then stands in the last bits. */
#define SKMOE_ROUND_F64 6755399441055744.0
#define SKMOE_ROUND_F32 12582912.0f

/* 2^n for an integer n of the normal range. */
static inline double skmoe_power_of_two_f64(double n) {
    double shifted = n + (SKMOE_ROUND_F64 + 1023.0), power;
    uint64_t bits;
    memcpy(&bits, &shifted, 8);
    bits <<= 52;
    memcpy(&power, &bits, 8);
    return power;
}

static inline float skmoe_power_of_two_f32(float n) {
    float shifted = n + (SKMOE_ROUND_F32 + 127.0f), power;
    uint32_t bits;
    memcpy(&bits, &shifted, 4);
    bits <<= 23;
    memcpy(&power, &bits, 4);
    return power;
}

/* n = x / log(2), rounded, and exp(x - n log(2)). */
static inline double skmoe_exp_parts_f64(double x, double *n) {
    double r, p;
    *n = (x * 1.4426950408889634 + SKMOE_ROUND_F64) - SKMOE_ROUND_F64;
    r = x - *n * 0.693147180369123816490; /* exact: the constant has 32 bits */
    r -= *n * 1.90821492927058770002e-10;
    p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    return p * r + 1.0;
}

static inline float skmoe_exp_parts_f32(float x, float *n) {
    float r, p;
    *n = (x * 1.44269504f + SKMOE_ROUND_F32) - SKMOE_ROUND_F32;
    r = x - *n * 0.693359375f;
    r += *n * 2.12194440e-4f;
    p = 1.0f / 5040.0f;
    p = p * r + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    return p * r + 1.0f;
}

static inline double skmoe_exp_f64(double x) {
    double n, p, first;
    x = x < -746.0 ? -746.0 : x; /* a NaN stays */
    x = x > 710.0 ? 710.0 : x;
    p = skmoe_exp_parts_f64(x, &n);
    first = n < -1000.0 ? -1000.0 : n;
    first = first > 1000.0 ? 1000.0 : first;
    return p * skmoe_power_of_two_f64(first) * skmoe_power_of_two_f64(n - first);
}

static inline float skmoe_exp_f32(float x) {
    float n, p, first;
    x = x < -105.0f ? -105.0f : x;
    x = x > 89.0f ? 89.0f : x;
    p = skmoe_exp_parts_f32(x, &n);
    first = n < -120.0f ? -120.0f : n;
    first = first > 120.0f ? 120.0f : first;
    return p * skmoe_power_of_two_f32(first) * skmoe_power_of_two_f32(n - first);
}

/* exp(x) for x <= 0, a part of a sum whose largest term is 1: nothing where it is too small to
 * count (1e-260, 1e-26), since processors are slow at the denormal numbers that come of it. */
static inline double skmoe_share_f64(double x) {
    double n, p, within = x < -600.0 ? -600.0 : x;
    p = skmoe_exp_parts_f64(within, &n) * skmoe_power_of_two_f64(n);
    return x < -600.0 ? 0.0 : p;
}

static inline float skmoe_share_f32(float x) {
    float n, p, within = x < -60.0f ? -60.0f : x;
    p = skmoe_exp_parts_f32(within, &n) * skmoe_power_of_two_f32(n);
    return x < -60.0f ? 0.0f : p;
}

#endif
