/* SPDX-License-Identifier: Apache-2.0 */
#include "attention.h"

#include <stdio.h>
#include <stdlib.h>

#include "fail.h"
#include "isas.h"
#include "measure.h"
#include "tests/call.h"

enum { PRODUCTS = 7 }; /* forward 2; backward 5, because it computes the scores again */

const struct attention_sizes attention_sizes[ATTENTION_SIZES] = {
    [ATTENTION_T128] = {"B8-H12-T128", 8, 12, 128, false},
    [ATTENTION_T512] = {"B4-H12-T512", 4, 12, 512, false},
    [ATTENTION_T2048] = {"B1-H12-T2048-causal", 1, 12, 2048, true},
};

static const bitdrop_dtype dtypes[] = {BITDROP_F32, BITDROP_BF16};
static const double probabilities[] = {0.1, 0};

#define COUNT(array) (sizeof(array) / sizeof *(array))

void attention_name(const struct attention_case *c, char name[ATTENTION_NAME_BYTES])
{
    snprintf(name, ATTENTION_NAME_BYTES, "attention/%s/%s/%s/p=%g", c->sizes->name,
             bitdrop_isa_name(c->isa), dtype_name(c->dtype), c->p);
}

static void cases_of(bitdrop_isa isa, attention_visitor *visit, void *argument)
{
    struct attention_case c = {.isa = isa};

    for (size_t s = 0; s < ATTENTION_SIZES; s++)
        for (size_t t = 0; t < COUNT(dtypes); t++)
            for (size_t p = 0; p < COUNT(probabilities); p++) {
                c.sizes = &attention_sizes[s];
                c.dtype = dtypes[t];
                c.p = probabilities[p];
                visit(&c, argument);
            }
}

void attention_cases(attention_visitor *visit, void *argument)
{
    static const struct {
        bitdrop_isa isa;
        bitdrop_isa_set extensions; /* not 0: the ISA has a table without extensions too */
    } tables[] = {
#define TABLE(table, have, isa, extensions) {BITDROP_ISA_##isa, extensions},
        BITDROP_TABLES(TABLE)
#undef TABLE
    };

    for (size_t i = 0; i < COUNT(tables); i++)
        if (tables[i].extensions == 0 && bitdrop_isa_supported(tables[i].isa))
            cases_of(tables[i].isa, visit, argument);
}

bool attention_in_full(const struct attention_case *c)
{
    return c->isa == bitdrop_isa_default() && c->p > 0;
}

bool attention_in_quick(const struct attention_case *c)
{
    return attention_in_full(c) && c->sizes == &attention_sizes[ATTENTION_T512] &&
           c->dtype == BITDROP_F32;
}

double attention_scores(const struct attention_case *c)
{
    const struct attention_sizes *s = c->sizes;
    const double tokens = (double)s->tokens;

    return (double)(s->batch * s->heads) * tokens * (s->causal ? (tokens + 1) / 2 : tokens);
}

static size_t rows_of(const struct attention_sizes *s) { return s->batch * s->heads * s->tokens; }

size_t attention_tensor_bytes(const struct attention_case *c)
{
    return rows_of(c->sizes) * ATTENTION_DIM * dtype_bytes(c->dtype);
}

void attention_reserve(void **p, size_t *capacity, size_t bytes)
{
    if (*capacity >= bytes)
        return;
    free(*p);
    *capacity = (bytes + 63) / 64 * 64;
    *p = aligned_alloc(64, *capacity);
    if (*p == NULL)
        fail("no memory for attention");
}

/* bf16 numbers of magnitude 0.5 to 2. Two of them, read as one f32, are in this range too. */
static void fill(void *tensor, size_t count, uint32_t state)
{
    uint16_t *at = tensor;

    for (size_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223; /* Numerical Recipes; only the upper bits are used */
        at[i] = (uint16_t)((state >> 16 & 0x80FF) | 0x3F00);
    }
}

static struct attention_memory memory;

const struct attention_memory *attention_memory(void) { return &memory; }

static bitdrop_attention shape_of(const struct attention_case *c)
{
    const struct attention_sizes *s = c->sizes;

    return (bitdrop_attention){.batch = s->batch,
                               .heads = s->heads,
                               .queries = s->tokens,
                               .keys = s->tokens,
                               .dim = ATTENTION_DIM,
                               .causal = s->causal};
}

