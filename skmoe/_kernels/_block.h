/* What EM does with a block of rows that stays in the cache, for float and double.
 *
 * Arrays of a block are (number, BLOCK) with the rows of the data side by side, so that every
 * loop below runs down rows and becomes vector instructions. They start at multiples of 64 bytes,
 * and the rows beyond the last one, up to a multiple of 64 bytes, are of weight 0.
 */
#ifndef SKMOE_BLOCK_H
#define SKMOE_BLOCK_H

#include <stddef.h>

#include "_exp.h"

#define SKMOE_BLOCK_ROWS 512 /* at 20 columns and 8 experts they stay in the L2 cache, as doubles */
#define SKMOE_BLOCK 528 /* from one array to the next: no power of two, for the L1 cache's sake */
#define SKMOE_LANES_BYTES 64

/* Calls the function of this name for the widest vectors of the machine, as SKMOE_CLONES does. */
#ifdef SKMOE_WIDTHS
#define SKMOE_DISPATCH(name, arguments)                                       \
    do {                                                                      \
        if (__builtin_cpu_supports("x86-64-v4"))                              \
            SKMOE_SUFFIX(name, v4) arguments;                                 \
        else if (__builtin_cpu_supports("x86-64-v3"))                         \
            SKMOE_SUFFIX(name, v3) arguments;                                 \
        else                                                                  \
            SKMOE_SUFFIX(name, v1) arguments;                                 \
    } while (0)
#else
#define SKMOE_DISPATCH(name, arguments) SKMOE_SUFFIX(name, v1) arguments
#endif

#ifdef __GNUC__
#pragma GCC diagnostic ignored "-Wunused-function" /* each kernel takes some of them */
#endif

#define REAL double
#define NAME(name) SKMOE_SUFFIX(name, f64)
#include "_block_template.h"
#undef REAL
#undef NAME

#define REAL float
#define NAME(name) SKMOE_SUFFIX(name, f32)
#include "_block_template.h"
#undef REAL
#undef NAME

#endif
