/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares the softmax calls with softmax.c, in guarded memory: random shapes, biases, causal rows
 * and places, with stored and with remade masks. A call on a part of the rows, a call with the
 * other kind of mask and a call of scalar must write the same bits.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "check.h"
#include "layout.h"
#include "oracle.h"
#include "rows.h"
#include "softmax.h"

enum { ELEMENTS = 24000, ROWS = 200, BIAS_ROWS = 220, BUFFER_BYTES = 400000, NO_PLACE = -1 };
enum { X, BIAS, PROB, Y, MASK, LSE, BUFFERS }; /* X is dy in backward calls, and Y dx */

static struct guard guards[BUFFERS][3];

struct trial {
    struct check *c;
    bool backward, reads_mask;
    bitdrop_dtype dtype;
    size_t bytes;
    bitdrop_config cfg;
    bitdrop_2d shape, filled;
    bitdrop_softmax soft;
    size_t bias_rows;
    int in_place; /* X: Y is X. PROB: Y is PROB, or in a forward call PROB is X. Or NO_PLACE */
    struct rows buffer[BUFFERS];
    unsigned char *copy[BUFFERS]; /* of the inputs, as dense rows */
};

static struct place random_place(struct check *c)
{
    return (struct place){check_below(c, 3) == 0 ? 8 * check_below(c, 8) : 0, check_below(c, 2)};
}

/*
 * The numbers of most rows are of similar size. In some rows they are far apart, in some there are
 * infinities or NaNs too, and some rows are -infinity throughout.
 */
static void fill_row(struct check *c, bitdrop_dtype t, unsigned char *x, size_t cols)
{
    static const double specials[] = {-INFINITY, -INFINITY, -INFINITY, INFINITY, NAN, -0.0};
    const size_t bytes = dtype_bytes(t), kind = check_below(c, 12);
    const double spread = kind < 2 ? 100 : kind < 4 ? 1e-3 : kind < 8 ? 8 : 1;
    const double special = specials[check_below(c, 6)];

    for (size_t i = 0; i < cols; i++)
        oracle_put(t, spread * check_unit(c), x + i * bytes);
    if (cols == 0 || kind > 3)
        return;
    for (size_t i = 0, n = check_below(c, kind == 0 ? cols + 1 : 3); i < n; i++)
        oracle_put(t, special, x + check_below(c, cols) * bytes);
    for (size_t i = 0; i < cols && kind == 1 && special < 0; i++)
        oracle_put(t, special, x + i * bytes);
}

static size_t random_cols(struct check *c)
{
    static const size_t sizes[] = {1,   8,    31,   32,   33,   64,   100,  512,
                                   682, 1024, 1365, 2048, 2049, 4096, 4100, 9001};

    return check_below(c, 2) ? 1 + check_below(c, 200)
                             : sizes[check_below(c, sizeof sizes / sizeof *sizes)];
}

static void choose_shape(struct trial *r)
{
    struct check *c = r->c;
    bitdrop_2d *s = &r->shape;
    const size_t cols = random_cols(c), most = ELEMENTS / cols < ROWS ? ELEMENTS / cols : ROWS;

    *s = (bitdrop_2d){.cols = cols,
                      .rows = 1 + check_below(c, check_below(c, 4) ? most < 12 ? most : 12 : most)};
    s->unit = check_below(c, 4) == 0 ? BITDROP_EACH_ROW : BITDROP_EACH_ELEMENT;
    if (s->unit == BITDROP_EACH_ELEMENT && check_below(c, 3) == 0)
        s->pitch = cols + check_below(c, check_below(c, 2) ? 3000 : 9);
    if (s->unit == BITDROP_EACH_ELEMENT && check_below(c, 3) == 0)
        s->mask_stride = (cols + 7) / 8 + check_below(c, 5);
    s->mask_repeat = check_below(c, 2) ? 0 : 1 + check_below(c, 6);
    s->x_stride = check_below(c, 2) ? 0 : cols + check_below(c, 9);
    s->y_stride = check_below(c, 2) ? 0 : cols + check_below(c, 9);
    s->z_stride = check_below(c, 2) ? 0 : cols + check_below(c, 9);
    s->first_row = check_below(c, 2)   ? 0
                   : check_below(c, 2) ? check_below(c, 50)
                                       : UINT64_C(1) << 40;
    if (s->rows * (cols + 10) * 8 > BUFFER_BYTES / 2)
        s->rows = 1;
}

