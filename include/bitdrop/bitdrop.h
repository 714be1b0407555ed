/* SPDX-License-Identifier: Apache-2.0 */

/*
 * bitdrop: dropout with packed masks, the same bits on every machine.
 *
 * Dropout (Srivastava et al., JMLR 15, 2014) zeroes each element of a tensor with probability p
 * during training. In bitdrop every mask bit is a pure function of (seed, stream, rounds, p,
 * element index). Philox4x32 (Salmon et al., SC'11) makes random bits, which are compared with p to
 * 64 bits. A mask does not depend on the ISA, on the number of threads, or on how a tensor is cut
 * into calls. In the source tree, docs/stream.md defines every bit, and docs/reference.md says more
 * about each call.
 *
 * Seeds, streams and offsets. Use one seed for a run, and one stream for each layer or call site.
 * At each step, advance offset by the number of indices that the whole tensor used over all ranks:
 *
 *     its number of elements                 if each element has its own decision
 *     ceil(rows / mask_repeat) * pitch       if rows share mask rows
 *     ceil(rows / mask_repeat)               with BITDROP_EACH_ROW
 *     batch * heads * queries * keys         in attention
 *
 * Two calls with the same seed, stream and indices have the same mask, if p and rounds are the same
 * too. Recomputation relies on this. Never use the same seed, stream and indices for two tensors
 * that should be independent.
 *
 * Cutting a flat tensor among threads or calls. The call on elements [b, e) passes offset + b, and
 * pointers to element b. The values are those of one call on the whole, wherever the cuts are. If b
 * is a multiple of 8, the part may use the mask of the whole, from byte b / 8 on. Otherwise it
 * needs a mask of its own, whose bit 0 belongs to element b. A cut costs nothing if its absolute
 * index, offset + b, is a multiple of 2048.
 *
 * Any thread may call any function at any time. The library never prints. It allocates nothing,
 * starts no threads and changes no floating-point control. At the first call it reads the features
 * of this CPU and the environment variable BITDROP_ISA, and it keeps no other state. If the
 * variable is unset, empty or "auto", calls use the best ISA for this CPU. An optimised build needs
 * at most 32 KiB of stack in a call. The library assumes rounding to nearest. It may raise
 * floating-point status flags, for dropped elements too.
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

#if defined(BITDROP_API) /* compiler flags may define it as empty, to export nothing */
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

/* What a call returns. Errors are checked in this order. A call that fails has written nothing. */
typedef enum bitdrop_status {
    BITDROP_OK = 0,
    BITDROP_ERR_NULL = 1, /* cfg, shape, soft, a or kept is NULL; a buffer that the call needs is
                             NULL, and there are elements; or a mask is given with
                             BITDROP_MASK_REMADE */
    BITDROP_ERR_PROBABILITY = 2, /* p is NaN or outside [0, 1], or 1 for Gaussian dropout */
    BITDROP_ERR_CONFIG = 3,      /* one of these has a value that is not allowed: rounds, scaling,
                                    stores, mask_use, parallel, unit, flags, the activation, the
                                    scale of softmax or attention, causal, causal_first, or a
                                    reserved member */
    BITDROP_ERR_DTYPE = 4,       /* the dtype is not one of bitdrop_dtype */
    BITDROP_ERR_ISA = 5,         /* cfg->isa, or else BITDROP_ISA, is unknown, not built in, or not
                                    supported by this CPU */
    BITDROP_ERR_RANGE = 6,  /* an index is above 2^64 - 1; the elements do not fit in the address
                               space; a stride or pitch is shorter than its row; pitch or
                               mask_stride must be 0 with BITDROP_EACH_ROW and is not; first_row +
                               rows is above 2^64; bias_block * bias_repeat does not fit in a
                               size_t; a block of DropBlock does not fit in its plane; or in
                               attention: kv_heads does not divide heads, index_heads,
                               index_queries or index_keys is below heads, queries or keys (and
                               not 0), rows of an output share bytes, or scratch is not aligned to
                               64 bytes */
    BITDROP_ERR_OVERLAP = 7 /* an output overlaps another buffer in a way that the call does not
                               allow */
} bitdrop_status;

