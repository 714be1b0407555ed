/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the calls of attention. Values differ between ISAs, so small calls are compared with the
 * reference, and their mask with the oracle. In tasks an ISA must write the same bytes as on one
 * thread.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "attention_call.h"
#include "tests/attention.h"
#include "tests/call.h"
#include "tests/oracle.h"

enum { EVERY_VALUE = 1500 }; /* the most scores of a call that is compared with the reference */

static const char *const names[BUFFERS] = {"scratch", "q",  "k",  "v",  "bias", "dout",
                                           "out",     "dq", "dk", "dv", "lse",  "mask"};

static void report(const struct attention *t, const char *what, size_t a, size_t b)
{
    const bitdrop_config *cfg = &t->cfg;
    const bitdrop_attention *s = &t->a;

    fprintf(stderr,
            "attention_%s dtype %d: batch %zu heads %zu/%zu queries %zu keys %zu dim %zu/%zu scale "
            "%g causal %" PRIu32 " %" PRId64 " index %zu %zu %zu; isa %d p %a seed %" PRIu64
            " stream %" PRIu32 " offset %" PRIu64 " rounds %d scaling %d mask_use %d tasks %zu\n",
            t->backward ? "backward" : "forward", (int)t->dtype, s->batch, s->heads, s->kv_heads,
            s->queries, s->keys, s->dim, s->v_dim, s->scale, s->causal, s->causal_first,
            s->index_heads, s->index_queries, s->index_keys, cfg->isa, cfg->p, cfg->seed,
            cfg->stream, cfg->offset, cfg->rounds, cfg->scaling, cfg->mask_use,
            cfg->parallel == NULL ? 0 : cfg->parallel->tasks);
    for (int i = 0; i < BUFFERS; i++)
        fprintf(stderr, "%s: %p, %zu bytes, strides %zu %zu %zu%s%s\n", names[i],
                (void *)t->b[i].at, fuzz_extent(&t->b[i]), t->b[i].stride[0], t->b[i].stride[1],
                t->b[i].stride[2], t->b[i].used ? "" : ", not used",
                t->b[i].written ? ", written" : "");
    fuzz_fail("%s (%zu, %zu)", what, a, b);
}

/* Dense tensors: the numbers of the buffers, and the reference's results with their errors. */
static double numbers[BUFFERS][MOST_SCORES], wanted[BUFFERS][MOST_SCORES],
    errors[BUFFERS][MOST_SCORES];

static size_t rows_of(const struct fuzz_buffer *b)
{
    return b->count[0] * b->count[1] * b->count[2];
}

static unsigned char *row_at(const struct fuzz_buffer *b, size_t row)
{
    const size_t head = row / b->count[2], sample = head / b->count[1];

    return b->at + sample * b->stride[0] + head % b->count[1] * b->stride[1] +
           row % b->count[2] * b->stride[2];
}

static bitdrop_dtype dtype_of(const struct attention *t, int i)
{
    return i != LSE || t->dtype == BITDROP_F64 ? t->dtype : BITDROP_F32;
}

static void fill_inputs(struct fuzz_input *in, struct attention *t)
{
    struct check c = {.random = fuzz_number(in)};
    const bool any = fuzz_once_in(in, 8); /* elements of any kind */

    t->no_bounds |= any;
    for (int i = Q; i <= LSE; i++) {
        const bitdrop_dtype type = dtype_of(t, i);

        if (!fuzz_present(&t->b[i]) || t->b[i].written)
            continue;
        for (size_t row = 0; row < rows_of(&t->b[i]); row++)
            for (size_t col = 0; col < t->b[i].bytes / dtype_bytes(type); col++) {
                unsigned char *at = memory_before(row_at(&t->b[i], row)) + col * dtype_bytes(type);

                if (any)
                    check_fill(&c, type, at, 1);
                else
                    oracle_put(
                        type, i == BIAS && check_below(&c, 6) == 0 ? -INFINITY : 2 * check_unit(&c),
                        at);
            }
    }
}

static bool is_small(const struct attention *t)
{
    return rows_of(&t->b[MASK]) * t->filled.keys <= EVERY_VALUE;
}

