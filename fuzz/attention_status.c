/* SPDX-License-Identifier: Apache-2.0 */
/* A second implementation of the status table of attention. */
#include <math.h>

#include "attention_call.h"

static bool must_be_there(const struct attention *t, int i)
{
    return t->b[i].used && i != BIAS && (i != LSE || t->backward);
}

static bitdrop_status pointer_status(const struct attention *t)
{
    if (t->no_cfg || t->no_a || (!t->b[MASK].used && t->b[MASK].at != NULL))
        return BITDROP_ERR_NULL;
    for (int i = 0; i < BUFFERS && has_elements(t); i++)
        if (must_be_there(t, i) && t->b[i].at == NULL)
            return BITDROP_ERR_NULL;
    return BITDROP_OK;
}

static bool values_are_right(const bitdrop_attention *a)
{
    return isfinite(a->scale) && a->causal <= 1 && a->flags == 0 &&
           (a->causal == 1 || a->causal_first == 0) && a->reserved[0] == 0 && a->reserved[1] == 0 &&
           a->reserved[2] == 0 && a->reserved[3] == 0;
}

static bool makes_bits(const struct attention *t)
{
    return stores_mask(t) ? !t->backward : t->cfg.p > 0;
}

static bool indices_fit(const struct attention *t)
{
    const bitdrop_attention *a = &t->filled;
    uint64_t last;

    return !__builtin_mul_overflow(a->batch - 1, a->index_heads, &last) &&
           !__builtin_add_overflow(last, a->heads - 1, &last) &&
           !__builtin_mul_overflow(last, a->index_queries, &last) &&
           !__builtin_add_overflow(last, a->queries - 1, &last) &&
           !__builtin_mul_overflow(last, a->index_keys, &last) &&
           !__builtin_add_overflow(last, a->keys - 1, &last) &&
           !__builtin_add_overflow(last, t->cfg.offset, &last);
}

/* Whether each stride is at least the extent of all levels with smaller strides. */
static bool is_nested(const struct fuzz_buffer *b, bool may_repeat)
{
    for (int i = 0; i < 3; i++) {
        size_t below = b->bytes;

        if (b->count[i] == 1 || (b->stride[i] == 0 && may_repeat))
            continue;
        for (int j = 0; j < 3; j++)
            if (j != i && (b->stride[j] < b->stride[i] || (b->stride[j] == b->stride[i] && j > i)))
                below += (b->count[j] - 1) * b->stride[j];
        if (b->stride[i] < below)
            return false;
    }
    return true;
}

static int range_status(const struct attention *t)
{
    const bitdrop_attention *a = &t->filled;
    bool inside = true;

    if (a->heads % a->kv_heads != 0 || a->index_heads < a->heads || a->index_queries < a->queries ||
        a->index_keys < a->keys || (uintptr_t)t->b[SCRATCH].at % 64 != 0)
        return BITDROP_ERR_RANGE;
    if ((a->queries > 1 && (a->q_strides[2] < a->dim || a->out_strides[2] < a->v_dim)) ||
        (a->keys > 1 && (a->k_strides[2] < a->dim || a->v_strides[2] < a->v_dim)) ||
        (a->bias_strides[2] != 0 && a->bias_strides[2] < a->keys))
        return BITDROP_ERR_RANGE;
    if (makes_bits(t) && !indices_fit(t))
        return BITDROP_ERR_RANGE;
    for (int i = 0; i < BUFFERS; i++) {
        if (!fuzz_present(&t->b[i]))
            continue;
        inside &= fuzz_is_inside(&t->b[i]);
        if (!fuzz_fits(&t->b[i]))
            return BITDROP_ERR_RANGE;
    }
    if (!inside || a->batch * a->heads * a->queries * a->keys > MOST_SCORES)
        return FUZZ_TOO_LARGE;
    for (int i = 0; i < BUFFERS; i++)
        if (t->b[i].written && fuzz_present(&t->b[i]) && !is_nested(&t->b[i], false))
            return BITDROP_ERR_RANGE;
    return BITDROP_OK;
}

/* A tensor that is not nested counts as all bytes from its first to its last. */
static bool overlaps(const struct attention *t)
{
    for (size_t i = 0; i < BUFFERS; i++)
        if (fuzz_present(&t->b[i]) && is_nested(&t->b[i], true))
            memory_own_rows(i, &t->b[i]);
        else if (fuzz_present(&t->b[i]))
            memory_own(i, t->b[i].at, fuzz_extent(&t->b[i]));
    memory_find_shared();
    for (size_t output = 0; output < BUFFERS; output++)
        for (size_t i = 0; i < BUFFERS; i++)
            if (t->b[output].written && memory_shared(output, i))
                return true;
    return false;
}

int attention_status(struct attention *t)
{
    int status = pointer_status(t);

    memory_disown();
    t->b[SCRATCH].bytes = bitdrop_attention_scratch_bytes(&t->cfg, t->dtype, &t->a);
    if (status == BITDROP_OK)
        status = (int)fuzz_config_status(&t->cfg);
    if (status == BITDROP_OK && !values_are_right(&t->a))
        status = BITDROP_ERR_CONFIG;
    if (status == BITDROP_OK && (size_t)t->dtype >= BITDROP_DTYPE_COUNT)
        status = BITDROP_ERR_DTYPE;
    if (status == BITDROP_OK && !bitdrop_isa_supported((bitdrop_isa)t->cfg.isa))
        status = BITDROP_ERR_ISA;
    if (status == BITDROP_OK && has_elements(t))
        status = range_status(t);
    if (status == BITDROP_OK && has_elements(t) && overlaps(t))
        status = BITDROP_ERR_OVERLAP;
    return status;
}
