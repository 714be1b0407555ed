/* SPDX-License-Identifier: Apache-2.0 */

/*
 * bitdrop: dropout with packed masks, the same bits on every machine.
 *
 * Dropout (Srivastava et al., JMLR 15, 2014) zeroes each element of a tensor with probability p
 * during training. Here every mask bit is a pure function of (seed, stream, rounds, p, element
 * index), made by Philox4x32 (Salmon et al., SC'11) and compared with p at full precision. It does
 * not depend on the ISA, the number of threads, or how a tensor is cut into calls. docs/stream.md
 * of the source tree is the contract, and docs/reference.md says more about each call.
 *
 * Seeds, streams and offsets: use one seed for a run, one stream for each layer or call site, and
 * at each step advance offset by the indices that the whole tensor used over all ranks: its
 * elements; ceil(rows / mask_repeat) * pitch where rows share masks; ceil(rows / mask_repeat) where
 * one decision is about a row; batch * heads * queries * keys for attention. Two calls with the
 * same (seed, stream, offset) have the same mask. That is what recomputation relies on; never reuse
 * the three for tensors that should be independent.
 *
 * Cutting a flat tensor among threads or calls: call on elements [b, e) with offset + b and the
 * pointers moved along. The values are those of one whole call for any cut. A mask cut at a
 * multiple of 8 elements has the bytes of the whole one; cut elsewhere it has its bits, starting
 * at bit 0. Cuts at multiples of 2048 of the absolute index cost nothing.
 *
 * Every function may be called from any thread at any time. The library never prints, allocates
 * nothing, starts no threads, changes no floating-point control, and keeps no state but what it
 * read of this CPU and of the environment variable BITDROP_ISA at the first call (unset, empty or
 * "auto": the best for this CPU). Optimised, a call needs at most 32 KiB of stack. Rounding
 * to nearest is assumed. Status flags may be raised, by dropped elements too.
 */
#ifndef BITDROP_H
#define BITDROP_H

#include <stddef.h>
#include <stdint.h>

#define BITDROP_VERSION_MAJOR 0
#define BITDROP_VERSION_MINOR 2
#define BITDROP_VERSION_PATCH 0
#define BITDROP_VERSION_NUMBER                                                                     \
    (BITDROP_VERSION_MAJOR * 10000 + BITDROP_VERSION_MINOR * 100 + BITDROP_VERSION_PATCH)

#if defined(BITDROP_API) /* by the compiler's flags: empty for a copy that is not exported */
#elif defined(__GNUC__) && !defined(_WIN32) /* a DLL exports what its .def file lists */
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
    BITDROP_ERR_NULL = 1, /* cfg, shape, soft, a or kept is NULL, or a buffer that the call needs is
                             while there are elements; or a mask is given with
                             BITDROP_MASK_REMADE */
    BITDROP_ERR_PROBABILITY = 2, /* p is NaN or outside [0, 1], or 1 for Gaussian dropout */
    BITDROP_ERR_CONFIG = 3,      /* rounds, scaling, stores, mask_use, parallel, unit, flags, the
                                    activation, the scale of softmax or attention, causal,
                                    causal_first or a reserved member is not as listed */
    BITDROP_ERR_DTYPE = 4,       /* the dtype is not one of bitdrop_dtype */
    BITDROP_ERR_ISA = 5,    /* cfg->isa or BITDROP_ISA is unknown, not built in, or not run here */
    BITDROP_ERR_RANGE = 6,  /* an index passes 2^64 - 1, the elements do not fit in the address
                               space, a stride or pitch is below the row that it steps over, pitch
                               or mask_stride is not 0 with BITDROP_EACH_ROW, first_row + rows
                               passes 2^64, bias_block * bias_repeat does not fit in a size_t; or,
                               in attention, kv_heads does not divide heads, an index_ member is
                               below the part, rows of an output share bytes, or scratch is not
                               aligned to 64 */
    BITDROP_ERR_OVERLAP = 7 /* an output overlaps another buffer without being one that the call
                               allows it to be */
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

enum {
    BITDROP_MASK_STORED = 0, /* the mask argument is written by forward calls and read by backward
                                calls */
    BITDROP_MASK_REMADE = 1 /* no mask in memory: the argument must be NULL, and backward calls make
                               the bits again from the config */
};

enum {
    BITDROP_EACH_ELEMENT = 0, /* each element is kept or dropped by itself */
    BITDROP_EACH_ROW = 1      /* whole rows are: channels of N x C rows, samples (DropPath) */
};