static bool oracle_bit(const struct attention *t, size_t row, size_t key)
{
    const bitdrop_attention *a = &t->filled;
    const uint64_t i = row % a->queries, h = row / a->queries % a->heads;
    const uint64_t b = row / a->queries / a->heads;
    const uint64_t first = ((b * a->index_heads + h) * a->index_queries + i) * a->index_keys;

    return key < a->keys && oracle_keep(&t->cfg, t->cfg.offset + first + key);
}

/* Writes the mask that the forward call would have made, which the reference assumes. */
static void fill_mask(const struct attention *t)
{
    const struct fuzz_buffer *mask = &t->b[MASK];

    for (size_t row = 0; row < mask->count[2]; row++) {
        unsigned char *bits = memory_before(row_at(mask, row));

        memset(bits, 0, mask->bytes);
        for (size_t j = 0; j < t->filled.keys; j++)
            bits[j / 8] |= (unsigned char)(oracle_bit(t, row, j) << (j % 8));
    }
}

/* Reads the numbers of a tensor: an input before the call, or an output after it. */
static void read_numbers(const struct attention *t, int i, double *number)
{
    const bitdrop_dtype type = dtype_of(t, i);
    const size_t cols = t->b[i].bytes / dtype_bytes(type);

    for (size_t row = 0; row < rows_of(&t->b[i]); row++)
        for (size_t col = 0; col < cols; col++) {
            const unsigned char *at = row_at(&t->b[i], row) + col * dtype_bytes(type);

            number[row * cols + col] =
                oracle_number(type, t->b[i].written ? at : memory_before(at));
        }
}

static void compare_numbers(const struct attention *t, int i)
{
    static const double roundings[] = {[BITDROP_F32] = 0x1p-23,
                                       [BITDROP_F64] = 0x1p-52,
                                       [BITDROP_F16] = 0x1p-10,
                                       [BITDROP_BF16] = 0x1p-7};
    const size_t n = rows_of(&t->b[i]) * (t->b[i].bytes / dtype_bytes(dtype_of(t, i)));
    const double least = t->dtype == BITDROP_F16 ? 0x1p-24 : 0x1p-120;
    const double rounding = roundings[dtype_of(t, i)];

    if (!fuzz_present(&t->b[i]))
        return;
    read_numbers(t, i, numbers[i]);
    for (size_t k = 0; k < n; k++) {
        const double got = numbers[i][k], want = wanted[i][k];
        const double error = errors[i][k] + rounding * fabs(want) + least;
        const bool overflows = t->dtype == BITDROP_F16 && fabs(want) + error > 65504 &&
                               got == copysign(INFINITY, want);

        if (!(got == want || (got != got && want != want) || fabs(got - want) <= error ||
              overflows)) {
            fprintf(stderr, "%.9g, not %.9g +- %.1e\n", got, want, errors[i][k]);
            report(t, names[i], k, n);
        }
    }
}

/* Whether the error bounds of the reference hold: inputs are as they were filled, and the scale of
 * D is small. */
static bool has_bounds(const struct attention *t)
{
    if (t->no_bounds || (t->cfg.p > 0.9 && t->cfg.p < 1))
        return false;
    for (size_t i = Q; i <= LSE; i++)
        for (size_t j = Q; j <= MASK; j++)
            if (memory_shared(i, j))
                return false;
    return true;
}

static void compare_with_reference(const struct attention *t)
{
    struct attention_result to[BUFFERS];
    const struct attention_case c = {
        .cfg = &t->cfg,
        .a = &t->filled,
        .in = {numbers[Q], numbers[K], numbers[V], numbers[DOUT], numbers[OUT], numbers[LSE],
               t->a.bias == NULL ? NULL : numbers[BIAS]},
        .unit = t->dtype == BITDROP_F64 ? 0x1p-50 : 0x1p-21,
        .rounding = t->dtype == BITDROP_BF16 ? 0x1p-8 : 0}; /* AVX512_BF16 needs bf16 factors */

    for (int i = 0; i < BUFFERS; i++)
        to[i] = (struct attention_result){wanted[i], errors[i]};
    for (int i = Q; i <= LSE; i++)
        if (fuzz_present(&t->b[i]) && !t->b[i].written)
            read_numbers(t, i, numbers[i]);
    if (t->backward)
        attention_backward(&c, &to[DQ], &to[DK], &to[DV]);
    else
        attention_forward(&c, &to[OUT], &to[LSE]);
    for (int i = Q; i <= LSE; i++)
        if (t->b[i].used && t->b[i].written)
            compare_numbers(t, i);
}