typedef enum bitdrop_dtype {
    BITDROP_F32 = 0,
    BITDROP_F64 = 1,
    BITDROP_F16 = 2, /* IEEE 754 binary16 */
    BITDROP_BF16 = 3 /* bfloat16: the upper half of an f32 */
} bitdrop_dtype;

typedef enum bitdrop_isa {
    BITDROP_ISA_AUTO = 0,   /* what the variable BITDROP_ISA names, or else the best for this CPU */
    BITDROP_ISA_SCALAR = 1, /* plain C: built in everywhere */
    BITDROP_ISA_AVX2 = 2,   /* x86-64 with AVX2, FMA, F16C and BMI2 */
    BITDROP_ISA_AVX512 = 3, /* x86-64 with AVX-512 F, BW, DQ and VL */
    BITDROP_ISA_NEON = 4    /* AArch64, and ARMv7 with NEON */
} bitdrop_isa;

enum {
    BITDROP_SCALE_TRAIN = 0, /* scale 1/(1-p) in training, none at inference (inverted dropout) */
    BITDROP_SCALE_INFER = 1  /* none in training, 1-p at inference (Srivastava et al., 2014) */
};

enum {
    BITDROP_STORES_AUTO = 0,     /* streaming if x and y together exceed the last-level cache */
    BITDROP_STORES_CACHED = 1,   /* through the caches: use it if y is read again soon, for example
                                    by the next layer */
    BITDROP_STORES_STREAMING = 2 /* past the caches: use it for the parts of a tensor that as a
                                    whole exceeds the last-level cache */
};

enum {
    BITDROP_MASK_STORED = 0, /* forward calls write the mask argument, and backward calls read it */
    BITDROP_MASK_REMADE = 1 /* no mask in memory: the mask argument must be NULL, and backward calls
                               make the bits again from the config */
};

enum {
    BITDROP_EACH_ELEMENT = 0, /* each element is kept or dropped by itself */
    BITDROP_EACH_ROW = 1      /* each row is kept or dropped as a whole: for channels (N x C rows),
                                 or samples (DropPath) */
};

typedef enum bitdrop_activation {
    BITDROP_RELU = 1,      /* max(0, x), and x if x is a NaN */
    BITDROP_GELU = 2,      /* x * Phi(x), where Phi is the standard normal distribution function */
    BITDROP_GELU_TANH = 3, /* x / 2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 * x^3))) */
    BITDROP_SILU = 4       /* x / (1 + exp(-x)) */
} bitdrop_activation;

/*
 * Runs a call on the caller's own threads: bitdrop starts none. run must call task(argument, i)
 * once for each i below tasks, in any order and on any threads. It must return when all of these
 * calls have returned, and not before. One call of bitdrop may call run more than once. The bytes
 * that it writes do not depend on tasks.
 *
 * run must not throw an exception, and must not leave by longjmp. bitdrop does not count tasks: if
 * run leaves out a task, or runs one again after it has ended, the call still returns BITDROP_OK.
 * The outputs and scratch then have unspecified contents, and no other memory is written. Behaviour
 * is undefined if a task runs after run has returned, twice at the same time, or with an i that is
 * not below tasks.
 */
typedef struct bitdrop_parallel {
    void (*run)(void *context, size_t tasks, void (*task)(void *argument, size_t index),
                void *argument);
    void *context; /* passed to run */
    size_t tasks;  /* the most tasks of a call, at least 1: usually the number of threads. Short
                      calls have fewer. Below 64 Ki elements run is not called */
    uint64_t reserved[2]; /* must be 0 */
} bitdrop_parallel;