/* Draws the blocks of the bias. There is no bias if its rows do not fit in the buffer. */
static void choose_bias(struct trial *r)
{
    struct check *c = r->c;
    bitdrop_softmax *s = &r->soft;
    struct softmax_row last = {.soft = s, .first_row = r->filled.first_row};

    s->bias_stride = check_below(c, 2) ? 0 : r->filled.cols + check_below(c, 20);
    s->bias_block = check_below(c, 3) == 0 ? 0 : 1 + check_below(c, 9);
    s->bias_repeat = check_below(c, 3);
    if (s->bias_block > 0 && r->filled.first_row > BIAS_ROWS)
        s->bias_repeat = SIZE_MAX / s->bias_block;
    r->bias_rows = 0;
    for (size_t row = 0; row < r->filled.rows; row++) {
        last.R = r->filled.first_row + row;
        if (softmax_bias_row(&last) >= r->bias_rows)
            r->bias_rows = (size_t)softmax_bias_row(&last) + 1;
    }
    if (check_below(c, 3) == 0 || r->bias_rows * (r->filled.cols + 20) * r->bytes > BUFFER_BYTES)
        r->bias_rows = 0;
}

static void choose(struct trial *r)
{
    static const double scales[] = {0, 1, 0.125, -0.5, 0.3, 1e-3, 1e300};
    struct check *c = r->c;
    bitdrop_softmax *s = &r->soft;

    r->cfg = check_random_config(c);
    r->cfg.offset >>= 1;
    r->cfg.mask_use = (uint8_t)check_below(c, 2);
    r->reads_mask = r->backward && r->cfg.mask_use == BITDROP_MASK_STORED;
    choose_shape(r);
    r->in_place = check_below(c, 3) == 0 ? check_below(c, 2) ? PROB : X : NO_PLACE;
    if (r->in_place == X)
        r->shape.x_stride = r->shape.y_stride;
    else if (r->in_place == PROB && r->backward)
        r->shape.z_stride = r->shape.y_stride;
    else if (r->in_place == PROB)
        r->shape.x_stride = r->shape.z_stride;
    r->filled = layout_filled(&r->shape);
    *s = (bitdrop_softmax){.scale = scales[check_below(c, check_below(c, 30) ? 6 : 7)]};
    choose_bias(r);
    if (check_below(c, 2)) {
        s->causal_rows = 1 + check_below(c, check_below(c, 2) ? r->filled.cols : 9);
        s->causal_first = (int64_t)check_below(c, 40) - 20;
        if (check_below(c, 10) == 0)
            s->causal_first = check_below(c, 2) ? INT64_MAX : INT64_MIN;
        if (check_below(c, 10) == 0)
            s->causal_rows = UINT64_MAX;
    }
}

/* Places an input, fills it, and copies its rows to r->copy. */
static void place_input(struct trial *r, int b, size_t stride, size_t rows)
{
    struct rows *buffer = &r->buffer[b];
    const size_t row_bytes = r->filled.cols * r->bytes;

    *buffer = rows_new(guards[b], rows, row_bytes, stride * r->bytes, random_place(r->c));
    for (size_t row = 0; row < rows; row++) {
        unsigned char *at = rows_shadow(buffer, row);

        fill_row(r->c, r->dtype, at, r->filled.cols);
        memcpy(r->copy[b] + row * row_bytes, at, row_bytes);
    }
    rows_settle(buffer);
}