typedef enum bitdrop_activation {
    BITDROP_RELU = 1,      /* max(0, x); x where x is a NaN */
    BITDROP_GELU = 2,      /* x * Phi(x), Phi the standard normal distribution */
    BITDROP_GELU_TANH = 3, /* x / 2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 * x^3))) */
    BITDROP_SILU = 4       /* x / (1 + exp(-x)) */
} bitdrop_activation;

/*
 * An engine's own threads, for a call to be shared out among: bitdrop starts none. run calls
 * task(argument, i) once for each i below tasks, in any order and on any threads, and returns when
 * all of these have. It may be called more than once in a call. The bytes that a call writes do not
 * depend on tasks.
 *
 * run must not throw, nor leave by longjmp. If it leaves out a task, or runs one again after the
 * first time, the call still returns BITDROP_OK: bitdrop does not count tasks. What its outputs and
 * scratch hold is unspecified then, and no other memory is written. A task that runs after run has
 * returned, twice at the same time, or with an i that is not below tasks is undefined behaviour.
 */
typedef struct bitdrop_parallel {
    void (*run)(void *context, size_t tasks, void (*task)(void *argument, size_t index),
                void *argument);
    void *context; /* handed to run */
    size_t tasks;  /* at most so many, usually the number of threads; at least 1. A call has fewer
                      if it is short, and none below 64 Ki elements: run is not called then */
    uint64_t reserved[2]; /* must be 0 */
} bitdrop_parallel;

/*
 * Zero-initialise it, then set what differs: {.p = 0.1, .seed = 42}. The members stand in the order
 * in which people write them, because C++20 wants designated initialisers in order.
 */
typedef struct bitdrop_config {
    double p;             /* probability that an element is dropped, in [0, 1]; exact to 2^-64 */
    uint64_t seed;        /* key of the generator */
    uint32_t stream;      /* independent sequence under the same seed: one for each layer, say */
    uint32_t reserved32;  /* must be 0 */
    uint64_t offset;      /* absolute index, in the stream, of the first element of the whole that
                             this call is about */
    uint8_t rounds;       /* Philox rounds: 0 or 10 = ten, 7 = seven, which is faster */
    uint8_t scaling;      /* BITDROP_SCALE_* */
    uint8_t stores;       /* BITDROP_STORES_* */
    uint8_t isa;          /* bitdrop_isa; another than AUTO forces it for this call */
    uint8_t mask_use;     /* BITDROP_MASK_*: of calls with data and a mask argument */
    uint8_t reserved8[3]; /* must be 0 */
    const bitdrop_parallel
        *parallel;        /* NULL: the calling thread alone. Read during the call only */
    uint64_t reserved[2]; /* must be 0 */
} bitdrop_config;

/*
 * rows x cols elements, which may be a part of a larger matrix. Zero-initialise it, then set what
 * differs: zero stands for the dense value.
 *
 * Index. Row r of this call is row R = first_row + r of the whole, and takes the decisions of mask
 * row m = R / mask_repeat. With EACH_ELEMENT, element (r, c) has the absolute index
 * offset + m * pitch + c, and the mask has a row of bytes for each m. With EACH_ROW, all elements
 * of row r have the index offset + m, and the mask has one bit for each m. The first m of the call
 * is the first row, or bit 0, of its mask.
 *
 * A part cut by rows passes the whole's offset and its own first_row. One cut by columns passes
 * offset + first column and the whole's pitch, or with EACH_ROW the whole's offset.
 */
typedef struct bitdrop_2d {
    size_t rows, cols;
    uint64_t pitch;       /* columns of the whole matrix that this is a part of; 0 = cols. Must be 0
                             with EACH_ROW */
    size_t x_stride;      /* elements between rows of the first input: x, or dy in backward calls;
                             0 = cols */
    size_t y_stride;      /* elements between rows of the output: y, or dx; 0 = cols */
    size_t z_stride;      /* elements between rows of the third matrix: the residual, the x of
                             bitdrop_backward_act, or the prob of the softmax calls; 0 = cols */
    size_t mask_stride;   /* bytes between mask rows, each of which starts at a byte;
                             0 = ceil(cols/8). Must be 0 with EACH_ROW, except in the _act calls */
    size_t mask_repeat;   /* so many rows in succession share one mask row; 0 = 1 */
    uint64_t first_row;   /* row of the whole at which this part begins */
    uint32_t unit;        /* what one decision is about: BITDROP_EACH_ELEMENT or BITDROP_EACH_ROW */
    uint32_t flags;       /* must be 0 */
    uint64_t reserved[3]; /* must be 0 */
} bitdrop_2d;