/*
 * Zero-initialise it, then set the members that differ: {.p = 0.1, .seed = 42}. C++20 accepts
 * designated initialisers only in the order of the members, so those that are set most often come
 * first.
 */
typedef struct bitdrop_config {
    double p;            /* probability that an element is dropped, in [0, 1]; exact to 2^-64 */
    uint64_t seed;       /* key of the generator */
    uint32_t stream;     /* independent sequence of the same seed, for example one for each layer */
    uint32_t reserved32; /* must be 0 */
    uint64_t offset;     /* absolute index, in the stream, of the first element. For a part of a
                            matrix see bitdrop_2d */
    uint8_t rounds;      /* Philox rounds: 10, or 7, which is faster; 0 means 10 */
    uint8_t scaling;     /* BITDROP_SCALE_* */
    uint8_t stores;      /* BITDROP_STORES_* */
    uint8_t isa;         /* bitdrop_isa: any value except AUTO forces that ISA for this call */
    uint8_t mask_use;    /* BITDROP_MASK_*, for calls with data and a mask argument */
    uint8_t reserved8[3];             /* must be 0 */
    const bitdrop_parallel *parallel; /* NULL: the calling thread alone. Not read after the call */
    uint64_t reserved[2];             /* must be 0 */
} bitdrop_config;

/*
 * rows x cols elements, which may be a part of a larger matrix, called the whole. Zero-initialise
 * it, then set the members that differ: 0 stands for the value of a dense matrix.
 *
 * Index. Row r of this call is row R = first_row + r of the whole. The decisions about its elements
 * are those of mask row m = R / mask_repeat (rounded down). With BITDROP_EACH_ELEMENT, element
 * (r, c) has the absolute index offset + m * pitch + c, and the mask has a row of bytes for each m.
 * With BITDROP_EACH_ROW, all elements of row r have the index offset + m, and the mask has one bit
 * for each m. The mask of a call begins with the row, or the bit, of the first m of the call.
 *
 * A part that is cut by rows passes the offset of the whole, and its own first_row. A part that is
 * cut by columns passes offset + its first column, and the pitch of the whole. With
 * BITDROP_EACH_ROW it passes the offset of the whole, because all columns have the same decisions.
 */
typedef struct bitdrop_2d {
    size_t rows, cols;  /* of this call */
    uint64_t pitch;     /* columns of the whole; 0 = cols. Must be 0 with BITDROP_EACH_ROW */
    size_t x_stride;    /* elements between rows of the first input: x, or dy in backward calls;
                           0 = cols */
    size_t y_stride;    /* elements between rows of the output: y, or dx; 0 = cols */
    size_t z_stride;    /* elements between rows of the third matrix: the residual, the x of
                           bitdrop_backward_act, or the prob of the softmax calls; 0 = cols */
    size_t mask_stride; /* bytes between mask rows, each of which starts at a byte;
                           0 = ceil(cols/8). Must be 0 with BITDROP_EACH_ROW, except in calls with
                           BITDROP_RELU */
    size_t mask_repeat; /* number of successive rows of the whole that share one mask row; 0 = 1 */
    uint64_t first_row; /* row of the whole at which this part begins */
    uint32_t unit;      /* what one decision is about: BITDROP_EACH_ELEMENT or BITDROP_EACH_ROW */
    uint32_t flags;     /* must be 0 */
    uint64_t reserved[3]; /* must be 0 */
} bitdrop_2d;

/*
 * Scale, bias and visible columns of the rows of a softmax call. Zero-initialise it, then set the
 * members that differ. R is first_row + r for row r of the call.
 *
 * Bias. With bias_block = 0, row R - first_row of the bias is added to row R: bias points to what
 * is added to the first row of the call. Otherwise it points to what is added to row 0 of the
 * whole, and row (R / (bias_block * bias_repeat)) * bias_block + R % bias_block of it is added to
 * row R. For example, with scores [B, H, Tq, Tk], of which the columns are Tk:
 *
 *     bias [Tq, Tk]             bias_block Tq         bias_repeat B * H
 *     bias [B, 1, 1, Tk]        bias_block 1          bias_repeat H * Tq
 *     bias [B, 1, Tq, Tk]       bias_block Tq         bias_repeat H
 *     bias [1, H, Tq, Tk]       bias_block H * Tq     bias_repeat B
 */