static void place(struct trial *r)
{
    const struct layout_mask m = layout_mask(&r->filled, false);
    const size_t rows = r->filled.rows, row_bytes = r->filled.cols * r->bytes;
    const size_t lse_bytes = r->dtype == BITDROP_F64 ? 8 : 4;
    const bool has_prob = r->backward || r->in_place == PROB || check_below(r->c, 2);

    memset(r->buffer, 0, sizeof r->buffer);
    place_input(r, X, r->filled.x_stride, rows);
    if (r->backward)
        place_input(r, PROB, r->filled.z_stride, rows);
    else if (r->in_place == PROB)
        r->buffer[PROB] = r->buffer[X];
    else if (has_prob)
        r->buffer[PROB] = rows_new(guards[PROB], rows, row_bytes, r->filled.z_stride * r->bytes,
                                   random_place(r->c));
    if (r->in_place == X || (r->in_place == PROB && r->backward))
        r->buffer[Y] = r->buffer[r->in_place];
    else
        r->buffer[Y] =
            rows_new(guards[Y], rows, row_bytes, r->filled.y_stride * r->bytes, random_place(r->c));
    if (r->bias_rows > 0 && !r->backward) {
        const size_t stride = r->soft.bias_stride == 0 ? r->filled.cols : r->soft.bias_stride;

        place_input(r, BIAS, stride, r->bias_rows);
        r->soft.bias = r->buffer[BIAS].at;
    }
    if (r->cfg.mask_use == BITDROP_MASK_STORED)
        r->buffer[MASK] = rows_new(guards[MASK], m.rows, m.bytes, m.stride, random_place(r->c));
    for (size_t row = 0; row < r->buffer[MASK].count; row++)
        for (size_t i = 0; i < m.bytes; i++)
            rows_shadow(&r->buffer[MASK], row)[i] = (uint8_t)check_random(r->c);
    rows_settle(&r->buffer[MASK]);
    if (!r->backward && check_below(r->c, 2)) {
        r->buffer[LSE] = rows_new(guards[LSE], 1, rows * lse_bytes, 0, random_place(r->c));
        r->soft.lse = r->buffer[LSE].at;
    }
}

static bitdrop_status call(const struct trial *r, const bitdrop_config *cfg,
                           const bitdrop_2d *shape, const bitdrop_softmax *soft,
                           unsigned char *const at[BUFFERS])
{
    if (r->backward)
        return bitdrop_backward_softmax(cfg, r->dtype, shape, soft, at[X], at[PROB], at[Y],
                                        at[MASK]);
    return bitdrop_forward_softmax(cfg, r->dtype, shape, soft, at[X], at[PROB], at[Y], at[MASK]);
}

static void report(const struct trial *r, const char *what, size_t row, size_t col)
{
    const bitdrop_2d *s = &r->filled;

    check_fail(r->c,
               "%s_softmax %s: %s, (%zu, %zu) of %zu x %zu; pitch %" PRIu64
               ", strides %zu %zu %zu %zu, repeat %zu, first row %" PRIu64
               ", unit %u; p %a offset %" PRIu64
               " scaling %d mask_use %d in place %d; scale %g bias %zu rows, block %zu repeat %zu, "
               "causal %" PRIu64 " %" PRId64,
               r->backward ? "backward" : "forward", dtype_name(r->dtype), what, row, col, s->rows,
               s->cols, s->pitch, s->x_stride, s->y_stride, s->z_stride, s->mask_stride,
               s->mask_repeat, s->first_row, s->unit, r->cfg.p, r->cfg.offset, r->cfg.scaling,
               r->cfg.mask_use, r->in_place, r->soft.scale, r->bias_rows, r->soft.bias_block,
               r->soft.bias_repeat, r->soft.causal_rows, r->soft.causal_first);
}

