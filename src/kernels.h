/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels: what each is given, the list of them, and one table for each ISA. Tables, tests and
 * benchmarks follow this list.
 */
#ifndef BITDROP_KERNELS_H
#define BITDROP_KERNELS_H

#include <float.h>

#include "bitdrop/bitdrop.h"
#include "stream.h"

#if FLT_EVAL_METHOD != 0
#error "float and double must be rounded as such: on 32-bit x86 compile with -msse2 -mfpmath=sse"
#endif
#ifdef __FAST_MATH__
#error "the values of docs/stream.md cannot be had with -ffast-math"
#endif

/* Arguments of a call, checked: rows, cols > 0, all strides filled in and in bytes. */
struct bitdrop_job {
    size_t rows, cols;
    uint64_t offset, pitch;
    const unsigned char *x; /* x or dy */
    unsigned char *y;       /* y or dx; may equal x */
    uint8_t *mask;          /* written; NULL: not wanted */
    const uint8_t *keep;    /* read by backward; NULL: all are kept */
    size_t x_stride, y_stride, mask_stride;
    size_t size;     /* bytes of an element; 0 without x and y */
    double scale;    /* of kept elements, for f64 */
    float scale_f32; /* the same rounded once, for the other dtypes */
    bool streaming;  /* prefer stores that bypass the caches */
    bool prefetch;   /* prefetch x if streaming, else y */
    const struct bitdrop_stream *stream;
};

static inline double f64_scale(const struct bitdrop_job *job) { return job->scale; }
static inline double f32_scale(const struct bitdrop_job *job) { return job->scale_f32; }

typedef void bitdrop_kernel(const struct bitdrop_job *job);

/* dtypes in the order of bitdrop_dtype: X(name, bytes). */
#define BITDROP_DTYPES(X) X(f32, 4) X(f64, 8) X(f16, 2) X(bf16, 2)
enum { BITDROP_DTYPE_COUNT = 4 };

struct bitdrop_kernels {
    bitdrop_isa isa;
    bitdrop_kernel *mask;                          /* makes mask */
    bitdrop_kernel *forward[BITDROP_DTYPE_COUNT];  /* makes y, and mask unless NULL */
    bitdrop_kernel *backward[BITDROP_DTYPE_COUNT]; /* makes y from x and keep */
};

extern const struct bitdrop_kernels bitdrop_kernels_scalar;
extern const struct bitdrop_kernels bitdrop_kernels_avx2;
extern const struct bitdrop_kernels bitdrop_kernels_avx512;
extern const struct bitdrop_kernels bitdrop_kernels_avx512_bf16; /* on CPUs with AVX512_BF16 */
extern const struct bitdrop_kernels bitdrop_kernels_neon;

/* In bitdrop_kernels_avx512_bf16, from a file with further flags. */
bitdrop_kernel bitdrop_avx512_bf16_forward, bitdrop_avx512_bf16_backward;

#endif
