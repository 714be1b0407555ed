/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks each pair forward_<name> and backward_<name> of the list: dx must be the derivative of
 * sum(y * dy) with respect to x, for a fixed mask. It is compared with differences in f64.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "call.h"
#include "check.h"

enum { INPUTS = BITDROP_MAX_INPUTS, ROWS = 6, COLS = 11, N = ROWS * COLS, MASK_BYTES = 2 * ROWS };

/* The tensors of a training step. */
struct step {
    bitdrop_config cfg;
    bitdrop_2d shape;
    double x[N], bias[N], residual[N], dy[N], accumulated[N];
    bool has_bias, has_residual, accumulates;
    uint8_t mask[MASK_BYTES]; /* of the forward call */
    bitdrop_softmax soft;
    double prob[N]; /* of the forward call, if that has a prob */
};

static double random_number(struct check *c)
{
    return (double)(int64_t)check_random(c) * 0x1p-62; /* in [-2, 2) */
}

/* An activation may have a kink at 0, so x + bias is never near 0. */
static struct step random_step(struct check *c)
{
    struct step s = {.cfg = check_random_config(c), .shape = {.rows = ROWS, .cols = COLS}};

    s.cfg.p = (double)check_below(c, 10) / 10;
    s.cfg.offset >>= 1;
    s.cfg.mask_use = (uint8_t)check_below(c, 2);
    s.shape.unit = (uint32_t)check_below(c, 2);
    s.shape.mask_repeat = check_below(c, 4);
    s.shape.first_row = check_below(c, 10);
    s.has_bias = check_below(c, 2) == 0;
    s.has_residual = check_below(c, 2) == 0;
    s.accumulates = check_below(c, 2) == 0;
    s.soft.scale = check_below(c, 2) ? 0.75 : 0;
    s.soft.bias_block = 1; /* one row of bias for all rows */
    s.soft.bias_repeat = 100;
    s.soft.causal_rows = check_below(c, 3);
    s.soft.causal_first = s.soft.causal_rows > 0 ? (int64_t)check_below(c, 9) - 1 : 0;
    for (int i = 0; i < N; i++) {
        s.bias[i] = random_number(c);
        s.residual[i] = random_number(c);
        s.dy[i] = random_number(c);
        s.accumulated[i] = random_number(c);
    }
    for (int i = 0; i < N; i++)
        do
            s.x[i] = random_number(c);
        while (fabs(s.x[i] + (s.has_bias ? s.bias[i % COLS] : 0)) < 0.01);
    return s;
}

/* Makes the forward call at x. Writes y, prob, and the mask if it is stored. */
static void forward(struct check *c, const struct step *s, enum bitdrop_operation op,
                    const double *x, double *y, double *prob, uint8_t *mask)
{
    struct call call = {.op = op,
                        .cfg = &s->cfg,
                        .dtype = BITDROP_F64,
                        .shape = &s->shape,
                        .y = y,
                        .soft = &s->soft};

    for (int i = 0; i < INPUTS; i++) {
        const enum bitdrop_input kind = operation_row(op)->in[i];

        if (kind == IN_FIRST)
            call.in[i] = x;
        else if (kind == IN_BIAS || kind == IN_ROW_BIAS)
            call.in[i] = s->has_bias ? s->bias : NULL;
        else if (kind == IN_PROB)
            call.in[i] = prob;
        else if (kind == IN_THIRD || s->has_residual)
            call.in[i] = s->residual;
    }
    call.mask = operation_uses_mask(op, s->cfg.mask_use) ? mask : NULL;
    if (call_run(&call) != BITDROP_OK)
        check_fail(c, "%s is refused", operation_name(op));
}

/*
 * Makes the backward call. Its first input is dy. A third input that must not be NULL is prob of a
 * softmax call, else x of the forward call. One that may be NULL is added to the gradient.
 */