/* Whether a stored element lies in `range`, the ends of which are rounded to its type first. */
static bool is_between(bitdrop_dtype t, const void *at, struct softmax_range range)
{
    unsigned char low[8], high[8];
    const double got = oracle_number(t, at);

    if (range.low != range.low)
        return oracle_is_quiet_nan(t, at);
    oracle_put(t, range.low, low);
    oracle_put(t, range.high, high);
    if (range.low == 0 && range.high == 0) /* must be +0 */
        return oracle_bits(t, at) == 0;
    return got >= oracle_number(t, low) && got <= oracle_number(t, high);
}

/* Copies an element that was checked to the shadow, so that guard_difference accepts it. */
static void accept(const struct rows *b, size_t row, size_t at, size_t bytes)
{
    memcpy(rows_shadow(b, row) + at, b->at + row * b->stride + at, bytes);
}

static bool is_armv7_neon(const struct trial *r)
{
#ifdef __arm__
    return r->c->isa == BITDROP_ISA_NEON && r->dtype != BITDROP_F64;
#else
    (void)r;
    return false;
#endif
}

static void check_forward_row(const struct trial *r, const struct softmax_row *row, size_t i)
{
    static struct softmax_range prob[SOFTMAX_COLS], y[SOFTMAX_COLS];
    const struct rows *p = &r->buffer[PROB], *out = &r->buffer[Y];
    struct softmax_range lse;

    softmax_forward(row, prob, y, &lse);
    for (size_t c = 0; c < r->filled.cols; c++) {
        const unsigned char *at_y = out->at + i * out->stride + c * r->bytes;
        const unsigned char *at_p = p->at + i * p->stride + c * r->bytes;

        if (!is_between(r->dtype, at_y, y[c]))
            report(r, "y", i, c);
        accept(out, i, c * r->bytes, r->bytes);
        if (p->count == 0)
            continue;
        if (!is_between(r->dtype, at_p, prob[c]))
            report(r, "prob", i, c);
        accept(p, i, c * r->bytes, r->bytes);
        /* y must be prob * scale, rounded once. */
        if (r->bytes >= 4 && row->keep[c] && !is_armv7_neon(r)) {
            const double scale = softmax_dropout_scale(row), q = oracle_number(r->dtype, at_p);
            unsigned char wanted[8];

            oracle_put(r->dtype, q * scale, wanted);
            if (!oracle_same(r->dtype, wanted, at_y))
                report(r, "y is not prob * scale", i, c);
        }
    }
    if (r->soft.lse != NULL) {
        const bitdrop_dtype t = r->dtype == BITDROP_F64 ? BITDROP_F64 : BITDROP_F32;
        const size_t lse_bytes = dtype_bytes(t);

        if (!is_between(t, r->buffer[LSE].at + i * lse_bytes, lse))
            report(r, "lse", i, 0);
        accept(&r->buffer[LSE], 0, i * lse_bytes, lse_bytes);
    }
}

static void check_backward_row(const struct trial *r, const struct softmax_row *row, size_t i)
{
    static double dx[SOFTMAX_COLS];
    const struct rows *out = &r->buffer[Y];

    softmax_backward(row, dx);
    for (size_t c = 0; c < r->filled.cols; c++) {
        const unsigned char *at = out->at + i * out->stride + c * r->bytes;
        unsigned char wanted[8];

        oracle_put(r->dtype, dx[c], wanted);
        if (!oracle_same(r->dtype, wanted, at) &&
            !(is_armv7_neon(r) && fabs(oracle_number(r->dtype, at) - dx[c]) < 0x1p-110))
            report(r, "dx", i, c);
        accept(out, i, c * r->bytes, r->bytes);
    }
}

static bool keep_of(const struct trial *r, size_t row, size_t col)
{
    const size_t bit = layout_bit(&r->filled, false, row, col);

    if (r->reads_mask)
        return rows_shadow(&r->buffer[MASK], 0)[bit / 8] >> (bit % 8) & 1;
    return oracle_keep(&r->cfg, layout_index(&r->filled, r->cfg.offset, row, col));
}