/*
 * What the softmax calls are told of their rows. Zero-initialise it, then set what differs. R is
 * first_row + r for row r of the call.
 *
 * Row R takes row (R / (bias_block * bias_repeat)) * bias_block + R % bias_block of the bias, which
 * points to row 0 of the whole then. With bias_block = 0 it takes row R - first_row. So for
 * attention over [B, H, Tq, Tk], of which the last dimension is the columns: a bias [Tq, Tk] for
 * all has block Tq and repeat B * H; [B, 1, 1, Tk] has block 1 and repeat H * Tq; [B, 1, Tq, Tk]
 * has block Tq and repeat H; [1, H, Tq, Tk] has block H * Tq and repeat B.
 */
typedef struct bitdrop_softmax {
    double scale;         /* of x, before the bias; 0 = 1. Rounded once to float unless t is f64 */
    const void *bias;     /* elements of dtype t, added to scale * x; -infinity hides. NULL: none */
    size_t bias_stride;   /* elements between rows of the bias; 0 = cols */
    size_t bias_block;    /* rows of the bias that follow one another with those of the matrix */
    size_t bias_repeat;   /* so many times in succession; 0 = 1 */
    uint64_t causal_rows; /* > 0: row R sees the columns c <= causal_first + R % causal_rows only */
    int64_t causal_first; /* must be 0 if causal_rows is */
    void *lse;            /* forward: the log-sum-exp of each row goes here, a double for f64, else
                             a float. NULL: not wanted. Backward calls do not look at it */
    uint64_t reserved[2]; /* must be 0 */
} bitdrop_softmax;

/*
 * Sizes, strides, scale and bias of an attention call, and what each query sees. Zero-initialise
 * it, then set what differs.
 *
 * Strides are in elements: from sample to sample, from head to head, from row to row. The elements
 * of a row lie together. Three strides of 0 stand for a dense tensor [batch, heads, rows,
 * elements]. Heads that a projection left as [B, T, H, D] have {T * H * D, D, H * D}. In q, k and v
 * a stride of 0 from sample to sample, or from head to head, repeats the tensor; gradients cannot
 * be repeated.
 *
 * The bias is the exception: each of its strides that is 0 repeats it, so that three are one row of
 * `keys` elements for all. [Tq, Tk] has {0, 0, Tk}; the padding of each sample, [B, 1, 1, Tk], has
 * {Tk, 0, 0}.
 */
typedef struct bitdrop_attention {
    size_t batch, heads;
    size_t kv_heads;      /* heads of k and v; divides heads, so that heads / kv_heads in succession
                             share one (grouped queries, Ainslie et al., EMNLP 2023); 0 = heads */
    size_t queries, keys; /* rows of q and out; rows of k and v */
    size_t dim, v_dim;    /* elements of a row of q and k; of v and out, 0 = dim */
    double scale;         /* of q k^T; 0 = 1/sqrt(dim). Rounded once to float unless t is f64 */
    size_t q_strides[3], k_strides[3], v_strides[3], out_strides[3]; /* of their gradients too */
    const void *bias; /* elements of dtype t, added to the scaled scores; -infinity hides. Rows
                         of `keys` elements; NULL: none */
    size_t bias_strides[3]; /* from sample to sample, head to head, query to query */
    uint32_t causal;        /* 1: query i sees the keys j <= i + causal_first only; 0: all */
    uint32_t flags;         /* must be 0 */
    int64_t causal_first;   /* must be 0 if causal is. With a cache of keys: keys - queries */
    size_t index_heads, index_queries, index_keys; /* of the whole, where this call is about a part
                               of it, with offset and causal_first moved along; 0 = heads, queries,
                               keys */
    uint64_t reserved[4];                          /* must be 0 */
} bitdrop_attention;

