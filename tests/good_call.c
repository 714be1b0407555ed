/* SPDX-License-Identifier: Apache-2.0 */
#include "good_call.h"

#include <string.h>

struct arguments_buffers buffers;

struct arguments arguments_good(const struct setting *s)
{
    static const bitdrop_config placeholder_config;
    static const bitdrop_2d placeholder_shape;

    return (struct arguments){
        /* Unless a test sets these pointers to NULL, `run` points them to cfg and shape below. */
        .call = {.flat = s->flat,
                 .cfg = &placeholder_config,
                 .dtype = BITDROP_F32,
                 .n = ARGUMENTS_N,
                 .shape = &placeholder_shape,
                 .in = {buffers.in[0], buffers.in[1], buffers.in[2]},
                 .y = buffers.y,
                 .mask = buffers.mask},
        .cfg = {.p = 0.25, .seed = 5, .isa = (uint8_t)s->c->isa, .mask_use = s->mask_use},
        .shape = {.rows = ARGUMENTS_ROWS, .cols = ARGUMENTS_COLS},
    };
}

#define SET_OF(condition)                                                                          \
    operations set = 0;                                                                            \
    for (int i_ = 0; i_ < BITDROP_OPERATION_COUNT; i_++) {                                         \
        const enum bitdrop_operation op = (enum bitdrop_operation)i_;                              \
        set |= (operations)(condition) << op;                                                      \
    }                                                                                              \
    return set

operations with_data(void) { SET_OF(operation_has_data(op)); }
operations with_mask(void) { SET_OF(operation_has_mask(op)); }
operations that_mark(void) { SET_OF(operation_marks(op)); }
operations of_rows(void) { SET_OF(operation_of_rows(op)); }
operations that_make_noise(void) { SET_OF(operation_row(op)->bits == BITS_NOISE); }

operations that_use_mask(const struct setting *s) { SET_OF(operation_uses_mask(op, s->mask_use)); }

operations that_write_mask(const struct setting *s)
{
    SET_OF(operation_uses_mask(op, s->mask_use) && operation_row(op)->bits == BITS_WRITTEN);
}

operations that_make_bits(const struct setting *s)
{
    SET_OF(operation_makes_bits(op, s->mask_use));
}

operations that_read(const struct setting *s, int i)
{
    SET_OF(operation_reads(op, s->mask_use, i));
}

operations that_need(const struct setting *s, int i)
{
    SET_OF(operation_reads(op, s->mask_use, i) &&
           (operation_row(op)->in[i] == IN_FIRST || operation_row(op)->in[i] == IN_THIRD));
}

static bool reads_kind(enum bitdrop_operation op, uint8_t mask_use, enum bitdrop_input kind)
{
    for (int i = 0; i < INPUTS; i++)
        if (operation_row(op)->in[i] == kind && operation_reads(op, mask_use, i))
            return true;
    return false;
}

operations that_read_kind(const struct setting *s, enum bitdrop_input kind)
{
    SET_OF(reads_kind(op, s->mask_use, kind));
}

static bitdrop_status run(const struct arguments *a, enum bitdrop_operation op)
{
    struct call call = a->call;

    call.op = op;
    if (call.cfg != NULL)
        call.cfg = &a->cfg;
    if (call.shape != NULL)
        call.shape = &a->shape;
    call.soft = &a->soft;
    if (!a->mask_as_given && !operation_uses_mask(op, a->cfg.mask_use))
        call.mask = NULL;
    return call_run(&call);
}

void arguments_expect(const struct setting *s, const char *what, const struct arguments *a,
                      operations set, bitdrop_status wanted)
{
    static unsigned char before[sizeof buffers];

    for (int i = 0; i < BITDROP_OPERATION_COUNT; i++) {
        const enum bitdrop_operation op = (enum bitdrop_operation)i;

        if (!(set >> i & 1))
            continue;
        for (size_t j = 0; j < sizeof before; j++)
            before[j] = (unsigned char)check_random(s->c);
        memcpy(&buffers, before, sizeof buffers);
        const bitdrop_status got = run(a, op);

        if (got != wanted)
            check_fail(s->c, "%s, %s, mask_use %d, %s: status %d, not %d", operation_name(op),
                       s->flat ? "flat" : "2d", s->mask_use, what, got, wanted);
        if (got != BITDROP_OK && memcmp(before, &buffers, sizeof buffers) != 0)
            check_fail(s->c, "%s, %s: a call that fails wrote something", operation_name(op), what);
        s->c->cases++;
    }
}
