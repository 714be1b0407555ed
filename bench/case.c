/* SPDX-License-Identifier: Apache-2.0 */
#include "case.h"

#include <stdio.h>

#include "fail.h"
#include "loops.h"
#include "memory.h"
#include "pool.h"
#include "tests/call.h"

enum { COLS = 1024, GAP = 16, MASK_GAP = 8, CUT = 2048 };

const char *case_operation_name(const struct bench_case *c)
{
    static const char *const names[] = {"mask", "forward", "backward", "recompute", "infer"};

    if (c->op == BY_HAND)
        return by_hand_loops[c->loop].name;
    return c->op == LIMIT ? limit_loops[c->loop].name : names[c->op];
}

const char *case_dtype_name(const struct bench_case *c)
{
    return c->op == MASK ? "-" : dtype_name(c->dtype);
}

static unsigned threads_of(const struct bench_case *c) { return c->threads ? c->threads : 1; }

void case_name(const struct bench_case *c, char name[CASE_NAME_BYTES])
{
    static const char *const stores[] = {"auto", "cached", "streaming"};
    static const char *const kinds[] = {[BY_HAND] = "by-hand-", [LIMIT] = "limit-"};
    const bool plain = c->op == BY_HAND || c->op == LIMIT;

    snprintf(name, CASE_NAME_BYTES, "%s%s/%s/%s/%s/p=%g/rounds=%u/%s/n=%zu/%s/threads=%u",
             plain ? kinds[c->op] : "", case_operation_name(c), c->two_d ? "2d" : "flat",
             plain ? "-" : bitdrop_isa_name(c->isa), dtype_name(c->dtype), c->p,
             c->rounds ? c->rounds : 10, stores[c->stores], c->n, c->in_place ? "in" : "out",
             threads_of(c));
}

size_t case_mask_bytes(const struct bench_case *c)
{
    if (c->op == BY_HAND)
        return c->n;
    return c->op <= BACKWARD ? bitdrop_mask_bytes(c->n) : 0;
}

size_t case_bytes(const struct bench_case *c)
{
    const size_t data = c->op == MASK ? 0 : 2 * c->n * dtype_bytes(c->dtype);
    const bool uniforms = c->op == BY_HAND && c->loop == BY_UNIFORMS;

    return data + case_mask_bytes(c) + (uniforms ? c->n * sizeof(float) : 0);
}

/* What one thread does of a case. */
struct share {
    bitdrop_config cfg;
    bitdrop_2d shape;
    size_t n;
    const unsigned char *x;
    unsigned char *y;
    uint8_t *mask;
};

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Cuts total things, the units of which stay whole, into equal shares. */
static size_t cut(size_t total, size_t unit, unsigned threads, unsigned thread)
{
    const size_t units = (total + unit - 1) / unit;

    return smaller(total, (units + threads - 1) / threads * unit * thread);
}

static struct share share_of(const struct bench_case *c, unsigned thread)
{
    const struct memory *m = memory_buffers();
    const size_t size = dtype_bytes(c->dtype), cols = c->n == 0 ? 1 : smaller(c->n, COLS);
    const size_t unit = c->two_d ? cols : CUT;
    const size_t begin = cut(c->n, unit, threads_of(c), thread);
    const size_t end = cut(c->n, unit, threads_of(c), thread + 1);
    const size_t row = c->two_d ? begin / cols : 0;
    const size_t element = begin + row * GAP;
    struct share s = {.n = end - begin};

    s.cfg = (bitdrop_config){.p = c->p,
                             .seed = 1,
                             .offset = c->offset + element,
                             .rounds = (uint8_t)c->rounds,
                             .stores = (uint8_t)c->stores,
                             .isa = (uint8_t)c->isa};
    if (c->op == INFER) /* with the scale at training it is a copy */
        s.cfg.scaling = BITDROP_SCALE_INFER;
    if (c->two_d)
        s.shape = (bitdrop_2d){.rows = s.n / cols,
                               .cols = cols,
                               .pitch = cols + GAP,
                               .x_stride = cols + GAP,
                               .y_stride = cols + GAP,
                               .mask_stride = cols / 8 + MASK_GAP};
    s.y = m->y + (c->y_skew + element) * size;
    s.x = c->in_place ? s.y : m->x + (c->x_skew + element) * size;
    s.mask = m->mask + c->mask_skew + begin / (c->op == BY_HAND ? 1 : 8) + row * MASK_GAP;
    return s;
}