/*
 * The calls. Common to all:
 *
 * - x, y, dy, dx, a residual are n (or rows x cols) elements of dtype t, aligned as elements. A
 * bias is cols elements. The output may be the first input (y == x, dx == dy), and others where a
 * call says so, with the same stride. An output or a written mask overlaps no other buffer; inputs
 * may overlap one another.
 * - mask is bitdrop_mask_bytes(n) or bitdrop_mask_2d_bytes(shape) bytes of any alignment. Bit i % 8
 *   of byte i / 8 belongs to element i, 1 = kept; the bits past the last are written as 0 and never
 *   read. With BITDROP_MASK_REMADE it must be NULL.
 * - Nothing outside these buffers is read or written, in 2-D nothing outside the rows.
 * - For n == 0 buffers may be NULL, and cfg, shape, dtype and ISA are still checked.
 * - All stores are ordered before the return, so that an ordinary release publishes them.
 *
 * D is dropout: a kept element becomes x * scale, a dropped one +0 whatever it was. scale = 1/(1-p)
 * is computed in double and rounded once to float (f64 keeps the double); it is 1 with
 * BITDROP_SCALE_INFER. D' does the same to a gradient, by the bits of the forward call.
 *
 * Except in attention, each step of a formula is one IEEE operation in f32 (f64 for f64), in the
 * order in which it stands; f16 and bf16 are read to f32 and rounded once at the end, to nearest
 * even. No denormal is flushed unless the caller has set FTZ or DAZ, or by ARMv7's NEON, where
 * those of f32 and bf16 may become 0. A signalling NaN becomes quiet; the sign and payload of a NaN
 * input stay on x86, AArch64 and s390x only, and not where two NaNs meet.
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
 * dx = D'(dy): dy times scale where the mask keeps, +0 elsewhere. It obeys a stored mask at any p,
 * and then seed, stream and offset are not looked at, and rounds only checked.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_backward(const bitdrop_config *cfg,
                                                               bitdrop_dtype t, size_t n,
                                                               const void *dy, void *dx,
                                                               const uint8_t *mask);

/*
 * bitdrop_forward with BITDROP_MASK_REMADE, whatever mask_use says; on dy with the same cfg it is
 * the backward pass of such a forward pass.
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

/* The same on rows x cols elements. Where no bits are made the pitch is only checked. */
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

/*
 * y = residual + D(x + bias). A NULL bias or residual is left out, and so is its rounding. -0 is
 * kept: without a residual, and where x + bias is -0. y may be x, the residual, or both.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status
bitdrop_forward_add(const bitdrop_config *cfg, bitdrop_dtype t, const bitdrop_2d *shape,
                    const void *x, const void *bias, const void *residual, void *y, uint8_t *mask);

/*
 * dx = residual + D'(dy). With dx == residual it accumulates; dx may also be dy. A NULL residual is
 * left out.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status
bitdrop_backward_add(const bitdrop_config *cfg, bitdrop_dtype t, const bitdrop_2d *shape,
                     const void *dy, const void *residual, void *dx, const uint8_t *mask);

/*
 * y = D(act(x + bias)), bias may be NULL. An activation that is not listed is BITDROP_ERR_CONFIG.
 *
 * GELU, GELU_TANH and SILU are off by at most 3e-7 * max(1, |x + bias|) in f32, 1e-14 likewise in
 * f64, times the scale, and rounding. Values are the same on all ISAs and machines for one version
 * of SLEEF on CPUs with FMA: bitdrop_math() says which.
 *
 * BITDROP_RELU keeps one bit an element and nothing else: kept and not (x + bias <= 0), compared
 * before any rounding to a half type. y = (x + bias) * scale where the bit is 1, else +0. A stored
 * mask has that bit of each element, in rows of mask_stride bytes, whatever unit and mask_repeat
 * say: (rows - 1) * mask_stride + ceil(cols/8) bytes.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_forward_act(
    const bitdrop_config *cfg, bitdrop_dtype t, const bitdrop_2d *shape, bitdrop_activation act,
    const void *x, const void *bias, void *y, uint8_t *mask);

/*
 * dx = D'(dy) * act'(x + bias); for BITDROP_RELU dy * scale where the bit of the forward call is 1,
 * else +0. With a stored mask of RELU x and bias are not looked at and may be NULL. The others are
 * off by as much as the forward call, times |dy|. dx may be dy or x.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_backward_act(
    const bitdrop_config *cfg, bitdrop_dtype t, const bitdrop_2d *shape, bitdrop_activation act,
    const void *dy, const void *x, const void *bias, void *dx, const uint8_t *mask);

/*
 * y = D(prob), prob = softmax(scale * x + bias) of each row, as attention has it (Vaswani et al.,
 * "Attention is all you need", NIPS 2017, section 3.2). With t = scale * x + bias,
 * prob = exp(t - max) / sum of exp(t - max). prob, which has z_stride, may be NULL if it is not
 * wanted. y or prob may be x, with the same stride, and are apart.
 *
 * y is rounded once, from a prob that was not rounded to a half type. Columns that a row does not
 * see (causal_rows) are not read, and are +0 in prob and y. A row that sees nothing, or only
 * -infinity, has prob and y +0. In a row that sees a NaN or +infinity all prob that it sees is NaN.
 * docs/reference.md has the order of additions and the error, 1e-6 and rounding in f32. Values are
 * the same on all ISAs and machines for one version of SLEEF on CPUs with FMA: bitdrop_math() says
 * which. Tasks of cfg->parallel get whole rows.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_forward_softmax(
    const bitdrop_config *cfg, bitdrop_dtype t, const bitdrop_2d *shape,
    const bitdrop_softmax *soft, const void *x, void *prob, void *y, uint8_t *mask);

/*
 * dx = scale * prob * (g - sum of g * prob over the row), g = D'(dy), with the prob and the soft of
 * the forward call; its bias and lse are not looked at. What a row does not see is not read, and dx
 * is +0 there. dx may be dy or prob.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_backward_softmax(
    const bitdrop_config *cfg, bitdrop_dtype t, const bitdrop_2d *shape,
    const bitdrop_softmax *soft, const void *dy, const void *prob, void *dx, const uint8_t *mask);

/*
 * Alpha dropout (Klambauer et al., "Self-normalizing neural networks", NIPS 2017, section "New
 * dropout technique"): y = a * x + b where kept and the constant d where dropped, which keeps mean
 * 0 and variance 1. At p = 1 y is +0. docs/reference.md has a, b and d. scaling has no effect.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_forward_alpha(const bitdrop_config *cfg,
                                                                    bitdrop_dtype t,
                                                                    const bitdrop_2d *shape,
                                                                    const void *x, void *y,
                                                                    uint8_t *mask);

/* dx = a * dy where kept, +0 elsewhere. */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_backward_alpha(const bitdrop_config *cfg,
                                                                     bitdrop_dtype t,
                                                                     const bitdrop_2d *shape,
                                                                     const void *dy, void *dx,
                                                                     const uint8_t *mask);

