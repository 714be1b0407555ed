/* SPDX-License-Identifier: Apache-2.0 */

/*
 * bitdrop: dropout with packed masks, the same bits on every machine.
 *
 * Dropout (Srivastava et al., JMLR 15, 2014) zeroes each element of a tensor with probability p
 * during training. Here every mask bit is a pure function of (seed, stream, rounds, p, element
 * index), made by Philox4x32 (Salmon et al., SC'11) and compared with p at full precision. It does
 * not depend on the ISA, the number of threads, or how a tensor is cut into calls. docs/stream.md
 * of the source tree is the contract.
 *
 * Seeds, streams and offsets: use one seed for a run, one stream for each layer or call site, and
 * at each step advance offset by the element count of that call over all ranks. Two calls with the
 * same (seed, stream, offset) have the same mask. That is what recomputation relies on; never
 * reuse the three for tensors that should be independent.
 *
 * Cutting a tensor among threads or calls: call on elements [b, e) with offset + b and the
 * pointers moved along. The values are those of one whole call for any cut. A mask cut at a
 * multiple of 8 elements has the bytes of the whole one; cut elsewhere it has its bits, starting
 * at bit 0. Cuts at multiples of 2048 of the absolute index cost nothing.
 *
 * Every function may be called from any thread at any time. The library never prints, allocates
 * nothing, starts no threads, changes no floating-point control, and keeps no state but what it
 * read of this CPU and of the environment variable BITDROP_ISA at the first call (unset, empty or
 * "auto": the best for this CPU). Optimised, a call needs at most 16 KiB of stack. Rounding
 * to nearest is assumed. Status flags may be raised, by dropped elements too.
 */
#ifndef BITDROP_H
#define BITDROP_H

#include <stddef.h>
#include <stdint.h>

#define BITDROP_VERSION_MAJOR 0
#define BITDROP_VERSION_MINOR 1
#define BITDROP_VERSION_PATCH 0

#if defined(__GNUC__) && !defined(_WIN32) /* a DLL exports what its .def file lists */
#define BITDROP_API __attribute__((visibility("default")))
#else
#define BITDROP_API
#endif
#if defined(__GNUC__)
#define BITDROP_MUST_CHECK __attribute__((warn_unused_result))
#elif defined(_MSVC_LANG) && _MSVC_LANG >= 201703L
#define BITDROP_MUST_CHECK [[nodiscard]]
#else
#define BITDROP_MUST_CHECK
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What a call returns. They are checked in this order, and on any error nothing is written. */
typedef enum bitdrop_status {
    BITDROP_OK = 0,
    BITDROP_ERR_NULL = 1,        /* cfg or shape is NULL, or a buffer is while there are elements */
    BITDROP_ERR_PROBABILITY = 2, /* p is NaN or outside [0, 1] */
    BITDROP_ERR_CONFIG = 3, /* rounds, scaling, stores, parallel or reserved is not as listed */
    BITDROP_ERR_DTYPE = 4,  /* the dtype is not one of bitdrop_dtype */
    BITDROP_ERR_ISA = 5,    /* cfg->isa or BITDROP_ISA is unknown, not built in, or not run here */
    BITDROP_ERR_RANGE = 6,  /* offset + n passes 2^64, the elements do not fit in the address
                               space, or a stride or pitch is below cols */
    BITDROP_ERR_OVERLAP = 7 /* x and y overlap without being the same buffer, or the mask
                               overlaps either */
} bitdrop_status;

typedef enum bitdrop_dtype {
    BITDROP_F32 = 0,
    BITDROP_F64 = 1,
    BITDROP_F16 = 2, /* IEEE 754 binary16 */
    BITDROP_BF16 = 3 /* bfloat16: the upper half of an f32 */
} bitdrop_dtype;