static bitdrop_status call_flat(const struct bench_case *c, const struct share *s)
{
    switch (c->op) {
    case MASK:
        return bitdrop_mask(&s->cfg, s->n, s->mask);
    case FORWARD:
        return bitdrop_forward(&s->cfg, c->dtype, s->n, s->x, s->y, s->mask);
    case BACKWARD:
        return bitdrop_backward(&s->cfg, c->dtype, s->n, s->x, s->y, s->mask);
    case RECOMPUTE:
        return bitdrop_recompute(&s->cfg, c->dtype, s->n, s->x, s->y);
    default:
        return bitdrop_infer(&s->cfg, c->dtype, s->n, s->x, s->y);
    }
}

static bitdrop_status call_2d(const struct bench_case *c, const struct share *s)
{
    switch (c->op) {
    case MASK:
        return bitdrop_mask_2d(&s->cfg, &s->shape, s->mask);
    case FORWARD:
        return bitdrop_forward_2d(&s->cfg, c->dtype, &s->shape, s->x, s->y, s->mask);
    case BACKWARD:
        return bitdrop_backward_2d(&s->cfg, c->dtype, &s->shape, s->x, s->y, s->mask);
    case RECOMPUTE:
        return bitdrop_recompute_2d(&s->cfg, c->dtype, &s->shape, s->x, s->y);
    default:
        return bitdrop_infer_2d(&s->cfg, c->dtype, &s->shape, s->x, s->y);
    }
}

static void call_loop(const struct bench_case *c, const struct share *s, size_t calls)
{
    const struct loop *loop = &(c->op == LIMIT ? limit_loops : by_hand_loops)[c->loop];
    const struct loop_arguments a = {
        .n = s->n,
        .p = (float)c->p,
        .scale = 1.1F,
        .x = (const float *)(const void *)s->x,
        .y = (float *)(void *)s->y,
        .mask = s->mask,
        .uniforms = memory_buffers()->uniforms,
    };

    for (size_t i = 0; i < calls; i++)
        loop->run(&a);
}

struct running {
    const struct bench_case *c;
    size_t calls;
};

static void run_share(void *argument, unsigned thread)
{
    const struct running *r = argument;
    const struct bench_case *c = r->c;
    struct share s = share_of(c, thread);
    bitdrop_status status = BITDROP_OK;

    if (s.n == 0 && thread > 0)
        return;
    if (c->op == BY_HAND || c->op == LIMIT) {
        call_loop(c, &s, r->calls);
        return;
    }
    for (size_t i = 0; i < r->calls && status == BITDROP_OK; i++) {
        status = c->two_d ? call_2d(c, &s) : call_flat(c, &s);
        s.cfg.offset += c->n; /* as in training: CPUs learn to predict a mask that comes again */
    }
    if (status != BITDROP_OK)
        fail(bitdrop_status_string(status));
}

void case_repeat(void *argument, size_t calls)
{
    struct running r = {.c = argument, .calls = calls};

    pool_run(threads_of(r.c), run_share, &r);
}

void case_prepare(const struct bench_case *c)
{
    /* Halves are compared with as many f32 too. */
    const size_t f32_bytes = smaller(c->n * sizeof(float), memory_largest());
    const size_t bytes = c->n * dtype_bytes(c->dtype);

    memory_fill(c->dtype, bytes > f32_bytes ? bytes : f32_bytes, c->in_place);
    if (c->op == BY_HAND)
        memory_fill_uniforms(c->n);
    if (c->op == BACKWARD) { /* reads a mask of its p */
        struct bench_case mask = *c;

        mask.op = MASK;
        case_repeat(&mask, 1);
    }
}