typedef struct bitdrop_softmax {
    double scale;       /* x is multiplied by it, before the bias is added; 0 = 1. Rounded once to
                           float unless t is BITDROP_F64 */
    const void *bias;   /* elements of dtype t, added to scale * x. -infinity hides a column.
                           NULL: none */
    size_t bias_stride; /* elements between rows of the bias; 0 = cols */
    size_t bias_block;  /* rows of a block of the bias: successive rows R use them in this order */
    size_t bias_repeat; /* how many times in succession the rows R use a block; 0 = 1 */
    uint64_t causal_rows; /* > 0: row R sees only the columns c <= causal_first + R % causal_rows.
                             0: each row sees all columns */
    int64_t causal_first; /* must be 0 if causal_rows is 0 */
    void *lse;            /* forward calls write the log-sum-exp of each row here: doubles if t is
                             BITDROP_F64, else floats. NULL: not wanted. Backward calls ignore it */
    uint64_t reserved[2]; /* must be 0 */
} bitdrop_softmax;

/*
 * Sizes, strides, scale and bias of an attention call, and which keys each query sees.
 * Zero-initialise it, then set the members that differ.
 *
 * Strides are in elements: from sample to sample, from head to head, from row to row. The elements
 * of a row are adjacent. If all three strides are 0, the tensor is dense: [batch, heads, rows,
 * elements]. A tensor [B, T, H, D], as a projection leaves it, has the strides
 * {T * H * D, D, H * D}. In q, k and v, a stride of 0 from sample to sample, or from head to head,
 * repeats the tensor. The backward call refuses that, because gradients have the same strides and
 * their rows would share bytes.
 *
 * The bias has another rule: each of its strides that is 0 repeats it. So three strides of 0 mean
 * one row of `keys` elements for all queries. A bias [Tq, Tk] has {0, 0, Tk}. The padding of each
 * sample, [B, 1, 1, Tk], has {Tk, 0, 0}.
 */
typedef struct bitdrop_attention {
    size_t batch, heads;  /* samples; heads of q and out */
    size_t kv_heads;      /* heads of k and v. Must divide heads: each of them belongs to heads /
                             kv_heads successive heads of q (grouped queries, Ainslie et al., EMNLP
                             2023); 0 = heads */
    size_t queries, keys; /* rows of q and out; rows of k and v */
    size_t dim, v_dim;    /* elements of a row of q and k; of a row of v and out, 0 = dim */
    double scale; /* q k^T is multiplied by it; 0 = 1/sqrt(dim). Rounded once to float unless
                     t is BITDROP_F64 */
    size_t q_strides[3], k_strides[3], v_strides[3], out_strides[3]; /* gradients have the same */
    const void *bias; /* rows of `keys` elements of dtype t, added to the scaled scores. -infinity
                         hides a key. NULL: none */
    size_t bias_strides[3]; /* from sample to sample, head to head, query to query */
    uint32_t causal;        /* 1: query i sees only the keys j <= i + causal_first; 0: all keys */
    uint32_t flags;         /* must be 0 */
    int64_t causal_first;   /* must be 0 if causal is 0. With a cache of keys: keys - queries */
    size_t index_heads, index_queries, index_keys; /* heads, queries and keys of the whole, if this
                               call is about a part of it; 0 = those of the call. docs/reference.md
                               says which offset and causal_first a part passes */
    uint64_t reserved[4];                          /* must be 0 */
} bitdrop_attention;

