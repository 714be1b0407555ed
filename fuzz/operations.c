/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the calls of src/operations.h. Checks the status of each call, which bytes it accesses,
 * and for small calls each value. Every ISA must write the same bytes as scalar does on one thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "operation_call.h"
#include "tests/layout.h"
#include "tests/oracle.h"
#include "tests/reference.h"

enum { EVERY_VALUE = 64 }; /* the most elements of a call that is compared with the reference */

static bool writes_mask(const struct operation *o)
{
    return operation_row(o->call.op)->bits == BITS_WRITTEN &&
           operation_uses_mask(o->call.op, o->cfg.mask_use);
}

static bool reads_mask(const struct operation *o)
{
    return operation_row(o->call.op)->bits == BITS_READ &&
           operation_uses_mask(o->call.op, o->cfg.mask_use);
}

/* Fills the inputs with any elements, or with numbers for which softmax has no NaN. */
static void fill_inputs(struct fuzz_input *in, const struct operation *o)
{
    const bool any = fuzz_once_in(in, 2);
    struct check c = {.random = fuzz_number(in)};

    for (int i = 0; i < INPUTS; i++) {
        if (!fuzz_present(&o->b[i]) || kind_of(o, i) == IN_PROB)
            continue;
        for (size_t r = 0; r < o->b[i].count[2]; r++) {
            unsigned char *row = memory_before(o->b[i].at + r * o->b[i].stride[2]);

            if (any)
                check_fill(&c, o->call.dtype, row, o->filled.cols);
            for (size_t col = 0; !any && col < o->filled.cols; col++)
                oracle_put(o->call.dtype, 8 * check_unit(&c), row + col * o->size);
        }
    }
}

static void report(const struct operation *o, const char *format, const char *what, size_t a,
                   size_t b)
{
    const bitdrop_config *cfg = &o->cfg;
    const bitdrop_2d *s = &o->shape;

    fprintf(stderr,
            "%s %s dtype %d, %zu x %zu pitch %" PRIu64 " strides %zu %zu %zu mask %zu repeat %zu "
            "first row %" PRIu64 " unit %" PRIu32 "; isa %d p %a seed %" PRIu64 " stream %" PRIu32
            " offset %" PRIu64 " rounds %d scaling %d stores %d mask_use %d tasks %zu; bias stride "
            "%zu block %zu repeat %zu causal %" PRIu64 " %" PRId64 "\n",
            operation_name(o->call.op), o->call.flat ? "flat" : "2d", (int)o->call.dtype, s->rows,
            s->cols, s->pitch, s->x_stride, s->y_stride, s->z_stride, s->mask_stride,
            s->mask_repeat, s->first_row, s->unit, cfg->isa, cfg->p, cfg->seed, cfg->stream,
            cfg->offset, cfg->rounds, cfg->scaling, cfg->stores, cfg->mask_use,
            cfg->parallel == NULL ? 0 : cfg->parallel->tasks, o->soft.bias_stride,
            o->soft.bias_block, o->soft.bias_repeat, o->soft.causal_rows, o->soft.causal_first);
    for (int i = 0; i < BUFFERS; i++)
        fprintf(stderr, "buffer %d: %p, %zu bytes%s%s\n", i, (void *)o->b[i].at,
                fuzz_extent(&o->b[i]), o->b[i].used ? "" : ", not used",
                o->b[i].written ? ", written" : "");
    fuzz_fail(format, what, a, b);
}

static void compare_with_reference(const struct operation *o)
{
    const struct fuzz_buffer *mask = &o->b[MASK];

    for (size_t r = 0; r < o->filled.rows; r++)
        for (size_t c = 0; c < o->filled.cols; c++) {
            const size_t bit = layout_bit(&o->filled, o->marks, r, c);
            const unsigned char *y = operation_has_data(o->call.op)
                                         ? o->b[Y].at + r * o->b[Y].stride[2] + c * o->size
                                         : NULL;
            struct element e = {.op = o->call.op,
                                .cfg = &o->cfg,
                                .dtype = o->call.dtype,
                                .index = layout_index(&o->filled, o->cfg.offset, r, c),
                                .stored = reads_mask(o)};
            const bool got = writes_mask(o) && mask->at[bit / 8] >> (bit % 8) & 1;

            e.keep = e.stored ? memory_before(mask->at)[bit / 8] >> (bit % 8) & 1
                              : oracle_keep(&o->cfg, e.index);
            for (int i = 0; i < INPUTS; i++)
                if (fuzz_present(&o->b[i]))
                    e.in[i] = memory_before(o->b[i].at +
                                            (o->b[i].count[2] == 1 ? 0 : r) * o->b[i].stride[2] +
                                            c * o->size);
            if (!operation_has_data(o->call.op)) {
                if (got != e.keep)
                    report(o, "%s: bit of (%zu, %zu)", "the mask differs from the oracle", r, c);
                continue;
            }
            reference(&e);
            if (!reference_accepts((bitdrop_isa)o->cfg.isa, &e, y,
                                   o->marks && writes_mask(o) ? &got : NULL) ||
                (writes_mask(o) && !o->marks && got != e.keep))
                report(o, "%s: (%zu, %zu)", "differs from the reference", r, c);
        }
}

