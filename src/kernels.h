/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels: what each is given, and one table for each ISA. There is a kernel for each body of
 * operations.h and each dtype, and one that makes a mask alone.
 */
#ifndef BITDROP_KERNELS_H
#define BITDROP_KERNELS_H

#include <float.h>

#include "bitdrop/bitdrop.h"
#include "cpu/tuning.h"
#include "operations.h"
#include "stream.h"

#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16 /* 16: _Float16 too, which is not used */
#error "float and double must be rounded as such: on 32-bit x86 compile with -msse2 -mfpmath=sse"
#endif

static inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Numbers that a body may be given. */
enum { BITDROP_MAX_PARAMETERS = 3 };

/* Elements of a job in memory: (row, col) lies at `at` + row * row_bytes + col * col_bytes. */
struct bitdrop_operand {
    unsigned char *at;
    size_t row_bytes; /* 0: all rows are the same */
    size_t col_bytes; /* of an element; 0: all elements are the same */
};

/* Whether rows of so many columns follow one another without gaps. */
static inline bool bitdrop_is_dense(const struct bitdrop_operand *o, size_t cols)
{
    return o->col_bytes == 0 || o->row_bytes == cols * o->col_bytes;
}

/* What a mask or its bits are about. */
enum bitdrop_unit { UNIT_ELEMENT = BITDROP_EACH_ELEMENT, UNIT_ROW = BITDROP_EACH_ROW };

/* What a softmax call says of the rows of the whole. */
struct bitdrop_softmax_rows {
    uint64_t first_row;               /* of the call */
    uint64_t bias_block, bias_period; /* rows of the whole that one block of the bias is for */
    size_t bias_row_bytes;
    uint64_t causal_rows;
    int64_t causal_first;
    unsigned char *lse; /* of the first row; NULL: not wanted */
};

/* The row of the bias that row R of the whole takes. */
static inline uint64_t bitdrop_bias_row(const struct bitdrop_softmax_rows *s, uint64_t R)
{
    if (s->bias_block == 0)
        return R - s->first_row;
    return R / s->bias_period * s->bias_block + R % s->bias_block;
}

/* Of `cols` columns, those that a causal row sees: c <= first + row, without overflow. */
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
 * Arguments of a call, checked: rows, cols > 0, all strides filled in and in bytes.
 *
 * Row r takes the decisions of group (phase + r) / repeat. In group g, element (r, c) has the
 * absolute index offset + g * pitch + c, or with UNIT_ROW offset + g.
 */
struct bitdrop_job {
    size_t rows, cols;
    uint64_t offset, pitch;
    size_t repeat, phase; /* phase < repeat */
    enum bitdrop_unit unit;

    const struct bitdrop_stream *stream; /* makes the bits; NULL: they are given */
    const uint8_t *keep;                 /* given bits; NULL: all are kept */
    size_t keep_bit;    /* with UNIT_ROW: the bit of group 0, for keep cannot point to it */
    uint8_t *mask;      /* the generated bits are stored here; NULL: not wanted. repeat is 1 then */
    uint8_t *marks;     /* the bits that the body makes likewise, a row of them for each row */
    size_t mask_stride; /* bytes, of keep, mask or marks: only one of them has rows */

    const struct bitdrop_softmax_rows *softmax; /* NULL: rows may be joined and cut */
    uint64_t first_row;                         /* of the whole, with softmax */

    struct bitdrop_operand in[BITDROP_MAX_INPUTS], out;
    size_t size;                                  /* bytes of an element; 0 without data */
    double f64_parameter[BITDROP_MAX_PARAMETERS]; /* of the body, for f64 */
    float f32_parameter[BITDROP_MAX_PARAMETERS];  /* the same rounded once, for the other dtypes */
    bool streaming;                               /* prefer stores that bypass the caches */
    struct bitdrop_prefetch prefetch;
};

typedef void bitdrop_kernel(const struct bitdrop_job *job);

/*
 * Rows of keep bits without data, for code that applies them itself, block by block.
 *
 * Element (r, c) has the absolute index first + r * pitch + c, which is below 2^64 for each element
 * that is seen. Where `causal` is set, row r sees the columns c < seen + r, and no others are made:
 * blocks of 128 indices that no row sees cost nothing. Otherwise each row sees all of its columns.
 *
 * Row r lies at mask + r * stride, any address: bit c % 8 of byte c / 8 is that of column c. All
 * (cols + 7) / 8 bytes of each row are written, and none between the rows. The bits of columns that
 * a row does not see and those behind column cols - 1 are 0.
 */
struct bitdrop_mask_rows {
    const struct bitdrop_stream *stream; /* of bitdrop_stream_make; any p */
    uint64_t first, pitch;
    size_t rows, cols; /* > 0 */
    bool causal;
    int64_t seen; /* by row 0, with causal: any number, also below 0 and above cols */
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
    const struct bitdrop_attention_kernels *attention_pairs; /* of bf16; NULL: the CPU has none */
};

/* Of the AVX-512 table for CPUs with AVX512_BF16, from a file with further flags. */
extern bitdrop_kernel *const bitdrop_avx512_bf16_row[BITDROP_BODY_COUNT];

#endif
