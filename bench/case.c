/* SPDX-License-Identifier: Apache-2.0 */
#include "case.h"

#include <stdio.h>

#include "fail.h"
#include "loops.h"
#include "memory.h"
#include "pool.h"

enum {
    COLS = MEMORY_BIAS_ELEMENTS, /* of a row, unless the form has others */
    GAP = 16,                    /* elements */
    MASK_GAP = 8,                /* bytes */
    FLAT_UNIT = 2048,            /* the share of a thread in a flat call is whole units */
    SHARING_ROWS = 8             /* rows that share a mask row, or with EACH_ROW a mask byte */
};

static const struct form {
    const char *name;
    size_t cols;                     /* 0: COLS */
    size_t gap, pitch_gap, mask_gap; /* after each row: elements, indices and bytes */
    size_t repeat;
    uint32_t unit;
    uint8_t mask_use;
    bool no_bias, no_third;
} forms[FORM_COUNT] = {
    [FORM_FLAT] = {"flat", .repeat = 1},
    [FORM_GAPS] = {"2d", .gap = GAP, .pitch_gap = GAP, .mask_gap = MASK_GAP, .repeat = 1},
    [FORM_ROWS] = {"rows", .repeat = 1},
    [FORM_NO_BIAS] = {"no-bias", .repeat = 1, .no_bias = true},
    [FORM_NO_THIRD] = {"no-third", .repeat = 1, .no_third = true},
    [FORM_REMADE] = {"remade", .repeat = 1, .mask_use = BITDROP_MASK_REMADE},
    [FORM_EACH_ROW] = {"each-row", .repeat = 1, .unit = BITDROP_EACH_ROW},
    [FORM_REPEAT] = {"repeat=8", .repeat = SHARING_ROWS},
    [FORM_SHORT] = {"cols=128", .cols = 128, .gap = 8, .repeat = 1},
    [FORM_RAGGED] = {"cols=100", .cols = 100, .repeat = 1},
    [FORM_BARE] = {"bare", .repeat = 1, .no_bias = true, .no_third = true},
    [FORM_BARE_512] = {"bare-512", .cols = 512, .repeat = 1, .no_bias = true, .no_third = true},
    [FORM_PIECES] = {"pieces=512", .cols = 512, .pitch_gap = 2048 - 512, .repeat = 1},
    [FORM_NARROW] = {"pieces=128", .cols = 128, .pitch_gap = 2048 - 128, .repeat = 1},
};

static const struct form *form_of(const struct bench_case *c) { return &forms[c->form]; }

static const struct bitdrop_operation_row *row_of(const struct bench_case *c)
{
    return operation_row(c->op);
}

static const struct loop *loop_of(const struct bench_case *c)
{
    const struct loop *const loops[] = {
        [BY_HAND] = by_hand_loops, [LIMIT] = limit_loops, [MATH] = math_loops};

    return &loops[c->kind][c->loop];
}

const char *case_operation_name(const struct bench_case *c)
{
    if (c->kind == OPERATION)
        return operation_name(c->op);
    return loop_of(c)->name;
}

static bool has_data(const struct bench_case *c)
{
    return c->kind != OPERATION || operation_has_data(c->op);
}

const char *case_dtype_name(const struct bench_case *c)
{
    return has_data(c) ? dtype_name(c->dtype) : "-";
}

const char *case_form_name(const struct bench_case *c) { return form_of(c)->name; }

const char *case_place_name(const struct bench_case *c)
{
    static const char *const names[CASE_PLACES] = {"out", "in", "in-2", "in-3"};

    return names[c->place];
}

static unsigned threads_of(const struct bench_case *c) { return c->threads ? c->threads : 1; }