static void compare_with_kept(const struct operation *o)
{
    const bitdrop_dtype number = o->call.dtype == BITDROP_F64 ? BITDROP_F64 : BITDROP_F32;

    for (int i = 0; i < BUFFERS; i++) {
        if (!o->b[i].written || !fuzz_present(&o->b[i]))
            continue;
        const size_t size = i == MASK ? 1 : i == LSE ? dtype_bytes(number) : o->size;

        for (size_t r = 0; r < o->b[i].count[2]; r++) {
            const unsigned char *got = o->b[i].at + r * o->b[i].stride[2];
            const unsigned char *kept = memory_kept(got);

            if (memcmp(got, kept, o->b[i].bytes) == 0)
                continue;
            const size_t n = o->b[i].bytes / size;
            const size_t first =
                i == MASK ? 0 : check_difference(i == LSE ? number : o->call.dtype, got, kept, n);

            if (first < n)
                report(o, "%s: row %zu, element %zu",
                       i == MASK ? "the mask differs from scalar's"
                                 : "differs from what scalar wrote",
                       r, first);
        }
    }
}

static bitdrop_status run(const struct operation *o)
{
    const struct call *c = &o->call;

    if (!o->act.wrong)
        return call_run(c);
    if (c->op == OP_forward_gelu)
        return bitdrop_forward_act(c->cfg, c->dtype, c->shape, o->act.value, c->in[0], c->in[1],
                                   c->y, c->mask);
    return bitdrop_backward_act(c->cfg, c->dtype, c->shape, o->act.value, c->in[0], c->in[1],
                                c->in[2], c->y, c->mask);
}

static void run_once(struct operation *o, bitdrop_status wanted, unsigned call_number)
{
    const size_t runs = o->parallel.runs;
    const bool nothing = wanted != BITDROP_OK || !has_elements(o);

    memory_begin(o->b, BUFFERS, call_number, nothing);
    const bitdrop_status got = run(o);
    const unsigned char *changed = memory_end(nothing);

    if (got != wanted)
        report(o, "%s: %zu, not %zu", "status", got, wanted);
    if (changed != NULL)
        report(o, "%s: the byte at 0x%zx, status %zu", "written outside of the outputs",
               (size_t)changed, got);
    if (nothing && o->parallel.runs != runs)
        report(o, "%s%.zu%.zu", "run was called by a call that has nothing to do", 0, 0);
    if (!nothing && !o->of_rows && o->filled.rows * o->filled.cols <= EVERY_VALUE)
        compare_with_reference(o);
}

bool fuzz_one(struct fuzz_input *in)
{
    struct operation o = {.place = 0};
    const bitdrop_parallel *parallel;
    int wanted;

    operation_choose(in, &o);
    wanted = operation_status(&o);
    if (wanted == FUZZ_TOO_LARGE)
        return false;
    if (wanted != BITDROP_OK || !has_elements(&o) || !o.every_isa) {
        if (wanted == BITDROP_OK && has_elements(&o))
            fill_inputs(in, &o);
        run_once(&o, (bitdrop_status)wanted, 0);
        return true;
    }
    fill_inputs(in, &o);
    parallel = o.cfg.parallel;
    o.cfg.parallel = NULL;
    o.cfg.isa = BITDROP_ISA_SCALAR;
    run_once(&o, BITDROP_OK, 0);
    memory_keep();
    o.cfg.parallel = parallel;
    for (unsigned isa = 0; isa < BITDROP_ISA_COUNT; isa++) {
        if (!bitdrop_isa_supported((bitdrop_isa)isa))
            continue;
        o.cfg.isa = (uint8_t)isa;
        run_once(&o, BITDROP_OK, isa + 1);
        compare_with_kept(&o);
    }
    return true;
}