/*
 * The calls. Rules for all of them:
 *
 * - x, y, dy, dx and a residual have n (or rows x cols) elements of dtype t, and are aligned to an
 *   element. A bias has cols elements. The output may be the first input (y == x, dx == dy), or
 *   another input if the call says so, with the same stride. Otherwise an output, or a mask that is
 *   written, must not overlap any other buffer. Inputs may overlap one another.
 * - mask has bitdrop_mask_bytes(n) or bitdrop_mask_2d_bytes(shape) bytes, at any address. Bit i % 8
 *   of byte i / 8 belongs to element i, and 1 means kept. Bits past the last one are written as 0
 *   and never read. With BITDROP_MASK_REMADE mask must be NULL.
 * - No byte outside these buffers is read or written. In two dimensions the gaps between rows are
 *   outside.
 * - If there are no elements, buffers may be NULL. cfg, shape, dtype and ISA are still checked.
 * - All stores are ordered before the call returns, so an ordinary release publishes them to other
 *   threads.
 *
 * D is dropout: a kept element becomes x * scale. A dropped element becomes +0, even if it is a NaN
 * or an infinity. scale = 1/(1-p) is computed in double and rounded once to float (for f64 it stays
 * a double). With BITDROP_SCALE_INFER it is 1. D' does the same to a gradient, with the bits of the
 * forward call.
 *
 * Except in attention, each step of a formula is one IEEE operation in f32 (in f64 for f64), in the
 * order in which the formula has it. f16 and bf16 are converted to f32 exactly, and the result is
 * rounded once, at the end, to nearest even. Denormals are kept, unless the caller has set FTZ or
 * DAZ. ARMv7's NEON may replace those of f32 and bf16 by 0. A signalling NaN becomes quiet. The
 * sign and payload of a NaN input are kept on x86, AArch64 and s390x only, and not where an
 * operation has two NaNs.
 */

/* Writes the mask alone: bit i is 1 if element i is kept. */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_mask(const bitdrop_config *cfg, size_t n,
                                                           uint8_t *mask);

/* The training step: y = D(x), and the mask that the backward pass needs. */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_forward(const bitdrop_config *cfg,
                                                              bitdrop_dtype t, size_t n,
                                                              const void *x, void *y,
                                                              uint8_t *mask);

/*
 * dx = D'(dy): dy * scale where the mask bit is 1, else +0. A stored mask alone decides what is
 * kept, at any p. Then seed, stream and offset are ignored, and rounds is only checked.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_backward(const bitdrop_config *cfg,
                                                               bitdrop_dtype t, size_t n,
                                                               const void *dy, void *dx,
                                                               const uint8_t *mask);

/*
 * bitdrop_forward with BITDROP_MASK_REMADE, whatever mask_use is. On dy, with the same cfg, it is
 * the backward pass.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_recompute(const bitdrop_config *cfg,
                                                                bitdrop_dtype t, size_t n,
                                                                const void *x, void *y);

/*
 * Inference. With BITDROP_SCALE_TRAIN it copies x. With BITDROP_SCALE_INFER y = x * (1-p), and +0
 * at p = 1. seed, stream and offset are ignored, and rounds is only checked.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_infer(const bitdrop_config *cfg,
                                                            bitdrop_dtype t, size_t n,
                                                            const void *x, void *y);

/* The same on rows x cols elements. A call that makes no bits only checks pitch. */
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
 * y = residual + D(x + bias). A NULL bias or residual is left out, and so is its rounding. So with
 * a NULL residual, y is -0 where a kept x + bias is -0. y may be x, the residual, or both.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status
bitdrop_forward_add(const bitdrop_config *cfg, bitdrop_dtype t, const bitdrop_2d *shape,
                    const void *x, const void *bias, const void *residual, void *y, uint8_t *mask);