/* Checks all rows, and then the mask and the bytes around the buffers. */
static void check_rows(const struct trial *r)
{
    static struct softmax_row row;
    const size_t row_bytes = r->filled.cols * r->bytes;
    const bool writes = !r->backward && r->cfg.mask_use == BITDROP_MASK_STORED;

    row = (struct softmax_row){.dtype = r->dtype,
                               .cfg = &r->cfg,
                               .soft = &r->soft,
                               .first_row = r->filled.first_row,
                               .cols = r->filled.cols};
    for (size_t i = 0; i < r->buffer[MASK].count && writes; i++)
        memset(rows_shadow(&r->buffer[MASK], i), 0, r->buffer[MASK].bytes);
    for (size_t i = 0; i < r->filled.rows; i++) {
        row.R = r->filled.first_row + i;
        row.x = row.dy = r->copy[X] + i * row_bytes;
        row.prob = r->copy[PROB] + i * row_bytes;
        row.bias = r->soft.bias == NULL
                       ? NULL
                       : r->copy[BIAS] + (size_t)softmax_bias_row(&row) * row_bytes;
        for (size_t c = 0; c < r->filled.cols; c++) {
            const size_t bit = layout_bit(&r->filled, false, i, c);

            row.keep[c] =
                r->filled.unit == BITDROP_EACH_ROW && c > 0 ? row.keep[0] : keep_of(r, i, c);
            if (writes)
                rows_shadow(&r->buffer[MASK], 0)[bit / 8] |= (uint8_t)(row.keep[c] << (bit % 8));
        }
        (r->backward ? check_backward_row : check_forward_row)(r, &row, i);
    }
    for (int b = 0; b < BUFFERS; b++)
        if (r->buffer[b].guard != NULL && guard_difference(r->buffer[b].guard) != NULL)
            report(r,
                   b == MASK  ? "mask is wrong"
                   : b == LSE ? "written outside of lse"
                              : "written outside of the output",
                   (size_t)b, 0);
}

/* Makes the call again: by `isa`, with the other kind of mask, or on a part of the rows. The result
 * must be the same. */
static void check_again(const struct trial *r, bitdrop_isa isa, bool other_mask, bool part)
{
    static unsigned char out[2][BUFFER_BYTES + 8], lse[ROWS * 8 + 8];
    bitdrop_config cfg = r->cfg;
    bitdrop_2d shape = r->filled;
    bitdrop_softmax soft = r->soft;
    const size_t first = part ? check_below(r->c, shape.rows) : 0;
    const size_t lse_bytes = r->dtype == BITDROP_F64 ? 8 : 4, bytes = r->bytes;
    const size_t group = layout_group(&r->filled, first);
    unsigned char *at[BUFFERS] = {
        [X] = r->copy[X] + first * shape.cols * bytes,
        [PROB] = r->backward ? r->copy[PROB] + first * shape.cols * bytes : out[1],
        [Y] = out[0],
        [MASK] = r->buffer[MASK].at,
    };
    static uint8_t mask[BUFFER_BYTES];

    shape.x_stride = shape.y_stride = shape.z_stride = 0;
    shape.rows = part ? 1 + check_below(r->c, shape.rows - first) : shape.rows;
    shape.first_row += first;
    if (shape.unit == BITDROP_EACH_ROW)
        shape.pitch = shape.mask_stride = 0;
    cfg.isa = (uint8_t)isa;
    if (r->reads_mask && shape.unit == BITDROP_EACH_ROW && group > 0)
        return; /* the part would need a mask that begins at another bit */
    if (r->reads_mask)
        at[MASK] += group * shape.mask_stride;
    else if (r->backward || other_mask) /* a backward call that reads no mask remakes it */
        cfg.mask_use = r->backward ? BITDROP_MASK_REMADE : (uint8_t)!cfg.mask_use;
    if (!r->reads_mask)
        at[MASK] = cfg.mask_use == BITDROP_MASK_STORED ? mask : NULL;
    if (soft.bias != NULL && soft.bias_block == 0)
        soft.bias = (const unsigned char *)soft.bias +
                    first * (soft.bias_stride == 0 ? shape.cols : soft.bias_stride) * bytes;
    if (soft.lse != NULL)
        soft.lse = lse;
    if (call(r, &cfg, &shape, &soft, at) != BITDROP_OK)
        report(r, "refused", first, 0);
    for (size_t i = 0; i < shape.rows; i++)
        for (int b = PROB; b <= Y; b++) {
            const struct rows *was = &r->buffer[b];
            const unsigned char *before = was->at + (first + i) * was->stride;

            if (was->count == 0 || (b == PROB && r->backward))
                continue;
            const size_t c =
                check_difference(r->dtype, out[Y - b] + i * shape.cols * bytes, before, shape.cols);
            if (c < shape.cols)
                report(r,
                       part         ? "a part differs"
                       : other_mask ? "differs with the other kind of mask"
                                    : "differs from scalar",
                       first + i, c);
        }
    for (size_t i = 0; i < shape.rows && soft.lse != NULL; i++)
        if (check_difference(lse_bytes == 8 ? BITDROP_F64 : BITDROP_F32, lse + i * lse_bytes,
                             r->buffer[LSE].at + (first + i) * lse_bytes, 1) == 0)
            report(r, "lse differs", first + i, 0);
}