void case_name(const struct bench_case *c, char name[CASE_NAME_BYTES])
{
    static const char *const stores[] = {"auto", "cached", "streaming"};
    static const char *const kinds[] = {
        "", [BY_HAND] = "by-hand-", [LIMIT] = "limit-", [MATH] = "math-"};

    snprintf(name, CASE_NAME_BYTES, "%s%s/%s/%s/%s/p=%g/rounds=%u/%s/n=%zu/%s/threads=%u",
             kinds[c->kind], case_operation_name(c), case_form_name(c),
             c->kind == OPERATION ? bitdrop_isa_name(c->isa) : "-", dtype_name(c->dtype), c->p,
             c->rounds ? c->rounds : 10, stores[c->stores], c->n, case_place_name(c),
             threads_of(c));
}

static bool has_flat_call(enum bitdrop_operation op)
{
    switch (op) {
#define FLAT(name, arguments) case OP_##name:
        BITDROP_FLAT_OPERATIONS(FLAT)
#undef FLAT
        return true;
    default:
        return false;
    }
}

enum case_form case_usual_form(const struct bench_case *c)
{
    return c->kind != OPERATION || has_flat_call(c->op) ? FORM_FLAT : FORM_ROWS;
}

bool case_makes_bits(const struct bench_case *c)
{
    return operation_makes_bits(c->op, form_of(c)->mask_use);
}

static bool is_prob(enum bitdrop_input kind) { return kind == IN_PROB; }

static bool is_optional_third(enum bitdrop_input kind)
{
    return kind == IN_THIRD_OR_NULL || is_prob(kind);
}

static bool is_third(enum bitdrop_input kind)
{
    return kind == IN_THIRD || is_optional_third(kind);
}

static bool is_bias(enum bitdrop_input kind) { return kind == IN_BIAS || kind == IN_ROW_BIAS; }

/* Whether the case reads in[i]. */
static bool reads(const struct bench_case *c, int i)
{
    const struct form *f = form_of(c);
    const enum bitdrop_input kind = row_of(c)->in[i];

    return operation_reads(c->op, f->mask_use, i) && !(f->no_bias && is_bias(kind)) &&
           !(f->no_third && is_optional_third(kind));
}

/* Whether the operation can read an input of this kind. The form may leave the input out. */
static bool has_input(const struct bench_case *c, bool (*is)(enum bitdrop_input kind))
{
    for (int i = 0; i < BITDROP_MAX_INPUTS; i++)
        if (is(row_of(c)->in[i]) && operation_reads(c->op, form_of(c)->mask_use, i))
            return true;
    return false;
}

static bool has_place(const struct bench_case *c)
{
    if (c->place == 0)
        return true;
    const enum bitdrop_input kind = row_of(c)->in[c->place - 1];

    return reads(c, c->place - 1) && !is_bias(kind) && !is_prob(kind);
}