/*
 * dx = residual + D'(dy). With dx == residual it accumulates. dx may also be dy. A NULL residual is
 * left out.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status
bitdrop_backward_add(const bitdrop_config *cfg, bitdrop_dtype t, const bitdrop_2d *shape,
                     const void *dy, const void *residual, void *dx, const uint8_t *mask);

/*
 * y = D(act(x + bias)). A NULL bias is left out. An act that is not a bitdrop_activation is
 * BITDROP_ERR_CONFIG.
 *
 * The error of GELU, GELU_TANH and SILU, before the scale and rounding, is at most
 * 3e-7 * max(1, |x + bias|), and in f64 1e-14 * max(1, |x + bias|). Their values depend on
 * bitdrop_math(). With one version of SLEEF they are the same on all ISAs and machines with FMA.
 *
 * The backward pass of BITDROP_RELU needs one bit for each element, and nothing else. The bit is 1
 * if the element is kept and not (x + bias <= 0), compared before x + bias is rounded to a half
 * type. y = (x + bias) * scale where the bit is 1, else +0. A stored mask holds this bit of each
 * element, in rows that are mask_stride bytes apart, whatever unit and mask_repeat are. So it has
 * (rows - 1) * mask_stride + ceil(cols/8) bytes.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_forward_act(
    const bitdrop_config *cfg, bitdrop_dtype t, const bitdrop_2d *shape, bitdrop_activation act,
    const void *x, const void *bias, void *y, uint8_t *mask);

/*
 * dx = D'(dy) * act'(x + bias). With BITDROP_RELU dx = dy * scale where the bit of the forward call
 * is 1, else +0. If that mask is stored, x and bias are ignored and may be NULL. For the others,
 * the error of act' has the same bound as that of act. dx may be dy or x.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_backward_act(
    const bitdrop_config *cfg, bitdrop_dtype t, const bitdrop_2d *shape, bitdrop_activation act,
    const void *dy, const void *x, const void *bias, void *dx, const uint8_t *mask);

/*
 * y = D(prob), where prob = softmax(scale * x + bias) of each row, as in attention (Vaswani et al.,
 * "Attention is all you need", NIPS 2017, section 3.2). With score = scale * x + bias, and max the
 * greatest score of the row, prob = exp(score - max) / sum of exp(score - max). prob has z_stride,
 * and may be NULL if it is not wanted. y or prob may be x, with the same stride. y and prob must
 * not overlap.
 *
 * y is computed from prob before prob is rounded to a half type. Columns that a row does not see
 * (causal_rows) are not read, and their prob and y are +0. If a row sees no column, or only scores
 * of -infinity, its prob and y are +0. If it sees a score that is a NaN or +infinity, prob is a NaN
 * in all columns that it sees. docs/reference.md has the order of the additions, and the bound of
 * the relative error: 1e-6 plus rounding in f32. Values depend on bitdrop_math(). With one version
 * of SLEEF they are the same on all ISAs and machines with FMA. A task of cfg->parallel has whole
 * rows.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_forward_softmax(
    const bitdrop_config *cfg, bitdrop_dtype t, const bitdrop_2d *shape,
    const bitdrop_softmax *soft, const void *x, void *prob, void *y, uint8_t *mask);

/*
 * dx = scale * prob * (g - sum of g * prob over the row), where g = D'(dy). prob and soft are those
 * of the forward call. soft->bias and soft->lse are ignored. Columns that a row does not see are
 * not read, and their dx is +0. dx may be dy or prob.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_backward_softmax(
    const bitdrop_config *cfg, bitdrop_dtype t, const bitdrop_2d *shape,
    const bitdrop_softmax *soft, const void *dy, const void *prob, void *dx, const uint8_t *mask);

/*
 * Alpha dropout (Klambauer et al., "Self-normalizing neural networks", NIPS 2017, section "New
 * dropout technique"): y = a * x + b where kept, and the constant d where dropped. This keeps mean
 * 0 and variance 1. At p = 1 y is +0. docs/reference.md has a, b and d. scaling has no effect.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_forward_alpha(const bitdrop_config *cfg,
                                                                    bitdrop_dtype t,
                                                                    const bitdrop_2d *shape,
                                                                    const void *x, void *y,
                                                                    uint8_t *mask);

/* dx = a * dy where kept, else +0. */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_backward_alpha(const bitdrop_config *cfg,
                                                                     bitdrop_dtype t,
                                                                     const bitdrop_2d *shape,
                                                                     const void *dy, void *dx,
                                                                     const uint8_t *mask);