typedef enum bitdrop_isa {
    BITDROP_ISA_AUTO = 0,   /* BITDROP_ISA of the environment, or else the best for this CPU */
    BITDROP_ISA_SCALAR = 1, /* plain C: built in everywhere */
    BITDROP_ISA_AVX2 = 2,   /* x86-64 with AVX2, FMA, F16C and BMI2 */
    BITDROP_ISA_AVX512 = 3, /* x86-64 with AVX-512 F, BW, DQ and VL */
    BITDROP_ISA_NEON = 4    /* AArch64, and ARMv7 with NEON */
} bitdrop_isa;

enum {
    BITDROP_SCALE_TRAIN = 0, /* 1/(1-p) in training, identity at inference (inverted dropout) */
    BITDROP_SCALE_INFER = 1  /* no scale in training, 1-p at inference (Srivastava et al., 2014) */
};

enum {
    BITDROP_STORES_AUTO = 0,     /* streaming if x and y of this call exceed the last-level cache */
    BITDROP_STORES_CACHED = 1,   /* y is read again soon, by a neighbouring layer say */
    BITDROP_STORES_STREAMING = 2 /* past the caches: pass this for the pieces of a tensor that as a
                                    whole exceeds the last-level cache */
};

/*
 * An engine's own threads, for a call to be shared out among: bitdrop starts none. run calls
 * task(argument, i) once for each i below tasks, in any order and on any threads, and returns when
 * all of these have. The bytes that a call writes do not depend on tasks.
 */
typedef struct bitdrop_parallel {
    void (*run)(void *context, size_t tasks, void (*task)(void *argument, size_t index),
                void *argument);
    void *context; /* handed to run */
    size_t tasks;  /* at most so many, usually the number of threads; at least 1. A call has fewer
                      if it is short, and none below 64 Ki elements: run is not called then */
} bitdrop_parallel;

/* Zero-initialise it, then set what differs: {.p = 0.1, .seed = 42}. */
typedef struct bitdrop_config {
    double p;        /* probability that an element is dropped, in [0, 1]; exact to 2^-64 */
    uint64_t seed;   /* key of the generator */
    uint64_t offset; /* absolute index of this call's first element in the stream */
    uint32_t stream; /* independent sequence under the same seed: one for each layer, say */
    uint8_t rounds;  /* Philox rounds: 0 or 10 = ten, 7 = seven, which is faster */
    uint8_t scaling; /* BITDROP_SCALE_* */
    uint8_t stores;  /* BITDROP_STORES_* */
    uint8_t isa;     /* bitdrop_isa; another than AUTO forces it for this call */
    const bitdrop_parallel
        *parallel;        /* NULL: the calling thread alone. Read during the call only */
    uint64_t reserved[3]; /* must be 0 */
} bitdrop_config;

/*
 * rows x cols elements; element (r, c) has the absolute index offset + r * pitch + c. A column
 * shard of a larger matrix passes that matrix's pitch. Zero stands for the dense value.
 */
typedef struct bitdrop_2d {
    size_t rows, cols;
    uint64_t pitch;     /* columns of the whole matrix that this is a part of; 0 = cols */
    size_t x_stride;    /* elements between rows of x (dy); 0 = cols */
    size_t y_stride;    /* elements between rows of y (dx); 0 = cols */
    size_t mask_stride; /* bytes between mask rows, each of which starts at a byte;
                           0 = ceil(cols/8) */
} bitdrop_2d;

/*
 * The calls. Common to all:
 *
 * - x, y, dy, dx are n elements of dtype t, aligned as elements; y == x (dx == dy) is allowed.
 * - mask is bitdrop_mask_bytes(n) bytes of any alignment. Bit i % 8 of byte i / 8 belongs to
 *   element i, 1 = kept; the bits past n in the last byte are written as 0 and never read.
 * - Nothing outside these buffers is read or written, in 2-D nothing outside the rows.
 * - For n == 0 buffers may be NULL, and cfg, dtype and ISA are still checked.
 * - All stores are ordered before the return, so that an ordinary release publishes them.
 *
 * A kept element becomes x * scale, a dropped one +0 whatever it was. scale = 1/(1-p) is computed
 * in double and rounded once to float (f64 keeps the double); it is 1 with BITDROP_SCALE_INFER.
 * f16 and bf16 are multiplied in f32 and rounded once, to nearest even. No denormal is flushed
 * unless the caller has set FTZ or DAZ, but by ARMv7's NEON, where those of f32 and bf16 may become
 * 0. A signalling NaN becomes quiet; its sign and payload stay on x86, AArch64 and s390x only.
 */

