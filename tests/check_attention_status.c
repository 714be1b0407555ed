/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks each row of the status table of attention, that a call which fails writes nothing, and
 * what counts as an overlap. Compares the backward pass with differences of the forward pass, in
 * f64.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

enum { BATCH = 2, HEADS = 4, KV = 2, T = 5, S = 7, DIM = 3, V_DIM = 2 };
enum {
    Q_N = BATCH * HEADS * T * DIM,
    K_N = BATCH * KV * S * DIM,
    V_N = BATCH * KV * S * V_DIM,
    OUT_N = BATCH * HEADS * T * V_DIM,
    ROWS = BATCH * HEADS * T,
    SCRATCH = 1 << 20
};

/* All arguments of a forward and a backward call. All are legal until a test changes one. */
struct call {
    bitdrop_config cfg;
    bitdrop_attention a;
    bitdrop_dtype dtype;
    bool backward;
    const bitdrop_config *cfg_at;
    const bitdrop_attention *a_at;
    double *q, *k, *v, *dout, *out, *lse, *dq, *dk, *dv;
    uint8_t *mask;
    void *scratch;
};

static struct memory {
    double q[Q_N], k[K_N], v[V_N], dout[OUT_N], out[OUT_N], lse[ROWS], dq[Q_N], dk[K_N], dv[V_N];
    uint8_t mask[ROWS + 8];
    _Alignas(64) unsigned char scratch[SCRATCH];
} memory, untouched;

static void good(struct call *c, bitdrop_isa isa, bool backward)
{
    *c = (struct call){
        .cfg = {.p = 0.3, .seed = 1, .isa = (uint8_t)isa},
        .a = {.batch = BATCH,
              .heads = HEADS,
              .kv_heads = KV,
              .queries = T,
              .keys = S,
              .dim = DIM,
              .v_dim = V_DIM},
        .dtype = BITDROP_F64,
        .backward = backward,
        .q = memory.q,
        .k = memory.k,
        .v = memory.v,
        .dout = memory.dout,
        .out = memory.out,
        .lse = memory.lse,
        .dq = memory.dq,
        .dk = memory.dk,
        .dv = memory.dv,
        .mask = memory.mask,
        .scratch = memory.scratch,
    };
    c->cfg_at = &c->cfg;
    c->a_at = &c->a;
}

static bitdrop_status run(const struct call *c)
{
    if (c->backward)
        return bitdrop_attention_backward(c->cfg_at, c->dtype, c->a_at, c->dout, c->q, c->k, c->v,
                                          c->out, c->lse, c->dq, c->dk, c->dv, c->mask, c->scratch);
    return bitdrop_attention_forward(c->cfg_at, c->dtype, c->a_at, c->q, c->k, c->v, c->out, c->lse,
                                     c->mask, c->scratch);
}

static void expect(struct check *check, const struct call *c, bitdrop_status wanted,
                   const char *what)
{
    memset(&memory, 0x5A, sizeof memory);
    untouched = memory;
    const bitdrop_status got = run(c);

    if (got != wanted)
        check_fail(check, "attention_%s, %s: status %d, not %d",
                   c->backward ? "backward" : "forward", what, got, wanted);
    if (wanted != BITDROP_OK && memcmp(&memory, &untouched, sizeof memory) != 0)
        check_fail(check, "attention_%s, %s: a call that fails wrote something",
                   c->backward ? "backward" : "forward", what);
    check->cases++;
}