static bitdrop_config config_of(const struct attention_case *c)
{
    return (bitdrop_config){
        .p = c->p, .seed = 1, .isa = (uint8_t)c->isa, .mask_use = BITDROP_MASK_REMADE};
}

void attention_prepare(const struct attention_case *c)
{
    enum { READ = 4, TENSORS = 8 };
    void **const tensors[TENSORS] = {&memory.q,   &memory.k,  &memory.v,  &memory.dout,
                                     &memory.out, &memory.dq, &memory.dk, &memory.dv};
    static size_t tensor_capacity[TENSORS], lse_capacity, scratch_capacity;
    const size_t rows = rows_of(c->sizes), n = rows * ATTENTION_DIM;
    const bitdrop_config cfg = config_of(c);
    const bitdrop_attention shape = shape_of(c);

    for (size_t i = 0; i < TENSORS; i++)
        attention_reserve(tensors[i], &tensor_capacity[i], n * sizeof(float));
    for (uint32_t i = 0; i < READ; i++)
        fill(*tensors[i], 2 * n, i);
    attention_reserve(&memory.lse, &lse_capacity, rows * sizeof(float));
    attention_reserve(&memory.scratch, &scratch_capacity,
                      bitdrop_attention_scratch_bytes(&cfg, c->dtype, &shape));
}

void attention_repeat(void *argument, size_t calls)
{
    const struct attention_case *c = argument;
    const struct attention_memory *m = &memory;
    const bitdrop_attention shape = shape_of(c);
    bitdrop_config cfg = config_of(c);
    bitdrop_status status = BITDROP_OK;

    for (size_t i = 0; i < calls && status == BITDROP_OK; i++) {
        status = bitdrop_attention_forward(&cfg, c->dtype, &shape, m->q, m->k, m->v, m->out, m->lse,
                                           NULL, m->scratch);
        if (status == BITDROP_OK)
            status =
                bitdrop_attention_backward(&cfg, c->dtype, &shape, m->dout, m->q, m->k, m->v,
                                           m->out, m->lse, m->dq, m->dk, m->dv, NULL, m->scratch);
        cfg.offset += rows_of(c->sizes) * c->sizes->tokens; /* other bits, as in training */
    }
    if (status != BITDROP_OK)
        fail(bitdrop_status_string(status));
}

struct attention_timing attention_time(struct attention_case *c, double seconds)
{
    double time[2] = {0};

    attention_prepare(c);
    attention_cblas_prepare(c);
    measure((struct body[]){{attention_repeat, c, 1}, {attention_cblas_repeat, c, 1}},
            attention_cblas_name() != NULL ? 2 : 1, seconds, time);
    return (struct attention_timing){time[0], time[1]};
}

static void print_header(void)
{
    printf(
        "\nAttention, forward and backward, heads of %d. ns are for a pair of a query and a key that it "
        "sees. GFLOP/s count %d products.\n",
        ATTENTION_DIM, PRODUCTS);
    if (attention_cblas_name() != NULL)
        printf(
            "cblas (%s): 6 products in f32, also in rows of bf16, and calls of softmax and dropout between them.\n",
            attention_cblas_name());
    printf("\n%-7s %-20s %-5s %5s %9s %9s %12s %7s\n", "ISA", "attention", "dtype", "p", "ns",
           "GFLOP/s", "by cblas: ns", "ratio");
}

void attention_row(const struct attention_case *c, struct attention_timing t)
{
    static bool headed;
    const double scores = attention_scores(c), operations = (double)(PRODUCTS * 2 * ATTENTION_DIM);

    if (!headed)
        print_header();
    headed = true;
    printf("%-7s %-20s %-5s %5g %9.3f %9.1f", bitdrop_isa_name(c->isa), c->sizes->name,
           dtype_name(c->dtype), c->p, 1e9 * t.call / scores, 1e-9 * operations * scores / t.call);
    if (t.by_cblas > 0)
        printf(" %12.3f %7.2f\n", 1e9 * t.by_cblas / scores, t.call / t.by_cblas);
    else
        printf(" %12s %7s\n", "-", "-");
    fflush(stdout);
}
