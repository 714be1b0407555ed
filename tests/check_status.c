/* SPDX-License-Identifier: Apache-2.0 */
/* The status table: each row, in its order, and nothing written on an error. */
#include <math.h>
#include <string.h>

#include "check.h"

enum { N = 100 };

/* All arguments that any call takes, and whether to use the calls with a shape. */
struct arguments {
    bitdrop_config cfg, *cfg_pointer;
    bitdrop_dtype dtype;
    size_t n;
    bitdrop_2d shape, *shape_pointer;
    bool flat;
    float *x, *y;
    uint8_t *mask;
};

static float x[N * 4], y[N * 4];
static uint8_t mask[N * 4];

static struct arguments good(struct check *c, bool flat)
{
    return (struct arguments){
        .cfg = {.p = 0.25, .seed = 5, .isa = (uint8_t)c->isa},
        .n = N,
        .shape = {.rows = 4, .cols = N / 4},
        .flat = flat,
        .x = x,
        .y = y,
        .mask = mask,
    };
}

enum { MASK = 1, FORWARD = 2, BACKWARD = 4, RECOMPUTE = 8, INFER = 16, ALL = 31, DATA = 30 };
static const char *const names[] = {"mask", "forward", "backward", "recompute", "infer"};

static bitdrop_status call(struct arguments *a, int op)
{
    const bitdrop_config *cfg = a->cfg_pointer ? NULL : &a->cfg;
    const bitdrop_2d *s = a->shape_pointer ? NULL : &a->shape;
    const bitdrop_dtype t = a->dtype;

    switch (op) {
    case MASK:
        return a->flat ? bitdrop_mask(cfg, a->n, a->mask) : bitdrop_mask_2d(cfg, s, a->mask);
    case FORWARD:
        return a->flat ? bitdrop_forward(cfg, t, a->n, a->x, a->y, a->mask)
                       : bitdrop_forward_2d(cfg, t, s, a->x, a->y, a->mask);
    case BACKWARD:
        return a->flat ? bitdrop_backward(cfg, t, a->n, a->x, a->y, a->mask)
                       : bitdrop_backward_2d(cfg, t, s, a->x, a->y, a->mask);
    case RECOMPUTE:
        return a->flat ? bitdrop_recompute(cfg, t, a->n, a->x, a->y)
                       : bitdrop_recompute_2d(cfg, t, s, a->x, a->y);
    default:
        return a->flat ? bitdrop_infer(cfg, t, a->n, a->x, a->y)
                       : bitdrop_infer_2d(cfg, t, s, a->x, a->y);
    }
}

/* Each operation of the set returns the status; if that is an error, nothing is written. */
static void expect(struct check *c, const char *what, struct arguments a, int operations,
                   bitdrop_status wanted)
{
    static unsigned char before[sizeof x + sizeof y + sizeof mask], after[sizeof before];

    for (int i = 0; i < 5; i++) {
        if (!(operations >> i & 1))
            continue;
        for (size_t j = 0; j < sizeof before; j++)
            before[j] = (unsigned char)check_random(c);
        memcpy(x, before, sizeof x);
        memcpy(y, before + sizeof x, sizeof y);
        memcpy(mask, before + sizeof x + sizeof y, sizeof mask);
        const bitdrop_status got = call(&a, 1 << i);

        if (got != wanted)
            check_fail(c, "%s%s, %s: status %d, not %d", names[i], a.flat ? "" : "_2d", what, got,
                       wanted);
        memcpy(after, x, sizeof x);
        memcpy(after + sizeof x, y, sizeof y);
        memcpy(after + sizeof x + sizeof y, mask, sizeof mask);
        if (got != BITDROP_OK && memcmp(before, after, sizeof before) != 0)
            check_fail(c, "%s, %s: written on an error", names[i], what);
        c->cases++;
    }
}