/*
 * Gaussian dropout (Srivastava et al., 2014, section 10): y = x * (1 + sqrt(p/(1-p)) * N). N is
 * standard normal noise, one number for each index, so with BITDROP_EACH_ROW all elements of a row
 * have the same number. On dy, with the same cfg and shape, the call is its own backward pass.
 * There is no mask, and scaling and mask_use have no effect. p = 1 is BITDROP_ERR_PROBABILITY.
 * Inference is the identity.
 *
 * N is a function of (seed, stream, rounds, index). It is computed by the formula of Box and Muller
 * in f32, for f64 too, so |N| is at most 6.67. Values depend on bitdrop_math() as those of GELU do.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_gaussian(const bitdrop_config *cfg,
                                                               bitdrop_dtype t,
                                                               const bitdrop_2d *shape,
                                                               const void *x, void *y);

/*
 * Attention: out = D(softmax(scale * q k^T + bias)) v for each head (Vaswani et al., 2017, section
 * 3.2), with dropout on the probabilities. It is computed in blocks, as in Dao et al.,
 * "FlashAttention", NeurIPS 2022, and no probability is stored. Probability (b, h, i, j) has the
 * absolute index offset + ((b * index_heads + h) * index_queries + i) * index_keys + j. So the mask
 * bits are those of bitdrop_forward_softmax on the matrix of all scores.
 *
 * - q, k, v, out: [batch, heads or kv_heads, queries or keys, dim or v_dim], with the strides of a.
 * - lse: the log-sum-exp of each row, batch * heads * queries doubles for f64, else floats. The
 *   backward pass needs it. NULL: not wanted.
 * - mask: batch * heads * queries rows of ceil(keys/8) bytes, or NULL with BITDROP_MASK_REMADE. For
 *   inference pass p = 0 and BITDROP_MASK_REMADE: then no bits are made.
 * - scratch: bitdrop_attention_scratch_bytes() bytes, aligned to 64 bytes. It may hold anything
 *   before the call, and holds nothing of use after it. Two calls at the same time need two.
 *
 * No output may be an input, and none may overlap another buffer. Rows may lie in the gaps of
 * another tensor. If batch, heads, queries, keys or dim is 0, nothing is written.
 *
 * Half types are computed in f32, f64 in f64. Values do not depend on the number of tasks, or on
 * how samples and heads are cut among calls. They differ between ISAs, because sums have another
 * order there. The mask is the same. A row that sees no key has out 0 and lse -infinity. If a row
 * sees a score that is a NaN or +infinity, all its probabilities are NaN. A key that is dropped or
 * not seen has the probability 0. Its v is either multiplied by this 0 or left out, so an infinity
 * or a NaN of v may make out a NaN. docs/reference.md has the formulas, the parts, and what else is
 * the same.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_attention_forward(
    const bitdrop_config *cfg, bitdrop_dtype t, const bitdrop_attention *a, const void *q,
    const void *k, const void *v, void *out, void *lse, uint8_t *mask, void *scratch);

/*
 * Writes dq, dk and dv, the gradients of q, k and v, which have the same strides as q, k and v.
 * dout has the strides of out. a, out, lse and mask are those of the forward call, and so is cfg
 * with BITDROP_MASK_REMADE. dk and dv are summed over the heads of q that share a head of k and v.
 * There is no gradient of the bias.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_attention_backward(
    const bitdrop_config *cfg, bitdrop_dtype t, const bitdrop_attention *a, const void *dout,
    const void *q, const void *k, const void *v, const void *out, const void *lse, void *dq,
    void *dk, void *dv, const uint8_t *mask, void *scratch);

/*
 * The bytes of scratch memory that either call needs with these arguments. The number depends on
 * the sizes of a, on whether a->bias is NULL, on t, on the ISA, and on cfg->parallel->tasks. It is
 * 0 if cfg, t or a is wrong, or if there are no elements.
 */
