/* exp and log without branches, so that compilers turn loops over them into vector instructions.
 *
 * Within 1.5 units in the last place of the true value, denormal numbers included; exp(-inf) is
 * 0, exp(inf) is inf, log(0) is -inf, log(inf) is inf, and of NaN, and of numbers below zero for
 * log, it is NaN. C99, nothing else: any compiler will do. With GCC on x86-64 under glibc,
 * SKMOE_CLONES before a function builds it for wider vectors too and picks one when the module is
 * loaded.
 *
 * exp: x = n log(2) + r with |r| <= log(2) / 2, exp(r) by its Taylor polynomial. 2^n is applied in
 * two factors: the first cannot leave the normal range, the second rounds once, to a denormal, 0
 * or inf where need be.
 *
 * log: x = 2^n m with 1/2 <= m^2 <= 2, and log(m) = 2 artanh(s) for s = (m - 1) / (m + 1), by its
 * Taylor polynomial.
 */
#ifndef SKMOE_EXP_H
#define SKMOE_EXP_H

#include <math.h>
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

/* Before a loop over arrays that do not overlap: more of them than GCC would check when it runs. */
#if defined(__GNUC__) && !defined(__clang__)
#define SKMOE_NO_ALIASES _Pragma("GCC ivdep")
#else
#define SKMOE_NO_ALIASES
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

/* n = x / log(2), rounded, and exp(x - n log(2)) - 1. */
static inline double skmoe_expm1_parts_f64(double x, double *n) {
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
    return p * r;
}

/* The same, and exp(x - n log(2)). */
static inline double skmoe_exp_parts_f64(double x, double *n) {
    return skmoe_expm1_parts_f64(x, n) + 1.0;
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

/* exp(x) - 1 without their difference, which loses digits of small x; of 700 at most. */
static inline double skmoe_expm1_f64(double x) {
    double n, rest, power;
    x = x < -700.0 ? -700.0 : x;
    x = x > 700.0 ? 700.0 : x;
    rest = skmoe_expm1_parts_f64(x, &n);
    power = skmoe_power_of_two_f64(n);
    return power * rest + (power - 1.0);
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

static inline double skmoe_log_f64(double x) {
    const uint64_t one = 0x3ff0000000000000, root_half = 0x3fe6a09e667f3bcd; /* their bits */
    double grown = x < 2.2250738585072014e-308 ? x * 18014398509481984.0 : x; /* by 2^54 */
    double n, m, f, s, z, p, half, power_log, result;
    uint64_t bits, power;
    memcpy(&bits, &grown, 8);
    bits += one - root_half;
    power = (bits >> 52) | 0x4330000000000000; /* the bits of 2^52 + n + 1023 */
    memcpy(&n, &power, 8);
    n -= x < 2.2250738585072014e-308 ? 4503599627371573.0 : 4503599627371519.0;
    bits = (bits & 0x000fffffffffffff) + root_half;
    memcpy(&m, &bits, 8);
    f = m - 1.0; /* exact */
    s = f / (m + 1.0);
    z = s * s;
    p = 2.0 / 21.0;
    p = p * z + 2.0 / 19.0;
    p = p * z + 2.0 / 17.0;
    p = p * z + 2.0 / 15.0;
    p = p * z + 2.0 / 13.0;
    p = p * z + 2.0 / 11.0;
    p = p * z + 2.0 / 9.0;
    p = p * z + 2.0 / 7.0;
    p = p * z + 2.0 / 5.0;
    p = p * z + 2.0 / 3.0;
    /* 2 s = f - f^2 / 2 + s f^2 / 2: the first is exact, the next ones are small beside it. */
    half = 0.5 * f * f;
    p = s * (half + p * z) + n * 1.90821492927058770002e-10;
    power_log = n * 0.693147180369123816490; /* exact */
    result = power_log + f;
    result += (power_log - result + f) - (half - p); /* with what the sum was rounded by */
    result = x < INFINITY ? result : x;
    return x > 0.0 ? result : x == 0.0 ? -INFINITY : NAN;
}

#endif