bool case_has_form(const struct bench_case *c)
{
    const bool flat = has_flat_call(c->op);

    if (!has_place(c))
        return false;
    switch (c->form) {
    case FORM_FLAT:
        return flat;
    case FORM_GAPS:
    case FORM_SHORT:
    case FORM_RAGGED:
        return true;
    case FORM_ROWS:
        return !flat;
    case FORM_NO_BIAS:
        return has_input(c, is_bias);
    case FORM_NO_THIRD:
        return has_input(c, is_optional_third);
    case FORM_BARE:
    case FORM_BARE_512:
        return has_input(c, is_prob);
    case FORM_PIECES:
    case FORM_NARROW:
        return !has_data(c);
    case FORM_REMADE: /* an operation with a flat call has OP_recompute for this */
        return !flat && operation_has_mask(c->op);
    default: /* which elements share a decision: a backward call that reads marks is not told */
        return has_data(c) &&
               (case_makes_bits(c) || (operation_has_mask(c->op) && !operation_marks(c->op)));
    }
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static size_t cols_of(const struct bench_case *c)
{
    const size_t cols = form_of(c)->cols;

    return c->n == 0 ? 1 : smaller(c->n, cols > 0 ? cols : COLS);
}

size_t case_whole_rows(const struct bench_case *c) { return c->n - c->n % cols_of(c); }

size_t case_mask_bytes(const struct bench_case *c)
{
    const struct form *f = form_of(c);

    if (c->kind == BY_HAND)
        return c->n;
    if (c->kind != OPERATION || !operation_uses_mask(c->op, f->mask_use))
        return 0;
    if (operation_marks(c->op))
        return bitdrop_mask_bytes(c->n);
    return bitdrop_mask_bytes(c->n / f->repeat / (f->unit == BITDROP_EACH_ROW ? cols_of(c) : 1));
}

size_t case_bytes(const struct bench_case *c)
{
    const size_t size = dtype_bytes(c->dtype);
    size_t bytes = case_mask_bytes(c) + (has_data(c) ? c->n * size : 0);

    if (c->kind != OPERATION)
        return bytes + c->n * size +
               (c->kind == BY_HAND && c->loop == BY_UNIFORMS ? c->n * sizeof(float) : 0);
    for (int i = 0; i < BITDROP_MAX_INPUTS; i++)
        if (reads(c, i))
            bytes += (is_bias(row_of(c)->in[i]) ? cols_of(c) : c->n) * size;
    return bytes;
}

/* The share of one thread. `call` points to cfg and shape. */
struct share {
    bitdrop_config cfg;
    bitdrop_2d shape;
    struct call call;
};

/* Where the share of `thread` begins if `total` is cut into equal shares of whole units. */
static size_t share_begin(size_t total, size_t unit, unsigned threads, unsigned thread)
{
    const size_t units = (total + unit - 1) / unit;

    return smaller(total, (units + threads - 1) / threads * unit * thread);
}

/* Elements that must not be split between threads: only one thread may write to a mask byte. */
static size_t unit_of(const struct bench_case *c)
{
    const struct form *f = form_of(c);

    if (c->form == FORM_FLAT)
        return FLAT_UNIT;
    return cols_of(c) * (f->unit == BITDROP_EACH_ROW || f->repeat > 1 ? SHARING_ROWS : 1);
}

static size_t mask_stride_of(const struct bench_case *c)
{
    return bitdrop_mask_bytes(cols_of(c)) + form_of(c)->mask_gap;
}

/* Byte of the mask that element `begin`, the first one of `row`, belongs to. */
static size_t mask_offset(const struct bench_case *c, size_t begin, size_t row)
{
    const struct form *f = form_of(c);

    if (c->kind == BY_HAND)
        return begin;
    if (c->form == FORM_FLAT)
        return begin / 8;
    if (f->unit == BITDROP_EACH_ROW && !operation_marks(c->op))
        return row / 8;
    return (operation_marks(c->op) ? row : row / f->repeat) * mask_stride_of(c);
}

static bitdrop_2d shape_of(const struct bench_case *c, size_t row, size_t n)
{
    const struct form *f = form_of(c);
    const size_t cols = cols_of(c);
    bitdrop_2d s = {.rows = n / cols,
                    .cols = cols,
                    .mask_repeat = f->repeat,
                    .first_row = row,
                    .unit = f->unit};

    s.x_stride = s.y_stride = s.z_stride = cols + f->gap;
    s.pitch = cols + f->pitch_gap;
    s.mask_stride = mask_stride_of(c);
    if (f->unit == BITDROP_EACH_ROW)
        s.pitch = s.mask_stride = 0;
    return s;
}

/* Address of element number `element` of in[i]. */
static unsigned char *input_of(const struct bench_case *c, int i, size_t element)
{
    const struct memory *m = memory_buffers();
    const enum bitdrop_input kind = c->kind == OPERATION ? row_of(c)->in[i] : IN_FIRST;
    const size_t at = (c->x_skew + element) * dtype_bytes(c->dtype);

    if (is_bias(kind))
        return m->bias;
    return (is_third(kind) ? m->third : m->x) + at;
}

/* All rows read the same row of the bias. */
static const bitdrop_softmax one_bias = {.scale = 0.125, .bias_block = 1, .bias_repeat = SIZE_MAX};

static void share_of(const struct bench_case *c, unsigned thread, struct share *s)
{
    const struct memory *m = memory_buffers();
    const struct form *f = form_of(c);
    const size_t begin = share_begin(c->n, unit_of(c), threads_of(c), thread);
    const size_t end = share_begin(c->n, unit_of(c), threads_of(c), thread + 1);
    const bool flat = c->form == FORM_FLAT;
    const size_t row = flat ? 0 : begin / cols_of(c);
    const size_t element = begin + row * f->gap;

    s->cfg = (bitdrop_config){.p = c->p,
                              .seed = 1,
                              .offset = c->offset + (flat ? begin : 0),
                              .rounds = (uint8_t)c->rounds,
                              .stores = (uint8_t)c->stores,
                              .isa = (uint8_t)c->isa,
                              .mask_use = f->mask_use};
    if (row_of(c)->bits == BITS_NONE) /* BITDROP_SCALE_TRAIN would make it a copy */
        s->cfg.scaling = BITDROP_SCALE_INFER;
    s->shape = shape_of(c, row, end - begin);
    s->call = (struct call){.op = c->op,
                            .flat = flat,
                            .cfg = &s->cfg,
                            .dtype = c->dtype,
                            .n = end - begin,
                            .shape = &s->shape,
                            .soft = &one_bias};
    for (int i = 0; i < BITDROP_MAX_INPUTS; i++)
        if (c->kind == OPERATION ? reads(c, i) : i == 0)
            s->call.in[i] = input_of(c, i, element);
    s->call.y = c->place > 0 ? input_of(c, c->place - 1, element)
                             : m->y + (c->y_skew + element) * dtype_bytes(c->dtype);
    if (c->kind != OPERATION || operation_uses_mask(c->op, f->mask_use))
        s->call.mask = m->mask + c->mask_skew + mask_offset(c, begin, row);
}

static void call_loop(const struct bench_case *c, const struct call *call, size_t calls)
{
    const struct loop *loop = loop_of(c);
    const struct loop_arguments a = {
        .n = call->n,
        .p = (float)c->p,
        .scale = 1.1F,
        .x = call->in[0],
        .y = call->y,
        .ahead = loop->ahead,
        .mask = call->mask,
        .uniforms = memory_uniforms(),
    };

    for (size_t i = 0; i < calls; i++)
        loop->run(&a);
}

struct repeated_case {
    const struct bench_case *c;
    size_t calls;
};

static void run_share(void *argument, unsigned thread)
{
    const struct repeated_case *r = argument;
    const struct bench_case *c = r->c;
    struct share s;
    bitdrop_status status = BITDROP_OK;

    share_of(c, thread, &s);
    if (s.call.n == 0 && thread > 0)
        return;
    if (c->kind != OPERATION) {
        call_loop(c, &s.call, r->calls);
        return;
    }
    for (size_t i = 0; i < r->calls && status == BITDROP_OK; i++) {
        status = call_run(&s.call);
        s.cfg.offset += c->n; /* as in training. CPUs learn to predict a mask that repeats */
    }
    if (status != BITDROP_OK)
        fail(bitdrop_status_string(status));
}

void case_repeat(void *argument, size_t calls)
{
    struct repeated_case r = {.c = argument, .calls = calls};

    pool_run(threads_of(r.c), run_share, &r);
}

void case_prepare(const struct bench_case *c)
{
    /* Some cases are compared with n elements of f32. */
    const size_t f32_bytes = smaller(c->n * sizeof(float), memory_largest());
    const size_t bytes = c->n * dtype_bytes(c->dtype);

    memory_fill(c->dtype, bytes > f32_bytes ? bytes : f32_bytes, c->place > 0);
    if (c->kind == BY_HAND)
        memory_fill_uniforms(c->n);
    if (c->kind != OPERATION)
        return;
    if (has_input(c, is_third))
        memory_fill_third(c->dtype, bytes, c->place > 0);
    if (row_of(c)->bits == BITS_READ && !case_makes_bits(c)) { /* needs a mask for this p */
        struct bench_case mask = *c;

        mask.op = OP_mask;
        case_repeat(&mask, 1);
    }
}
