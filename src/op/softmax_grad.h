/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The derivative of op/softmax.h: of each row, dx = scale * prob * (g - sum of g * prob), where g
 * is D'(dy). in = {dy, prob}. p[] is that of op/softmax.h, which also has the code that both share.
 *
 * A row has two passes: g and the sum, then dx. The buffer holds g of a part of the row. A row that
 * is longer than a part computes g again in the second pass.
 */
#ifndef BITDROP_PARAMETERS

struct T(softmax_grad) {
    const unsigned char *dy, *prob;
    unsigned char *dx;
    size_t seen; /* columns */
    C(vec) x_scale, y_scale;
    C(vec) * g; /* of the current part */
    C(number) sum;
    bool streaming, prefetch;
    size_t ahead; /* bytes from an element to what is prefetched with it */
};

/*
 * Computes g of a strip, and adds its products with prob to the sums. The strip has n elements if
 * it is not whole.
 */
FORCE_INLINE void T(dot_strip)(const unsigned char *dy, const unsigned char *prob, C(vec) scale,
                               keep_bits keep, bool whole, size_t n, C(vec) * g, C(vec) * sums)
{
    uint8_t buffer[WORD_ELEMENTS / 8];
    const keep_bits lanes = first_lanes(whole ? WORD_ELEMENTS : n, buffer);

    for (int v = 0; v < T(VECTORS); v++) {
        const size_t at = (size_t)v * T(LANES);
        T(vec) in[2];

        if (!whole && at >= n)
            break;
        in[0] = whole ? T(load)(dy + at * BYTES) : T(load_partial)(dy + at * BYTES, n - at);
        in[1] = whole ? T(load)(prob + at * BYTES) : T(load_partial)(prob + at * BYTES, n - at);
        for (int i = 0; i < T(PARTS); i++) {
            const int k = v * T(PARTS) + i;
            C(vec) product;

            g[k] = C(only)(T(keep)(keep, v, i), C(mul)(*T(part)(&in[0], i), scale));
            product = C(mul)(g[k], *T(part)(&in[1], i));
            if (!whole)
                product = C(only)(T(keep)(lanes, v, i), product);
            sums[k] = C(add)(sums[k], product);
        }
    }
}

/* Computes g of a part of a row, and adds its products with prob to the sums. */
NOINLINE void T(dots)(const struct T(softmax_grad) * r, size_t col, size_t count,
                      const uint8_t *bits, C(vec) sums[T(STRIP_VECTORS)])
{
    const unsigned char *dy = r->dy + col * BYTES, *prob = r->prob + col * BYTES;
    const C(vec) scale = r->y_scale;
    const bool prefetch = r->prefetch;
    const size_t ahead = r->ahead;
    C(vec) local[T(STRIP_VECTORS)], *g = r->g;

    for (int i = 0; i < T(STRIP_VECTORS); i++)
        local[i] = sums[i];
    for (; count >= WORD_ELEMENTS; count -= WORD_ELEMENTS) {
        if (prefetch) {
            prefetch_lines((uintptr_t)dy + ahead, T(STRIP_BYTES));
            prefetch_lines((uintptr_t)prob + ahead, T(STRIP_BYTES));
        }
        T(dot_strip)(dy, prob, scale, keep_bits_load(bits), true, 0, g, local);
        dy += T(STRIP_BYTES);
        prob += T(STRIP_BYTES);
        g += T(STRIP_VECTORS);
        bits += WORD_ELEMENTS / 8;
    }
    if (count > 0) {
        uint8_t buffer[WORD_ELEMENTS / 8];

        T(dot_strip)(dy, prob, scale, strip_bits(bits, 0, count, buffer), false, count, g, local);
    }
    for (int i = 0; i < T(STRIP_VECTORS); i++)
        sums[i] = local[i];
}