static void run_random(struct check *c, bool backward, bitdrop_dtype t)
{
    static unsigned char copies[BUFFERS][BUFFER_BYTES];
    struct trial r = {.c = c, .backward = backward, .dtype = t, .bytes = dtype_bytes(t)};
    unsigned char *at[BUFFERS];

    for (int b = 0; b < BUFFERS; b++)
        r.copy[b] = copies[b];
    choose(&r);
    place(&r);
    for (int b = 0; b < BUFFERS; b++)
        at[b] = r.buffer[b].at;
    if (call(&r, &r.cfg, &r.shape, &r.soft, at) != BITDROP_OK) {
        report(&r, "refused", 0, 0);
        return;
    }
    check_rows(&r);
    check_again(&r, c->isa, false, true);
    check_again(&r, c->isa, true, false);
    if (!is_armv7_neon(&r))
        check_again(&r, BITDROP_ISA_SCALAR, false, false);
    c->cases++;
}

/* If the last visible column of a row would be beyond 2^64 - 1, the row sees all columns. */
static void check_last_column(struct check *c)
{
    enum { COLS = 40 };
    float x[COLS], prob[2][COLS], y[COLS];
    uint8_t mask[1];
    const bitdrop_config cfg = {.p = 0.5, .isa = (uint8_t)c->isa};
    const bitdrop_2d shape = {
        .rows = 1, .cols = COLS, .unit = BITDROP_EACH_ROW, .first_row = UINT64_MAX - 7};
    const bitdrop_softmax soft[2] = {{.scale = 1},
                                     {.causal_rows = UINT64_MAX, .causal_first = INT64_MAX}};

    for (size_t i = 0; i < COLS; i++)
        x[i] = (float)check_unit(c);
    for (int i = 0; i < 2; i++)
        if (bitdrop_forward_softmax(&cfg, BITDROP_F32, &shape, &soft[i], x, prob[i], y, mask) !=
            BITDROP_OK)
            check_fail(c, "softmax of the last rows is refused");
    if (memcmp(prob[0], prob[1], sizeof prob[0]) != 0)
        check_fail(c, "softmax: a row does not see the columns up to 2^64");
    c->cases++;
}

void check_softmax(struct check *c)
{
    check_last_column(c);
    for (int b = 0; b < BUFFERS && guards[b][0].size == 0; b++) {
        guards[b][0] = guard_new(1);
        guards[b][1] = guard_new(40000);
        guards[b][2] = guard_new(BUFFER_BYTES + 1024);
    }
    for (unsigned i = 0; i < 1200 / c->thin; i++)
        run_random(c, i % 2, (bitdrop_dtype)(i / 2 % 4));
}