#define EXPECT(change, operations, status)                                                         \
    do {                                                                                           \
        struct arguments a = good(c, flat);                                                        \
        change;                                                                                    \
        expect(c, #change, a, operations, status);                                                 \
    } while (0)

static void expect_arguments(struct check *c, bool flat)
{
    EXPECT((void)0, ALL, BITDROP_OK);

    EXPECT(a.cfg_pointer = &a.cfg, ALL, BITDROP_ERR_NULL);
    EXPECT(a.x = NULL, DATA, BITDROP_ERR_NULL);
    EXPECT(a.y = NULL, DATA, BITDROP_ERR_NULL);
    EXPECT(a.mask = NULL, MASK | FORWARD | BACKWARD, BITDROP_ERR_NULL);
    EXPECT(a.mask = NULL, RECOMPUTE | INFER, BITDROP_OK);

    EXPECT(a.cfg.p = -0x1p-1074, ALL, BITDROP_ERR_PROBABILITY);
    EXPECT(a.cfg.p = 1 + 0x1p-52, ALL, BITDROP_ERR_PROBABILITY);
    EXPECT(a.cfg.p = NAN, ALL, BITDROP_ERR_PROBABILITY);
    EXPECT(a.cfg.p = INFINITY, ALL, BITDROP_ERR_PROBABILITY);
    EXPECT(a.cfg.p = -0.0, ALL, BITDROP_OK);

    for (int rounds = 0; rounds < 256; rounds++)
        EXPECT(a.cfg.rounds = (uint8_t)rounds, ALL,
               rounds == 0 || rounds == 7 || rounds == 10 ? BITDROP_OK : BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.scaling = 2, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.stores = 3, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.parallel = (const void *)&a, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.reserved[0] = 1, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.reserved[1] = 1, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.reserved[2] = UINT64_C(1) << 63, ALL, BITDROP_ERR_CONFIG);

    EXPECT(a.dtype = (bitdrop_dtype)4, DATA, BITDROP_ERR_DTYPE);
    EXPECT(a.dtype = (bitdrop_dtype)-1, DATA, BITDROP_ERR_DTYPE);

    for (int isa = 0; isa < 256; isa++)
        EXPECT(a.cfg.isa = (uint8_t)isa, ALL,
               isa <= BITDROP_ISA_NEON && bitdrop_isa_supported((bitdrop_isa)isa)
                   ? BITDROP_OK
                   : BITDROP_ERR_ISA);

    EXPECT(a.cfg.offset = -(uint64_t)N, ALL, BITDROP_OK);
    EXPECT(a.cfg.offset = -(uint64_t)N + 1, MASK | FORWARD | RECOMPUTE, BITDROP_ERR_RANGE);
    EXPECT(a.cfg.offset = -(uint64_t)N + 1, BACKWARD | INFER, BITDROP_OK);
}

/* Of two faults the one that stands higher in the table is told. */
static void expect_order(struct check *c, bool flat)
{
    EXPECT((a.x = NULL, a.mask = NULL, a.cfg.p = 2), ALL & ~INFER & ~RECOMPUTE, BITDROP_ERR_NULL);
    EXPECT((a.cfg.p = 2, a.cfg.rounds = 1), ALL, BITDROP_ERR_PROBABILITY);
    EXPECT((a.cfg.rounds = 1, a.dtype = (bitdrop_dtype)9), DATA, BITDROP_ERR_CONFIG);
    EXPECT((a.cfg.isa = 99, a.dtype = (bitdrop_dtype)9), DATA, BITDROP_ERR_DTYPE);
    EXPECT((a.cfg.isa = 99, a.cfg.offset = UINT64_MAX), ALL, BITDROP_ERR_ISA);
    EXPECT((a.cfg.offset = UINT64_MAX, a.y = a.x + 1), MASK | FORWARD | RECOMPUTE,
           BITDROP_ERR_RANGE);
    EXPECT(a.y = a.x + 1, DATA, BITDROP_ERR_OVERLAP);
}

/* Without elements no buffer is needed, but the config is still checked. */
static void expect_empty(struct check *c, bool flat)
{
#define EMPTY (a.n = 0, a.shape.rows = 0, a.x = NULL, a.y = NULL, a.mask = NULL)
    EXPECT(EMPTY, ALL, BITDROP_OK);
    EXPECT((EMPTY, a.cfg_pointer = &a.cfg), ALL, BITDROP_ERR_NULL);
    EXPECT((EMPTY, a.cfg.p = 2), ALL, BITDROP_ERR_PROBABILITY);
    EXPECT((EMPTY, a.cfg.rounds = 1), ALL, BITDROP_ERR_CONFIG);
    EXPECT((EMPTY, a.dtype = (bitdrop_dtype)4), DATA, BITDROP_ERR_DTYPE);
    EXPECT((EMPTY, a.cfg.isa = 99), ALL, BITDROP_ERR_ISA);
    EXPECT((EMPTY, a.cfg.offset = UINT64_MAX), ALL, BITDROP_OK);
    EXPECT((EMPTY, a.shape.rows = 5, a.shape.cols = 0), ALL, BITDROP_OK);
#undef EMPTY
}

void check_statuses(struct check *c)
{
    for (int flat = 0; flat < 2; flat++) {
        expect_arguments(c, flat);
        expect_order(c, flat);
        expect_empty(c, flat);
    }

    bool flat = true;
    EXPECT(a.n = SIZE_MAX, DATA, BITDROP_ERR_RANGE);
    EXPECT(a.n = SIZE_MAX / 4, DATA, BITDROP_ERR_RANGE);
    EXPECT((a.n = SIZE_MAX / 8 + 2, a.dtype = BITDROP_F64), DATA, BITDROP_ERR_RANGE);

    flat = false;
    EXPECT(a.shape_pointer = &a.shape, ALL, BITDROP_ERR_NULL);
    EXPECT((a.shape_pointer = &a.shape, a.cfg.p = 2), ALL, BITDROP_ERR_NULL);
    EXPECT(a.shape.pitch = N / 4 - 1, ALL, BITDROP_ERR_RANGE);
    EXPECT(a.shape.x_stride = N / 4 - 1, DATA, BITDROP_ERR_RANGE);
    EXPECT(a.shape.y_stride = N / 4 - 1, DATA, BITDROP_ERR_RANGE);
    EXPECT(a.shape.mask_stride = 3, MASK | FORWARD | BACKWARD, BITDROP_ERR_RANGE);
    EXPECT(a.shape.x_stride = SIZE_MAX / 8, DATA, BITDROP_ERR_RANGE);
    EXPECT(a.shape.y_stride = SIZE_MAX, DATA, BITDROP_ERR_RANGE);
    EXPECT(a.shape.mask_stride = SIZE_MAX / 2, MASK | FORWARD | BACKWARD, BITDROP_ERR_RANGE);
    EXPECT(a.shape.pitch = UINT64_MAX / 3, MASK | FORWARD | RECOMPUTE, BITDROP_ERR_RANGE);
    EXPECT((a.shape.pitch = UINT64_MAX / 3 - 10, a.cfg.offset = 0), MASK | FORWARD | RECOMPUTE,
           BITDROP_OK);
    EXPECT((a.shape.rows = SIZE_MAX, a.shape.cols = 1), ALL, BITDROP_ERR_RANGE);
    EXPECT((a.shape.rows = SIZE_MAX / 2, a.shape.cols = 16), ALL, BITDROP_ERR_RANGE);
}

void check_overlaps(struct check *c)
{
    bool flat = true;
    EXPECT(a.y = a.x, DATA, BITDROP_OK);
    EXPECT(a.y = a.x + N, DATA, BITDROP_OK);
    EXPECT(a.y = a.x + N - 1, DATA, BITDROP_ERR_OVERLAP);
    EXPECT((a.x = x + N, a.y = x), DATA, BITDROP_OK);
    EXPECT((a.x = x + N - 1, a.y = x), DATA, BITDROP_ERR_OVERLAP);
    EXPECT(a.y = (float *)(void *)((char *)a.x + 1), DATA, BITDROP_ERR_OVERLAP);
    EXPECT(a.mask = (uint8_t *)a.x, FORWARD | BACKWARD, BITDROP_ERR_OVERLAP);
    EXPECT(a.mask = (uint8_t *)(a.x + N) - 1, FORWARD | BACKWARD, BITDROP_ERR_OVERLAP);
    EXPECT(a.mask = (uint8_t *)(a.x + N), FORWARD | BACKWARD, BITDROP_OK);
    EXPECT(a.mask = (uint8_t *)a.y, FORWARD | BACKWARD, BITDROP_ERR_OVERLAP);
    EXPECT((a.x = x + 2 * N, a.mask = (uint8_t *)(x + 2 * N) - (N + 7) / 8), FORWARD | BACKWARD,
           BITDROP_OK);
    EXPECT((a.x = x + 2 * N, a.mask = (uint8_t *)(x + 2 * N) - N / 8), FORWARD | BACKWARD,
           BITDROP_ERR_OVERLAP);
    EXPECT(a.mask = (uint8_t *)a.x, RECOMPUTE | INFER, BITDROP_OK);

    /* Rows in the gaps of others do not overlap them. */
    flat = false;
    EXPECT(a.y = a.x, DATA, BITDROP_OK);
    EXPECT((a.y = a.x, a.shape.x_stride = 60, a.shape.y_stride = 61), DATA, BITDROP_ERR_OVERLAP);
    EXPECT((a.y = a.x, a.shape.x_stride = a.shape.y_stride = 60), DATA, BITDROP_OK);
    EXPECT((a.y = a.x + N / 4, a.shape.x_stride = a.shape.y_stride = N / 2), DATA, BITDROP_OK);
    EXPECT((a.y = a.x + N / 4 - 1, a.shape.x_stride = a.shape.y_stride = N / 2), DATA,
           BITDROP_ERR_OVERLAP);
    EXPECT((a.y = a.x + N / 4 + 1, a.shape.x_stride = a.shape.y_stride = N / 2), DATA,
           BITDROP_ERR_OVERLAP);
    EXPECT((a.shape.x_stride = 60, a.mask = (uint8_t *)(a.x + 25), a.shape.mask_stride = 240),
           FORWARD | BACKWARD, BITDROP_OK);
    EXPECT((a.shape.x_stride = 60, a.mask = (uint8_t *)(a.x + 25), a.shape.mask_stride = 241),
           FORWARD | BACKWARD, BITDROP_OK);
    EXPECT((a.shape.x_stride = 60, a.mask = (uint8_t *)(a.x + 25), a.shape.mask_stride = 239),
           FORWARD | BACKWARD, BITDROP_ERR_OVERLAP);
    /* One row has no stride. */
    EXPECT((a.y = a.x, a.shape.rows = 1, a.shape.x_stride = 60), DATA, BITDROP_OK);
}