/* Stores dx of a strip. The strip has n elements if it is not whole. */
FORCE_INLINE void T(grad_strip)(const struct T(softmax_grad) * r, size_t col, const C(vec) * g,
                                C(vec) sum, bool whole, size_t n)
{
    for (int v = 0; v < T(VECTORS); v++) {
        const size_t in_strip = (size_t)v * T(LANES), at = (col + in_strip) * BYTES;
        T(vec) prob, dx;

        if (!whole && in_strip >= n)
            break;
        prob = whole ? T(load)(r->prob + at) : T(load_partial)(r->prob + at, n - in_strip);
        for (int i = 0; i < T(PARTS); i++)
            *T(part)(&dx, i) =
                C(mul)(C(mul)(r->x_scale, *T(part)(&prob, i)), C(sub)(g[v * T(PARTS) + i], sum));
        T(put)(r->dx + at, T(round)(dx), r->streaming, whole, n - in_strip);
    }
}

/*
 * Stores dx of a part of a row. Works on a copy of the row, because compilers know that stores to
 * dx cannot change it.
 */
NOINLINE void T(grads)(const struct T(softmax_grad) * row, size_t col, size_t count)
{
    const struct T(softmax_grad) r = *row;
    const C(vec) sum = C(set1)(r.sum), *g = r.g;

    for (; count >= WORD_ELEMENTS; count -= WORD_ELEMENTS) {
        T(grad_strip)(&r, col, g, sum, true, 0);
        col += WORD_ELEMENTS;
        g += T(STRIP_VECTORS);
    }
    if (count > 0)
        T(grad_strip)(&r, col, g, sum, false, count);
}

/* Begins a row with its first pass: g and the sum. */
static void T(grad_begin)(struct T(softmax_grad) * r, const struct bitdrop_job *job, size_t row,
                          struct row_bits *bits, C(vec) * g)
{
    C(vec) sums[T(STRIP_VECTORS)];

    r->dy = operand_at(&job->in[0], row, 0);
    r->prob = operand_at(&job->in[1], row, 0);
    r->dx = job->out.at + row * job->out.row_bytes;
    r->seen = columns_seen(job->softmax, job->first_row + row, job->cols);
    r->x_scale = C(set1)(job->C(parameter)[1]);
    r->y_scale = C(set1)(job->C(parameter)[0]);
    r->streaming = job->streaming && (uintptr_t)r->dx % T(VECTOR_BYTES) == 0;
    r->prefetch = job->prefetch.inputs;
    r->ahead = job->prefetch.ahead;
    r->g = g;
    for (int i = 0; i < T(STRIP_VECTORS); i++)
        sums[i] = C(set1)(0);
    for (size_t col = 0; col < r->seen; col += T(PART)) {
        const size_t count = smaller(r->seen - col, T(PART));

        T(dots)(r, col, count, bits_of_row(bits, row, col, count), sums);
    }
    r->sum = T(total)(sums);
}

/* The second pass: dx. */
static void T(grad_end)(const struct T(softmax_grad) * r, size_t row, size_t cols,
                        struct row_bits *bits)
{
    C(vec) unused[T(STRIP_VECTORS)];

    for (int i = 0; i < T(STRIP_VECTORS); i++)
        unused[i] = C(set1)(0);
    for (size_t col = 0; col < r->seen; col += T(PART)) {
        const size_t count = smaller(r->seen - col, T(PART));

        if (r->seen > T(PART))
            T(dots)(r, col, count, bits_of_row(bits, row, col, count), unused);
        T(grads)(r, col, count);
    }
    if (r->seen < cols)
        memset(r->dx + r->seen * BYTES, 0, (cols - r->seen) * BYTES);
}

static void T(op_softmax_grad)(const struct bitdrop_job *job, struct row_bits *bits,
                               C(vec) * buffer)
{
    const size_t second = T(second_row)(job->cols);
    struct T(softmax_grad) r[2]; /* this row, and the one before */

    for (size_t row = 0; row < job->rows; row++) {
        struct T(softmax_grad) *const now = &r[row % 2];

        T(grad_begin)(now, job, row, bits, buffer + row % 2 * second);
        if (second > 0 && row > 0)
            T(grad_end)(&r[(row - 1) % 2], row - 1, job->cols, bits);
        if (second == 0 || row + 1 == job->rows)
            T(grad_end)(now, row, job->cols, bits);
    }
}

#endif
