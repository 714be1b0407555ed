/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels: their arguments, and the table of an ISA. There is a kernel for each body of
 * operations.h and each dtype, and two that make masks alone.
 */
#ifndef BITDROP_KERNELS_H
#define BITDROP_KERNELS_H

#include <float.h>

#include "bitdrop/bitdrop.h"
#include "cpu/tuning.h"
#include "operations.h"
#include "stream.h"

#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16 /* 16: as 0 for float and double */
#error "float and double must be rounded as such: on 32-bit x86 compile with -msse2 -mfpmath=sse"
#endif

static inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* The most numbers p[] that a body reads. */
enum { BITDROP_MAX_PARAMETERS = 3 };

/* Elements of a job in memory: (row, col) lies at `at` + row * row_bytes + col * col_bytes. */
struct bitdrop_operand {
    unsigned char *at;
    size_t row_bytes; /* 0: all rows are the same */
    size_t col_bytes; /* of an element; 0: all elements are the same */
};

/* Whether rows of `cols` columns have no gaps between them. */
static inline bool bitdrop_is_dense(const struct bitdrop_operand *o, size_t cols)
{
    return o->col_bytes == 0 || o->row_bytes == cols * o->col_bytes;
}

/* What one bit of a mask is about. */
enum bitdrop_unit { UNIT_ELEMENT = BITDROP_EACH_ELEMENT, UNIT_ROW = BITDROP_EACH_ROW };

/* The arguments of a softmax call about its rows: which bias, which columns, which log-sum-exp. */
struct bitdrop_softmax_rows {
    uint64_t first_row;               /* of the call, in the whole */
    uint64_t bias_block, bias_period; /* period: rows of the whole that use one block of the bias */
    size_t bias_row_bytes;
    uint64_t causal_rows;
    int64_t causal_first;
    unsigned char *lse; /* of the first row of the call; NULL: not wanted */
};

/* The row of the bias that is added to row R of the whole. */
static inline uint64_t bitdrop_bias_row(const struct bitdrop_softmax_rows *s, uint64_t R)
{
    if (s->bias_block == 0)
        return R - s->first_row;
    return R / s->bias_period * s->bias_block + R % s->bias_block;
}

/* How many of `cols` columns a causal row sees: those with c <= first + row, without overflow. */
static inline size_t bitdrop_columns_seen(uint64_t row, int64_t first, size_t cols)
{
    uint64_t last = row;

    if (first < 0) {
        const uint64_t back = -(uint64_t)first;

        if (last < back)
            return 0;
        last -= back;
    } else if (__builtin_add_overflow(last, (uint64_t)first, &last)) {
        return cols;
    }
    return last < cols ? (size_t)last + 1 : cols;
}

/*
 * The checked arguments of a call: rows, cols > 0, and all strides are filled in and in bytes.
 *
 * A group is the rows that share their decisions. Row r is in group (phase + r) / repeat. In group
 * g, element (r, c) has the absolute index offset + g * pitch + c, or with UNIT_ROW offset + g.
 */
struct bitdrop_job {
    size_t rows, cols;
    uint64_t offset, pitch;
    size_t repeat, phase; /* phase < repeat */
    enum bitdrop_unit unit;

    const struct bitdrop_stream *stream; /* makes the bits; NULL: they are given */
    const uint8_t *keep;                 /* given bits; NULL: all are kept */
    size_t keep_bit;    /* with UNIT_ROW: the number in keep of the bit of group 0 */
    uint8_t *mask;      /* the generated bits are stored here, and repeat is 1; NULL: not wanted */
    uint8_t *marks;     /* the marks of the body are stored here, a row for each row; NULL: none */
    size_t mask_stride; /* bytes between rows of keep, mask or marks: only one of them has rows */

    const struct bitdrop_softmax_rows *softmax; /* NULL: no softmax. Rows may be joined and cut */
    uint64_t first_row;                         /* with softmax: the number of row 0 in the whole */

    struct bitdrop_operand in[BITDROP_MAX_INPUTS], out;
    size_t size;                                  /* bytes of an element; 0 without data */
    double f64_parameter[BITDROP_MAX_PARAMETERS]; /* p[] of the body, for f64 */
    float f32_parameter[BITDROP_MAX_PARAMETERS];  /* the same rounded once, for the other dtypes */
    bool streaming;                               /* store past the caches, where an ISA can */
    struct bitdrop_prefetch prefetch;
};

typedef void bitdrop_kernel(const struct bitdrop_job *job);

/*
 * Rows of keep bits without data, for code that applies them itself, as attention does.
 *
 * Element (r, c) has the absolute index first + r * pitch + c. For each element that is seen, it is
 * below 2^64. If `causal` is set, row r sees the columns c < seen + r. Blocks of 128 indices that
 * no row sees are not made, and cost nothing. Otherwise each row sees all columns.
 *
 * Row r begins at mask + r * stride, at any address. Bit c % 8 of its byte c / 8 is the bit of
 * column c. All (cols + 7) / 8 bytes of each row are written, and none between the rows. Bits of
 * columns that a row does not see, and bits after column cols - 1, are 0.
 */
struct bitdrop_mask_rows {
    const struct bitdrop_stream *stream; /* by bitdrop_stream_make, for any p */
    uint64_t first, pitch;
    size_t rows, cols; /* > 0 */
    bool causal;
    int64_t seen; /* with causal: columns that row 0 sees; may be below 0 or above cols */
    uint8_t *mask;
    size_t stride; /* bytes, at least (cols + 7) / 8 */
};

typedef void bitdrop_mask_rows_kernel(const struct bitdrop_mask_rows *m);

/* dtypes in the order of bitdrop_dtype: X(name, bytes). */
#define BITDROP_DTYPES(X) X(f32, 4) X(f64, 8) X(f16, 2) X(bf16, 2)
enum { BITDROP_DTYPE_COUNT = 4 };

struct bitdrop_attention_kernels; /* attention.h */

struct bitdrop_kernels {
    bitdrop_isa isa;
    bitdrop_kernel *mask;                                    /* makes bits and applies none */
    bitdrop_mask_rows_kernel *mask_rows;                     /* the same without a job */
    bitdrop_kernel *const *bodies[BITDROP_DTYPE_COUNT];      /* bodies[dtype][body] */
    const struct bitdrop_attention_kernels *attention;       /* one for each dtype */
    const struct bitdrop_attention_kernels *attention_pairs; /* for bf16; NULL: no AVX512_BF16 */
};

/* The bf16 kernels of the table for AVX512_BF16. A file of its own compiles them for that. */
extern bitdrop_kernel *const bitdrop_avx512_bf16_row[BITDROP_BODY_COUNT];

#endif