BITDROP_API size_t bitdrop_attention_scratch_bytes(const bitdrop_config *cfg, bitdrop_dtype t,
                                                   const bitdrop_attention *a);

/*
 * Masks. bitdrop_mask_count, _unpack and _pack have no config. They do not read the bits past n,
 * and _pack writes them as 0. They return BITDROP_OK, _ERR_NULL, _ERR_RANGE or _ERR_OVERLAP.
 */

/* *kept = the number of ones among the first n bits. */
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
 * networks", NeurIPS 2018, section 3). It drops squares of block x block elements in each of
 * `planes` planes of height x width elements, so that about cfg->p of all elements are dropped. The
 * mask has planes * height rows of ceil(width/8) bytes. *kept becomes the number of ones in it;
 * kept may be NULL. To apply the mask, call bitdrop_backward_2d with cfg.p = 1 - kept / total, on x
 * and on dy. A block of 0, or above the smaller of height and width, is BITDROP_ERR_RANGE.
 */
BITDROP_API BITDROP_MUST_CHECK bitdrop_status bitdrop_mask_dropblock(const bitdrop_config *cfg,
                                                                     size_t planes, size_t height,
                                                                     size_t width, size_t block,
                                                                     uint8_t *mask, size_t *kept);

/* Bytes of a mask of n elements: ceil(n/8). */
BITDROP_API size_t bitdrop_mask_bytes(size_t n);

/*
 * Bytes of the mask of a shape. 0 if shape is NULL or has no elements, or if the number does not
 * fit in a size_t. A mask of BITDROP_RELU has (rows - 1) * mask_stride + ceil(cols/8) bytes
 * instead.
 */
BITDROP_API size_t bitdrop_mask_2d_bytes(const bitdrop_2d *shape);

/*
 * The ISA that BITDROP_ISA_AUTO stands for. It is BITDROP_ISA_AUTO itself if the variable
 * BITDROP_ISA names an unknown ISA or one that cannot run. In calls of at most 1,024 elements,
 * BITDROP_ISA_AUTO may stand for another ISA that is faster there.
 */
BITDROP_API bitdrop_isa bitdrop_isa_default(void);

/* 1 if the ISA is built in and this CPU and OS can run it, else 0. 1 for AUTO. */
BITDROP_API int bitdrop_isa_supported(bitdrop_isa isa);

/* "auto", "scalar", "avx2", "avx512", "neon"; "unknown" for anything else. */
BITDROP_API const char *bitdrop_isa_name(bitdrop_isa isa);

/* A sentence that says what to change. Never NULL. */
BITDROP_API const char *bitdrop_status_string(bitdrop_status status);

/* "major.minor.patch" of the library that runs. The macros above are those of this header. */
BITDROP_API const char *bitdrop_version(void);

/* The same as major * 10000 + minor * 100 + patch. */
BITDROP_API int bitdrop_version_number(void);

/*
 * The library that exp, log and similar functions come from: "libm", or for example "sleef 3.5.1",
 * the version that bitdrop was compiled against.
 */
BITDROP_API const char *bitdrop_math(void);

/*
 * Sizes of the structures in bytes, for bindings that copy their layouts. When a binding loads the
 * library, it should first check that bitdrop_version_number() / 100 is the version that it was
 * written for, and then these sizes.
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
