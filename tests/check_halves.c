/* SPDX-License-Identifier: Apache-2.0 */
/* Passes all 65,536 values of the half types as each input of each operation. */
#include <inttypes.h>
#include <string.h>

#include "call.h"
#include "check.h"
#include "oracle.h"
#include "reference.h"

enum { HALVES = 65536, INPUTS = BITDROP_MAX_INPUTS };

static bool bit(const uint8_t *mask, size_t i) { return mask[i / 8] >> (i % 8) & 1; }

/* `before` has the inputs before the call, which may have written its output over one of them. */
static void expect_halves(struct check *c, const struct call *call, const uint8_t *made,
                          uint16_t before[INPUTS][HALVES])
{
    const bool stored = operation_uses_mask(call->op, call->cfg->mask_use);
    const enum bitdrop_bits bits = operation_row(call->op)->bits;
    const uint16_t *y = call->y;

    for (size_t i = 0; i < HALVES; i++) {
        struct element e = {.op = call->op, .cfg = call->cfg, .dtype = call->dtype};
        uint16_t wanted;

        e.index = call->cfg->offset + i;
        e.stored = bits == BITS_READ && stored;
        e.keep = bit(e.stored ? call->mask : made, i);
        for (int k = 0; k < INPUTS; k++)
            e.in[k] = call->in[k] == NULL ? NULL : &before[k][i];
        reference(&e);
        const bool has_written = bits == BITS_WRITTEN && stored;
        const bool written = has_written ? bit(call->mask, i) : e.bit;

        memcpy(&wanted, e.y, sizeof wanted);
        if (!reference_accepts((bitdrop_isa)call->cfg->isa, &e, &y[i],
                               has_written ? &written : NULL))
            check_fail(c,
                       "%s %s: %04x %04x %04x make %04x, not %04x; keep bit %d, mask bit %d, not "
                       "%d; p %a, scaling %d",
                       operation_name(call->op), dtype_name(call->dtype), before[0][i],
                       before[1][i], before[2][i], y[i], wanted, e.keep, written, e.bit,
                       call->cfg->p, call->cfg->scaling);
    }
    c->cases++;
}

/* Passes all values as in[input]. At random the output is that input, if the call allows it. */
static void run_halves(struct check *c, enum bitdrop_operation op, bitdrop_dtype t, int input,
                       double p)
{
    static uint16_t before[INPUTS][HALVES], in[INPUTS][HALVES], y[HALVES];
    static uint8_t mask[HALVES / 8], made[HALVES / 8];
    bitdrop_config cfg = check_random_config(c);
    struct call call = {.op = op, .flat = true, .cfg = &cfg, .dtype = t, .n = HALVES, .y = y};
    const bool stored = operation_reads(op, BITDROP_MASK_STORED, input) && check_below(c, 3) != 0;
    const uint8_t all = check_below(c, 2) ? 0xFF : 0;

    cfg.p = operation_p(op, p);
    cfg.offset >>= 1;
    cfg.mask_use = operation_has_mask(op) && !stored ? BITDROP_MASK_REMADE : BITDROP_MASK_STORED;
    call.mask = operation_uses_mask(op, cfg.mask_use) ? mask : NULL;
    if (bitdrop_mask(&cfg, HALVES, made) != BITDROP_OK)
        check_fail(c, "refused");
    for (size_t i = 0; i < sizeof mask; i++) /* a mask that is read may be any */
        mask[i] = (uint8_t)~made[i] | all;
    for (int k = 0; k < INPUTS; k++) {
        check_fill(c, t, before[k], HALVES);
        for (size_t i = 0; i < HALVES && k == input; i++)
            before[k][i] = (uint16_t)i;
        memcpy(in[k], before[k], sizeof in[k]);
        if (!operation_reads(op, cfg.mask_use, k))
            continue;
        const enum bitdrop_input kind = operation_row(op)->in[k];
        const bool optional = kind == IN_BIAS || kind == IN_THIRD_OR_NULL;

        if (k == input || !optional || check_below(c, 2))
            call.in[k] = in[k];
        if (k == input && kind != IN_BIAS && check_below(c, 2))
            call.y = in[k];
    }
    if (call_run(&call) != BITDROP_OK)
        check_fail(c, "%s is refused", operation_name(op));
    expect_halves(c, &call, made, before);
}

void check_half_values(struct check *c)
{
    static const double ps[] = {0, 0.1, 0.5, 0.999, 1};
    const size_t count = sizeof ps / sizeof *ps, step = c->thin > 1 ? 4 : 1;
    size_t sample = check_below(c, step);

    for (int op = 0; op < BITDROP_OPERATION_COUNT; op++)
        for (int input = 0; input < INPUTS; input++) {
            if (!operation_has_data((enum bitdrop_operation)op) ||
                operation_of_rows((enum bitdrop_operation)op) ||
                !operation_reads((enum bitdrop_operation)op, BITDROP_MASK_REMADE, input))
                continue;
            for (size_t i = 0; i < 2 * count; i++)
                if (sample++ % step == 0)
                    run_halves(c, (enum bitdrop_operation)op, i % 2 ? BITDROP_F16 : BITDROP_BF16,
                               input, ps[i / 2]);
        }
}