/* Makes `change` to the arguments of a forward and of a backward call, and compares the status. */
#define EXPECT(change, status)                                                                     \
    for (int both = 0; both < 2; both++) {                                                         \
        struct call c;                                                                             \
                                                                                                   \
        good(&c, check->isa, both == 1);                                                           \
        change;                                                                                    \
        expect(check, &c, BITDROP_##status, #change);                                              \
    }
#define EXPECT_OF(is_backward, change, status)                                                     \
    {                                                                                              \
        struct call c;                                                                             \
                                                                                                   \
        good(&c, check->isa, is_backward);                                                         \
        change;                                                                                    \
        expect(check, &c, BITDROP_##status, #change);                                              \
    }

static void expect_pointers(struct check *check)
{
    EXPECT((void)0, OK)
    EXPECT(c.cfg_at = NULL, ERR_NULL)
    EXPECT(c.a_at = NULL, ERR_NULL)
    EXPECT(c.q = NULL, ERR_NULL)
    EXPECT(c.k = NULL, ERR_NULL)
    EXPECT(c.v = NULL, ERR_NULL)
    EXPECT(c.out = NULL, ERR_NULL)
    EXPECT(c.mask = NULL, ERR_NULL)
    EXPECT(c.scratch = NULL, ERR_NULL)
    EXPECT(c.cfg.mask_use = BITDROP_MASK_REMADE, ERR_NULL)
    EXPECT((c.cfg.mask_use = BITDROP_MASK_REMADE, c.mask = NULL), OK)
    EXPECT((c.cfg.mask_use = BITDROP_MASK_REMADE, c.a.keys = 0), ERR_NULL)
    EXPECT_OF(false, c.lse = NULL, OK)
    EXPECT_OF(true, c.lse = NULL, ERR_NULL)
    EXPECT_OF(true, c.dout = NULL, ERR_NULL)
    EXPECT_OF(true, c.dq = NULL, ERR_NULL)
    EXPECT_OF(true, c.dk = NULL, ERR_NULL)
    EXPECT_OF(true, c.dv = NULL, ERR_NULL)
}

static void expect_config(struct check *check)
{
    EXPECT(c.cfg.p = NAN, ERR_PROBABILITY)
    EXPECT((c.cfg.p = 1.5, c.a.causal = 2), ERR_PROBABILITY)
    EXPECT(c.cfg.rounds = 8, ERR_CONFIG)
    EXPECT(c.cfg.reserved[1] = 1, ERR_CONFIG)
    EXPECT(c.a.scale = NAN, ERR_CONFIG)
    EXPECT(c.a.scale = INFINITY, ERR_CONFIG)
    EXPECT(c.a.causal = 2, ERR_CONFIG)
    EXPECT(c.a.flags = 1, ERR_CONFIG)
    EXPECT(c.a.causal_first = 1, ERR_CONFIG)
    EXPECT((c.a.causal = 1, c.a.causal_first = INT64_MIN), OK)
    EXPECT((c.a.causal = 1, c.a.causal_first = INT64_MAX), OK)
    for (int i = 0; i < 4; i++)
        EXPECT(c.a.reserved[i] = 1, ERR_CONFIG)
    EXPECT((c.a.flags = 1, c.dtype = (bitdrop_dtype)9), ERR_CONFIG)
    EXPECT(c.dtype = (bitdrop_dtype)4, ERR_DTYPE)
    EXPECT((c.dtype = (bitdrop_dtype)4, c.cfg.isa = 200), ERR_DTYPE)
    EXPECT(c.cfg.isa = 200, ERR_ISA)
    EXPECT((c.cfg.isa = 200, c.a.kv_heads = 3), ERR_ISA)
}

static void expect_ranges(struct check *check)
{
    EXPECT(c.a.kv_heads = 3, ERR_RANGE)
    EXPECT(c.a.kv_heads = 2 * HEADS, ERR_RANGE)
    EXPECT(c.a.index_heads = HEADS - 1, ERR_RANGE)
    EXPECT(c.a.index_queries = T - 1, ERR_RANGE)
    EXPECT(c.a.index_keys = S - 1, ERR_RANGE)
    EXPECT(c.scratch = memory.scratch + 8, ERR_RANGE)
    EXPECT((c.a.q_strides[0] = c.a.q_strides[1] = 99, c.a.q_strides[2] = DIM - 1), ERR_RANGE)
    EXPECT((c.a.bias = memory.q, c.a.bias_strides[2] = S - 1), ERR_RANGE)
    EXPECT(c.a.queries = SIZE_MAX / 2, ERR_RANGE)
    EXPECT(c.a.dim = SIZE_MAX / 16, ERR_RANGE)
    EXPECT(c.a.k_strides[2] = SIZE_MAX / 32, ERR_RANGE)
    EXPECT(c.q = (double *)(UINTPTR_MAX - 7), ERR_RANGE)
    EXPECT(c.q = (double *)(UINTPTR_MAX - 63), ERR_RANGE)
    /* Rows of an output must not share elements; rows of an input may. */
    EXPECT_OF(false, (c.a.out_strides[0] = V_DIM, c.a.out_strides[2] = V_DIM), ERR_RANGE)
    EXPECT_OF(true, (c.a.q_strides[1] = DIM, c.a.q_strides[2] = DIM), ERR_RANGE)
    EXPECT_OF(false, (c.a.q_strides[1] = DIM, c.a.q_strides[2] = DIM), OK)
    /* The last index of the call is 2^64 - 1, then 2^64. */
    EXPECT_OF(false, c.cfg.offset = -(uint64_t)(ROWS * S), OK)
    EXPECT_OF(false, c.cfg.offset = -(uint64_t)(ROWS * S) + 1, ERR_RANGE)
    EXPECT_OF(true, c.cfg.offset = UINT64_MAX, OK) /* the mask is read */
    EXPECT((c.cfg.mask_use = BITDROP_MASK_REMADE, c.mask = NULL, c.cfg.p = 0,
            c.cfg.offset = UINT64_MAX),
           OK)
    EXPECT((c.a.kv_heads = 3, c.out = (double *)memory.scratch), ERR_RANGE)
}

static void expect_overlaps(struct check *check)
{
    EXPECT_OF(false, c.out = c.q, ERR_OVERLAP)
    EXPECT_OF(false, c.out = c.v + V_N - 1, ERR_OVERLAP)
    EXPECT_OF(false, c.lse = c.k + 1, ERR_OVERLAP)
    EXPECT_OF(false, c.out = c.lse + ROWS - 1, ERR_OVERLAP)
    EXPECT_OF(false, c.mask = (uint8_t *)c.q, ERR_OVERLAP)
    EXPECT_OF(false, c.mask = (uint8_t *)c.out, ERR_OVERLAP)
    EXPECT_OF(false, (c.a.bias = c.out), ERR_OVERLAP)
    EXPECT_OF(true, c.dq = c.q, ERR_OVERLAP)
    EXPECT_OF(true, c.dk = c.dq + Q_N - 1, ERR_OVERLAP)
    EXPECT_OF(true, c.dv = c.out, ERR_OVERLAP)
    EXPECT_OF(true, c.dv = c.lse, ERR_OVERLAP)
    EXPECT_OF(true, c.dq = (double *)memory.scratch, ERR_OVERLAP)
    EXPECT(c.k = c.q, OK)
    EXPECT(c.v = c.q, OK)
    EXPECT_OF(true, c.dout = c.out, OK)
}

/* q, k and v lie in one buffer [batch, rows, 3, heads, DIM], and so do their gradients. */
static void expect_interleaved(struct check *check, bool too_near)
{
    static double qkv[BATCH * S * 3 * HEADS * DIM], grads[BATCH * S * 3 * HEADS * DIM];
    const size_t strides[3] = {S * 3 * HEADS * DIM, DIM, 3 * HEADS * DIM};
    struct call c;

    good(&c, check->isa, true);
    c.a.kv_heads = HEADS;
    c.a.queries = T;
    c.a.v_dim = DIM;
    for (int i = 0; i < 3; i++)
        c.a.q_strides[i] = c.a.k_strides[i] = c.a.v_strides[i] = strides[i];
    c.q = qkv;
    c.k = qkv + (size_t)HEADS * DIM;
    c.v = qkv + (size_t)2 * HEADS * DIM;
    c.dq = grads;
    c.dk = grads + (size_t)HEADS * DIM - too_near;
    c.dv = grads + (size_t)2 * HEADS * DIM;
    /* memory.out is too short: v_dim is larger here. */
    c.out = c.dout = (double *)(memory.scratch + SCRATCH / 2);
    expect(check, &c, too_near ? BITDROP_ERR_OVERLAP : BITDROP_OK,
           too_near ? "gradients in one buffer that overlap" : "gradients in one buffer");
}

static void expect_sizes(struct check *check)
{
    struct call c;

    good(&c, check->isa, false);
    if (bitdrop_attention_scratch_bytes(&c.cfg, c.dtype, &c.a) == 0)
        check_fail(check, "scratch_bytes is 0");
    if (bitdrop_attention_scratch_bytes(NULL, c.dtype, &c.a) != 0 ||
        bitdrop_attention_scratch_bytes(&c.cfg, c.dtype, NULL) != 0 ||
        bitdrop_attention_scratch_bytes(&c.cfg, (bitdrop_dtype)4, &c.a) != 0)
        check_fail(check, "scratch_bytes accepts wrong arguments");
    c.cfg.isa = 200;
    if (bitdrop_attention_scratch_bytes(&c.cfg, c.dtype, &c.a) != 0)
        check_fail(check, "scratch_bytes accepts an ISA that does not exist");
    c.cfg.isa = (uint8_t)check->isa;
    c.a.kv_heads = 3;
    if (bitdrop_attention_scratch_bytes(&c.cfg, c.dtype, &c.a) != 0)
        check_fail(check, "scratch_bytes accepts 3 heads of keys and 4 of queries");
    for (int i = 0; i < 5; i++) {
        size_t *const sizes[] = {&c.a.batch, &c.a.heads, &c.a.queries, &c.a.keys, &c.a.dim};

        good(&c, check->isa, false);
        *sizes[i] = 0;
        if (i == 1)
            c.a.kv_heads = 0;
        c.q = c.k = c.v = c.out = c.lse = NULL;
        c.mask = NULL;
        c.scratch = NULL;
        if (bitdrop_attention_scratch_bytes(&c.cfg, c.dtype, &c.a) != 0)
            check_fail(check, "scratch_bytes is not 0 without elements");
        expect(check, &c, BITDROP_OK, "no elements");
        c.cfg.p = 2;
        expect(check, &c, BITDROP_ERR_PROBABILITY, "no elements, and p = 2");
    }
}

void check_attention_statuses(struct check *check)
{
    expect_pointers(check);
    expect_config(check);
    expect_ranges(check);
    expect_overlaps(check);
    expect_interleaved(check, false);
    expect_interleaved(check, true);
    expect_sizes(check);
}

/* sum(out * dout). */
static double loss(struct check *check, const struct call *c)
{
    double sum = 0;

    if (run(c) != BITDROP_OK)
        check_fail(check, "attention_forward is refused");
    for (int i = 0; i < OUT_N; i++)
        sum += c->out[i] * c->dout[i];
    return sum;
}

static void expect_gradient(struct check *check, struct call *c, double *x, const double *grad,
                            int n, const char *what)
{
    const double h = 0x1p-16;

    for (int i = 0; i < n; i++) {
        const double kept = x[i];

        x[i] = kept + h;
        double difference = loss(check, c);
        x[i] = kept - h;
        difference = (difference - loss(check, c)) / (2 * h);
        x[i] = kept;
        if (!(fabs(difference - grad[i]) <= 1e-6))
            check_fail(check, "attention: d%s[%d] is %.9g, by differences %.9g", what, i, grad[i],
                       difference);
        check->cases++;
    }
}

void check_attention_gradients(struct check *check)
{
    static double bias[T * S];

    for (int variant = 0; variant < 8; variant++) {
        double *const tensors[] = {memory.q, memory.k, memory.v, memory.dout};
        const int sizes[] = {Q_N, K_N, V_N, OUT_N};
        struct call c;

        good(&c, check->isa, false);
        c.cfg = check_random_config(check);
        c.cfg.p = (double)check_below(check, 9) / 10;
        c.cfg.offset >>= 1;
        c.cfg.mask_use = (uint8_t)(variant % 2);
        c.mask = c.cfg.mask_use == BITDROP_MASK_STORED ? memory.mask : NULL;
        c.a.causal = (uint32_t)(variant / 2 % 2);
        c.a.causal_first = c.a.causal ? (int64_t)check_below(check, 5) - 2 : 0;
        c.a.bias = variant / 4 ? bias : NULL;
        c.a.bias_strides[2] = S;
        for (int i = 0; i < 4; i++)
            for (int k = 0; k < sizes[i]; k++)
                tensors[i][k] = check_unit(check);
        for (int i = 0; i < T * S; i++)
            bias[i] = check_unit(check);
        loss(check, &c);
        c.backward = true;
        if (run(&c) != BITDROP_OK)
            check_fail(check, "attention_backward is refused");
        c.backward = false;
        expect_gradient(check, &c, memory.q, memory.dq, Q_N, "q");
        expect_gradient(check, &c, memory.k, memory.dk, K_N, "k");
        expect_gradient(check, &c, memory.v, memory.dv, V_N, "v");
    }
}