static void backward(struct check *c, const struct step *s, enum bitdrop_operation op, double *dx)
{
    struct call call = {.op = op,
                        .cfg = &s->cfg,
                        .dtype = BITDROP_F64,
                        .shape = &s->shape,
                        .y = dx,
                        .soft = &s->soft};
    uint8_t mask[MASK_BYTES];

    memcpy(mask, s->mask, sizeof mask);
    for (int i = 0; i < INPUTS; i++) {
        const enum bitdrop_input kind = operation_row(op)->in[i];

        if (kind == IN_FIRST)
            call.in[i] = s->dy;
        else if (kind == IN_BIAS)
            call.in[i] = s->has_bias ? s->bias : NULL;
        else if (kind == IN_THIRD)
            call.in[i] = operation_of_rows(op) ? s->prob : s->x;
        else if (kind == IN_THIRD_OR_NULL)
            call.in[i] = s->accumulates ? s->accumulated : NULL;
    }
    call.mask = operation_uses_mask(op, s->cfg.mask_use) ? mask : NULL;
    if (call_run(&call) != BITDROP_OK)
        check_fail(c, "%s is refused", operation_name(op));
}

static bool adds(enum bitdrop_operation op)
{
    for (int i = 0; i < INPUTS; i++)
        if (operation_row(op)->in[i] == IN_THIRD_OR_NULL)
            return true;
    return false;
}

/* The derivative of sum(y * dy) with respect to x[i]. */
static double difference(struct check *c, const struct step *s, enum bitdrop_operation op, int i)
{
    const double h = 0x1p-16;
    double x[N], above[N], below[N], sum = 0;
    uint8_t mask[MASK_BYTES];

    memcpy(x, s->x, sizeof x);
    x[i] = s->x[i] + h;
    forward(c, s, op, x, above, NULL, mask);
    x[i] = s->x[i] - h;
    forward(c, s, op, x, below, NULL, mask);
    for (int k = 0; k < N; k++)
        sum += (above[k] - below[k]) * s->dy[k];
    return sum / (2 * h);
}

static void check_pair(struct check *c, enum bitdrop_operation to, enum bitdrop_operation back)
{
    struct step s = random_step(c);
    double y[N], dx[N];

    forward(c, &s, to, s.x, y, s.prob, s.mask);
    backward(c, &s, back, dx);
    for (int i = 0; i < N; i++) {
        const double added = adds(back) && s.accumulates ? s.accumulated[i] : 0;
        const double wanted = added + difference(c, &s, to, i);

        if (!(fabs(dx[i] - wanted) <= 1e-7 * (1 + fabs(wanted)))) {
            check_fail(c, "%s: element %d is %g, by differences %g; x %g, dy %g, p %g, mask_use %d",
                       operation_name(back), i, dx[i], wanted, s.x[i], s.dy[i], s.cfg.p,
                       s.cfg.mask_use);
            break;
        }
    }
    c->cases++;
}

/* The backward operation of a forward operation, or BITDROP_OPERATION_COUNT if there is none. */
static int backward_of(enum bitdrop_operation op)
{
    const char *name = operation_name(op), *word = "forward";
    int back = 0;

    if (strncmp(name, word, strlen(word)) != 0)
        return BITDROP_OPERATION_COUNT;
    while (back < BITDROP_OPERATION_COUNT) {
        const char *other = operation_name((enum bitdrop_operation)back);

        if (strncmp(other, "backward", strlen("backward")) == 0 &&
            strcmp(other + strlen("backward"), name + strlen(word)) == 0)
            break;
        back++;
    }
    return back;
}

void check_gradients(struct check *c)
{
    for (int op = 0; op < BITDROP_OPERATION_COUNT; op++) {
        const int back = backward_of((enum bitdrop_operation)op);

        for (unsigned i = 0; i < 40 / c->thin && back < BITDROP_OPERATION_COUNT; i++)
            check_pair(c, (enum bitdrop_operation)op, (enum bitdrop_operation)back);
    }
}
