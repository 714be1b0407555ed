/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "oracle.h"

enum { FAILURES_SHOWN = 10 };

void check_fail(struct check *c, const char *format, ...)
{
    va_list args;

    if (c->failures++ >= FAILURES_SHOWN)
        return;
    fprintf(stderr, "FAIL %s, BITDROP_TEST_SEED=%" PRIu64 ": ", bitdrop_isa_name(c->isa), c->seed);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

uint64_t check_random(struct check *c)
{
    uint64_t z = c->random += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

const double check_probabilities[] = {0,   0x1p-64, 1e-9, 1.0 / 256, 0.1,         0.25, 0.3,
                                      0.5, 0.7,     0.9,  0.9999,    1 - 0x1p-53, 1};
const size_t check_probability_count = sizeof check_probabilities / sizeof *check_probabilities;

double check_random_p(struct check *c)
{
    if (check_below(c, 2) == 0)
        return check_probabilities[check_below(c, check_probability_count)];
    return (double)(check_random(c) >> 11) * 0x1p-53;
}

bitdrop_config check_random_config(struct check *c)
{
    return (bitdrop_config){
        .p = check_random_p(c),
        .seed = check_random(c),
        .offset = check_random(c) >> check_below(c, 64) >> 1,
        .stream = (uint32_t)check_random(c),
        .rounds = (uint8_t[]){0, 7, 10}[check_below(c, 3)],
        .scaling = (uint8_t)check_below(c, 2),
        .stores = (uint8_t)check_below(c, 3),
        .isa = (uint8_t)c->isa,
    };
}

/* One element of a dtype: a special, an ordinary number near 1, or any bits. */
static uint64_t random_element(struct check *c, bitdrop_dtype t)
{
    /* Exponent and fraction bits of each dtype's specials. */
    static const uint64_t specials[][8] = {
        [BITDROP_F32] = {0, 1, 0x7FFFFF, 0x800000, 0x7F800000, 0x7F800001, 0x7FC12345, 0x7F7FFFFF},
        [BITDROP_F64] = {0, 1, UINT64_C(0xFFFFFFFFFFFFF), UINT64_C(0x10000000000000),
                         UINT64_C(0x7FF0000000000000), UINT64_C(0x7FF0000000000001),
                         UINT64_C(0x7FF8123456789ABC), UINT64_C(0x7FEFFFFFFFFFFFFF)},
        [BITDROP_F16] = {0, 1, 0x3FF, 0x400, 0x7C00, 0x7C01, 0x7E55, 0x7BFF},
        [BITDROP_BF16] = {0, 1, 0x7F, 0x80, 0x7F80, 0x7F81, 0x7FD5, 0x7F7F},
    };
    static const struct {
        unsigned fraction, bias;
    } formats[] = {[BITDROP_F32] = {23, 127},
                   [BITDROP_F64] = {52, 1023},
                   [BITDROP_F16] = {10, 15},
                   [BITDROP_BF16] = {7, 127}};
    const uint64_t r = check_random(c), width = 8 * dtype_bytes(t);
    const uint64_t sign = (r >> 8 & 1) << (width - 1);

    if (r % 4 == 0)
        return specials[t][r >> 2 & 7] | sign;
    if (r % 4 > 1)
        return r >> (64 - width);
    return sign | ((formats[t].bias - 4 + (r >> 2 & 7)) << formats[t].fraction) |
           r >> (64 - formats[t].fraction);
}

void check_fill(struct check *c, bitdrop_dtype t, void *x, size_t n)
{
    const size_t bytes = dtype_bytes(t);

    for (size_t i = 0; i < n; i++) {
        const uint64_t bits = random_element(c, t);
        unsigned char *at = (unsigned char *)x + i * bytes;

        if (bytes == 8)
            memcpy(at, &bits, 8);
        else if (bytes == 4)
            memcpy(at, &(uint32_t){(uint32_t)bits}, 4);
        else
            memcpy(at, &(uint16_t){(uint16_t)bits}, 2);
    }
}

size_t check_difference(bitdrop_dtype t, const void *a, const void *b, size_t n)
{
    const size_t bytes = dtype_bytes(t);
    size_t i = 0;

    if (memcmp(a, b, n * bytes) == 0)
        return n;
    while (i < n && oracle_same(t, (const unsigned char *)a + i * bytes,
                                (const unsigned char *)b + i * bytes))
        i++;
    return i;
}

bitdrop_isa check_isa_named(const char *name)
{
    for (int isa = BITDROP_ISA_AUTO + 1; isa < BITDROP_ISA_COUNT; isa++)
        if (strcmp(name, bitdrop_isa_name((bitdrop_isa)isa)) == 0)
            return (bitdrop_isa)isa;
    return BITDROP_ISA_AUTO;
}

/* The tables of kernels that are built. The checks of each are compiled with its flags. */
static const struct table {
    bitdrop_isa isa;
    bitdrop_isa_set extensions;
    check_isa_function *philox, *vocabulary, *mask_rows;
} tables[] = {
#define TABLE(table, have, isa, extensions)                                                        \
    BITDROP_IF(have,                                                                               \
               {BITDROP_ISA_##isa, extensions, check_philox_##table, check_vocabulary_##table,     \
                check_mask_rows_##table}, )
    BITDROP_TABLES(TABLE)};

enum { TABLES = sizeof tables / sizeof *tables };

bool check_isa_built(bitdrop_isa isa)
{
    for (size_t i = 0; i < TABLES; i++)
        if (tables[i].isa == isa)
            return true;
    return false;
}

static bool has_extensions(bitdrop_isa_set extensions)
{
#ifdef __x86_64__
    if (extensions >> BITDROP_AVX512_BF16 & 1 && !__builtin_cpu_supports("avx512bf16"))
        return false;
    extensions &= ~(UINT32_C(1) << BITDROP_AVX512_BF16);
#endif
    return extensions == 0; /* this function cannot ask for any other extension */
}

static bool runs_here(const struct check *c, const struct table *t)
{
    return t->isa == c->isa && has_extensions(t->extensions);
}

void check_philox(struct check *c)
{
    for (size_t i = 0; i < TABLES; i++)
        if (runs_here(c, &tables[i]))
            tables[i].philox(c);
}

void check_vocabulary(struct check *c)
{
    for (size_t i = 0; i < TABLES; i++)
        if (runs_here(c, &tables[i]))
            tables[i].vocabulary(c);
}

/* Once for each ISA: only its table without extensions has a kernel of mask rows. */
void check_mask_rows(struct check *c)
{
    for (size_t i = 0; i < TABLES; i++)
        if (tables[i].isa == c->isa && tables[i].extensions == 0)
            tables[i].mask_rows(c);
}

void check_run_backwards(void *context, size_t tasks, void (*task)(void *argument, size_t index),
                         void *argument)
{
    (void)context;
    while (tasks-- > 0)
        task(argument, tasks);
}