/*
 * Gaussian dropout (Srivastava et al., 2014, section 10): y = x * (1 + sqrt(p/(1-p)) * N), where N
 * is standard normal noise, a number for each index, so with BITDROP_EACH_ROW one a row. On dy with
 * the same cfg and shape it is its own backward pass. There is no mask; scaling and mask_use have
 * no effect. p = 1 is BITDROP_ERR_PROBABILITY. Inference is the identity.
 *
 * N is a function of (seed, stream, rounds, index) and is made by Box and Muller's formula in f32,
 * for f64 too: |N| is at most 6.67. Values are the same as far as those of GELU are.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_gaussian(const bitdrop_config *cfg,
                                                               bitdrop_dtype t,
                                                               const bitdrop_2d *shape,
                                                               const void *x, void *y);

/*
 * Attention: out = D(softmax(scale * q k^T + bias)) v for each head (Vaswani et al., 2017, section
 * 3.2; computed in blocks as Dao et al., "FlashAttention", NeurIPS 2022), with dropout on the
 * probabilities, none of which is kept. Probability (b, h, i, j) has the absolute index
 * offset + ((b * index_heads + h) * index_queries + i) * index_keys + j, so a mask has the bits of
 * bitdrop_forward_softmax on the matrix of all scores.
 *
 * - q, k, v, out: [batch, heads or kv_heads, queries or keys, dim or v_dim], with the strides of a.
 * - lse: the log-sum-exp of each row, batch * heads * queries doubles for f64, else floats. The
 *   backward pass needs it; NULL: not wanted.
 * - mask: batch * heads * queries rows of ceil(keys/8) bytes, or NULL with BITDROP_MASK_REMADE. At
 *   inference pass p = 0 and BITDROP_MASK_REMADE: then no bits are made.
 * - scratch: bitdrop_attention_scratch_bytes() bytes, aligned to 64. What it holds does not matter
 *   before the call or after. Calls at the same time need one each.
 *
 * No output may be an input, and none may overlap another buffer; rows may lie in the gaps of
 * another tensor. If batch, heads, queries, keys or dim is 0, nothing is written.
 *
 * Half types are computed in f32, f64 in f64. Values are the same for any number of tasks, and
 * where samples or heads are cut among calls. Between ISAs they differ by the order of the sums;
 * the mask is the same. Rows that see nothing have out 0 and lse -infinity. In a row that sees a
 * NaN or +infinity among its scores all probabilities are NaN. A key that is dropped or not seen
 * has the probability 0. v is multiplied by it or left out, so an infinity or a NaN of v may make a
 * NaN there. docs/reference.md has the formulas, the parts, and what else is the same.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_attention_forward(
    const bitdrop_config *cfg, bitdrop_dtype t, const bitdrop_attention *a, const void *q,
    const void *k, const void *v, void *out, void *lse, uint8_t *mask, void *scratch);

/*
 * The gradients of q, k and v, which have the strides of these, from dout, which has those of out.
 * a, out, lse and mask are those of the forward call, and so is cfg with BITDROP_MASK_REMADE.
 * Gradients of k and v are sums over the heads that share them. The bias has no gradient.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_attention_backward(
    const bitdrop_config *cfg, bitdrop_dtype t, const bitdrop_attention *a, const void *dout,
    const void *q, const void *k, const void *v, const void *out, const void *lse, void *dq,
    void *dk, void *dv, const uint8_t *mask, void *scratch);

/*
 * Bytes of scratch memory for either call with these arguments: the sizes of a, whether it has a
 * bias, t, the ISA, and the tasks of cfg->parallel. 0 if cfg, t or a is wrong, or has no elements.
 */