static void compare_mask(const struct attention *t)
{
    const struct fuzz_buffer *mask = &t->b[MASK];

    for (size_t row = 0; row < mask->count[2]; row++)
        for (size_t j = 0; j < 8 * mask->bytes; j++)
            if ((row_at(mask, row)[j / 8] >> (j % 8) & 1) != oracle_bit(t, row, j))
                report(t, "a bit of the mask is wrong: row, column", row, j);
}

static bitdrop_status run(const struct attention *t)
{
    const bitdrop_config *cfg = t->no_cfg ? NULL : &t->cfg;
    const bitdrop_attention *a = t->no_a ? NULL : &t->a;
    const struct fuzz_buffer *b = t->b;

    if (t->backward)
        return bitdrop_attention_backward(cfg, t->dtype, a, b[DOUT].at, b[Q].at, b[K].at, b[V].at,
                                          b[OUT].at, b[LSE].at, b[DQ].at, b[DK].at, b[DV].at,
                                          b[MASK].at, b[SCRATCH].at);
    return bitdrop_attention_forward(cfg, t->dtype, a, b[Q].at, b[K].at, b[V].at, b[OUT].at,
                                     b[LSE].at, b[MASK].at, b[SCRATCH].at);
}

/* Makes the call and checks its status and what it wrote. Returns whether it has results. */
static bool run_once(struct attention *t, unsigned call_number)
{
    const int expected = attention_status(t);
    const bool nothing = expected != BITDROP_OK || !has_elements(t);
    const size_t runs = t->parallel.runs;

    if (expected == FUZZ_TOO_LARGE)
        return false;
    memory_begin(t->b, BUFFERS, call_number, nothing);
    const bitdrop_status got = run(t);
    const unsigned char *changed = memory_end(nothing);

    if (got != (bitdrop_status)expected)
        report(t, "status: is, must be", got, (size_t)expected);
    if (changed != NULL)
        report(t, "written outside of the outputs: address, status", (size_t)changed, got);
    if (nothing && t->parallel.runs != runs)
        report(t, "run was called by a call that has nothing to do", 0, 0);
    return !nothing;
}

static void compare_with_kept(const struct attention *t)
{
    for (int i = Q; i <= MASK; i++)
        for (size_t row = 0; t->b[i].written && fuzz_present(&t->b[i]) && row < rows_of(&t->b[i]);
             row++)
            if (memcmp(row_at(&t->b[i], row), memory_kept(row_at(&t->b[i], row)), t->b[i].bytes) !=
                0) {
                fprintf(stderr, "%s in tasks\n", names[i]);
                report(t, "differs from the same call on one thread: buffer, row", (size_t)i, row);
            }
}

/* Compares a call on one thread with the reference, and then the same call in tasks with it. */
static void try_isa(struct attention *t, uint8_t isa)
{
    const bitdrop_parallel *parallel = t->cfg.parallel;

    t->cfg.isa = isa;
    t->cfg.parallel = NULL;
    const bool ran = run_once(t, 0);

    t->cfg.parallel = parallel;
    if (!ran)
        return;
    memory_keep();
    if (is_small(t)) {
        if (has_bounds(t))
            compare_with_reference(t);
        if (t->b[MASK].written && t->b[MASK].used)
            compare_mask(t);
    }
    if (run_once(t, 1))
        compare_with_kept(t);
}

bool fuzz_one(struct fuzz_input *in)
{
    struct attention t = {.no_bounds = false};
    int expected;

    attention_choose(in, &t);
    expected = attention_status(&t);
    if (expected == FUZZ_TOO_LARGE)
        return false;
    if (expected != BITDROP_OK || !has_elements(&t) || !t.every_isa) {
        run_once(&t, 0);
        return true;
    }
    fill_inputs(in, &t);
    if (is_small(&t) && fuzz_present(&t.b[MASK]) && !t.b[MASK].written)
        fill_mask(&t);
    for (unsigned isa = 0; isa < BITDROP_ISA_COUNT; isa++)
        if (bitdrop_isa_supported((bitdrop_isa)isa))
            try_isa(&t, (uint8_t)isa);
    return true;
}