/* mask[i] = kept or dropped, without touching any data. */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_mask(const bitdrop_config *cfg, size_t n,
                                                           uint8_t *mask);

/* The training step: y = dropout(x), and the mask that the backward pass needs. */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_forward(const bitdrop_config *cfg,
                                                              bitdrop_dtype t, size_t n,
                                                              const void *x, void *y,
                                                              uint8_t *mask);

/*
 * dx = dy where the given mask keeps, times scale. It obeys the mask at any p. Seed, stream and
 * offset are not looked at, and rounds only checked.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_backward(const bitdrop_config *cfg,
                                                               bitdrop_dtype t, size_t n,
                                                               const void *dy, void *dx,
                                                               const uint8_t *mask);

/*
 * bitdrop_forward that stores no mask; on dy with the same cfg it is the backward pass of such a
 * forward pass.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_recompute(const bitdrop_config *cfg,
                                                                bitdrop_dtype t, size_t n,
                                                                const void *x, void *y);

/*
 * Inference: copies x with BITDROP_SCALE_TRAIN, multiplies by 1-p with BITDROP_SCALE_INFER (and
 * writes +0 at p = 1). Seed, stream and offset are not looked at, and rounds only checked.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_infer(const bitdrop_config *cfg,
                                                            bitdrop_dtype t, size_t n,
                                                            const void *x, void *y);

/* The same on rows x cols elements. Where no mask is made the pitch is only checked. */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_mask_2d(const bitdrop_config *cfg,
                                                              const bitdrop_2d *shape,
                                                              uint8_t *mask);
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_forward_2d(const bitdrop_config *cfg,
                                                                 bitdrop_dtype t,
                                                                 const bitdrop_2d *shape,
                                                                 const void *x, void *y,
                                                                 uint8_t *mask);
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_backward_2d(const bitdrop_config *cfg,
                                                                  bitdrop_dtype t,
                                                                  const bitdrop_2d *shape,
                                                                  const void *dy, void *dx,
                                                                  const uint8_t *mask);
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_recompute_2d(const bitdrop_config *cfg,
                                                                   bitdrop_dtype t,
                                                                   const bitdrop_2d *shape,
                                                                   const void *x, void *y);
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_infer_2d(const bitdrop_config *cfg,
                                                               bitdrop_dtype t,
                                                               const bitdrop_2d *shape,
                                                               const void *x, void *y);

/* Bytes of a mask of n elements: ceil(n/8). */
BITDROP_API size_t bitdrop_mask_bytes(size_t n);

/*
 * What BITDROP_ISA_AUTO stands for here; AUTO itself while the variable BITDROP_ISA is wrong. For
 * calls of at most 1,024 elements it may stand for another that is faster.
 */
BITDROP_API bitdrop_isa bitdrop_isa_default(void);

/* 1 if the ISA is built in and this CPU and OS can run it, else 0. 1 for AUTO. */
BITDROP_API int bitdrop_isa_supported(bitdrop_isa isa);

/* "auto", "scalar", "avx2", "avx512", "neon"; "unknown" for anything else. */
BITDROP_API const char *bitdrop_isa_name(bitdrop_isa isa);

/* A sentence that says what to change. Never NULL. */
BITDROP_API const char *bitdrop_status_string(bitdrop_status status);

/* "major.minor.patch" of the library that runs, where the macros above are those compiled with. */
BITDROP_API const char *bitdrop_version(void);

#ifdef __cplusplus
}
#endif

#endif /* BITDROP_H */