BITDROP_API size_t bitdrop_attention_scratch_bytes(const bitdrop_config *cfg, bitdrop_dtype t,
                                                   const bitdrop_attention *a);

/*
 * Masks. count, unpack and pack have no config; bits past n are neither read nor counted, and are
 * packed as 0. Their statuses are OK, ERR_NULL, ERR_RANGE and ERR_OVERLAP.
 */

/* *kept = how many of n bits are 1; 0 for n == 0. */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_mask_count(size_t n, const uint8_t *mask,
                                                                 size_t *kept);

/* bytes[i] = bit i, 0 or 1. */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_mask_unpack(size_t n, const uint8_t *mask,
                                                                  uint8_t *bytes);

/* Bit i = bytes[i] != 0. */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_mask_pack(size_t n, const uint8_t *bytes,
                                                                uint8_t *mask);

/*
 * The mask of DropBlock (Ghiasi, Lin, Le, "DropBlock: a regularization method for convolutional
 * networks", NeurIPS 2018, section 3): squares of block x block elements are dropped in each of
 * `planes` planes of height x width, so that about cfg->p of all elements is. The mask is
 * planes * height rows of ceil(width/8) bytes. kept, unless NULL, gets the number of its ones.
 * To apply it: bitdrop_backward_2d with cfg.p = 1 - kept / total, on x and on dy alike.
 * A block of 0, or above the smaller of height and width, is BITDROP_ERR_RANGE.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_mask_dropblock(const bitdrop_config *cfg,
                                                                     size_t planes, size_t height,
                                                                     size_t width, size_t block,
                                                                     uint8_t *mask, size_t *kept);

/* Bytes of a mask of n elements: ceil(n/8). */
BITDROP_API size_t bitdrop_mask_bytes(size_t n);

/*
 * Bytes of the mask of a shape. 0 if it is NULL, has no elements, or needs more than fits. A mask
 * of BITDROP_RELU needs (rows - 1) * mask_stride + ceil(cols/8) instead.
 */
BITDROP_API size_t bitdrop_mask_2d_bytes(const bitdrop_2d *shape);

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

/* The same as major * 10000 + minor * 100 + patch. */
BITDROP_API int bitdrop_version_number(void);

/*
 * Where exp and its like come from: "sleef 3.5.1", the version that the library was compiled
 * against, or "libm".
 */
BITDROP_API const char *bitdrop_math(void);

/*
 * Bytes of the structures, for bindings that copy their layouts: check at load that
 * bitdrop_version_number() / 100 is the version that the binding was written for, then these.
 */
BITDROP_API size_t bitdrop_sizeof_config(void);
BITDROP_API size_t bitdrop_sizeof_2d(void);
BITDROP_API size_t bitdrop_sizeof_softmax(void);
BITDROP_API size_t bitdrop_sizeof_parallel(void);
BITDROP_API size_t bitdrop_sizeof_attention(void);

#ifdef __cplusplus
}
#endif

#endif /* BITDROP_H */
