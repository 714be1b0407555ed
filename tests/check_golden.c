/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares results with the files of tests/vectors, which are published or made by independent
 * programs. These files must never be changed to make a test pass, so a failure prints what to do.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "check.h"
#include "oracle.h"
#include "reference.h"

#define VECTORS(name) static const char *const name[] = {
#define END_VECTORS                                                                                \
    NULL                                                                                           \
    }                                                                                              \
    ;
VECTORS(masks)
#include "masks.inc"
END_VECTORS
VECTORS(masks_hex)
#include "masks-hex.inc"
END_VECTORS
VECTORS(masks_deep)
#include "masks-deep.inc"
END_VECTORS
VECTORS(values)
#include "values.inc"
END_VECTORS

/* Reads "seed stream offset rounds p n" and makes the mask; the caller frees it. */
static uint8_t *golden_mask(struct check *c, const char *line, size_t *n, int *rest)
{
    bitdrop_config cfg = {.isa = (uint8_t)c->isa};
    uint8_t *mask;
    char *after_seed;

    cfg.seed = strtoull(line, &after_seed, 0); /* decimal or 0x */
    if (sscanf(after_seed, "%" SCNu32 " %" SCNu64 " %" SCNu8 " %la %zu %n", &cfg.stream,
               &cfg.offset, &cfg.rounds, &cfg.p, n, rest) != 5) {
        check_fail(c, "cannot read: %s", line);
        return NULL;
    }
    *rest += (int)(after_seed - line);
    mask = malloc(bitdrop_mask_bytes(*n));
    if (bitdrop_mask(&cfg, *n, mask) != BITDROP_OK)
        check_fail(c, "refused: %s", line);
    c->cases++;
    return mask;
}

static void check_hashed(struct check *c, const char *line)
{
    size_t n, kept = 0, wanted_kept = 0;
    uint64_t wanted = 0;
    int rest;
    uint8_t *mask = golden_mask(c, line, &n, &rest);

    if (mask == NULL)
        return;
    if (sscanf(line + rest, "%zu %" SCNx64, &wanted_kept, &wanted) != 2)
        check_fail(c, "cannot read: %s", line);
    for (size_t i = 0; i < n; i++)
        kept += mask[i / 8] >> (i % 8) & 1;
    if (kept != wanted_kept || oracle_hash(mask, bitdrop_mask_bytes(n)) != wanted)
        check_fail(c, "golden mask: kept %zu for: %s", kept, line);
    free(mask);
}

/*
 * A call on one element makes one block. The element must have the same bit in a whole tile, which
 * is made in segments, and in a part of one segment.
 */
static void check_deep(struct check *c, const char *line)
{
    enum { TILE = 8192, SEGMENT = 2048 /* the longest of all ISAs */ };
    bitdrop_config cfg = {.isa = (uint8_t)c->isa};
    uint8_t one = 0, mask[TILE / 8];
    char *after_seed;
    size_t n;

    check_hashed(c, line);
    cfg.seed = strtoull(line, &after_seed, 0);
    if (sscanf(after_seed, "%" SCNu32 " %" SCNu64 " %" SCNu8 " %la %zu", &cfg.stream, &cfg.offset,
               &cfg.rounds, &cfg.p, &n) != 5 ||
        n != 1 || bitdrop_mask(&cfg, 1, &one) != BITDROP_OK)
        check_fail(c, "not one element: %s", line);

    const size_t in_tile = cfg.offset % TILE, in_segment = cfg.offset % SEGMENT;

    cfg.offset -= in_tile;
    if (bitdrop_mask(&cfg, TILE, mask) != BITDROP_OK ||
        (mask[in_tile / 8] >> (in_tile % 8) & 1) != one)
        check_fail(c, "golden mask: the bit differs in a whole tile: %s", line);
    cfg.offset += in_tile - in_segment;
    if (bitdrop_mask(&cfg, in_segment + 1, mask) != BITDROP_OK ||
        (mask[in_segment / 8] >> (in_segment % 8) & 1) != one)
        check_fail(c, "golden mask: the bit differs in a part of a segment: %s", line);
}

static void check_hex(struct check *c, const char *line)
{
    size_t n;
    int rest;
    uint8_t *mask = golden_mask(c, line, &n, &rest);

    if (mask == NULL)
        return;
    for (size_t i = 0; i < bitdrop_mask_bytes(n); i++) {
        unsigned wanted;

        if (sscanf(line + rest + 2 * i, "%2x", &wanted) != 1 || mask[i] != wanted) {
            check_fail(c, "golden mask: byte %zu is %02x for: %s", i, mask[i], line);
            break;
        }
    }
    free(mask);
}

/* Prints the advice if there are new failures. */
static void advise(const struct check *c, size_t failures_before, const char *advice)
{
    if (c->failures > failures_before)
        fputs(advice, stderr);
}

void check_golden_masks(struct check *c)
{
    const size_t before = c->failures;

    for (const char *const *line = masks; *line != NULL; line++)
        check_hashed(c, *line);
    for (const char *const *line = masks_deep; *line != NULL; line++)
        check_deep(c, *line);
    for (const char *const *line = masks_hex; *line != NULL; line++)
        check_hex(c, *line);
    advise(
        c, before,
        "\nMasks differ from tests/vectors/masks*.txt. docs/stream.md defines masks, and programs\n"
        "remake masks of earlier versions. Do not change these files.\n"
        "- On one ISA, or with one compiler: its kernels are wrong, or were compiled wrong.\n"
        "- On all ISAs: undo the change that makes other bits.\n"
        "- If other bits are intended, that is a new major version. Change docs/stream.md first,\n"
        "  then make vectors with a program that shares no code with src/.\n");
}

enum { VALUES = 10007 };

/* Number i of the input that the head of values.txt describes. */
static uint64_t mix(uint64_t i)
{
    uint64_t z = i + UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* Reverses each element on a big-endian machine: the files are little-endian. */
static void to_little_endian(unsigned char *x, size_t bytes)
{
    if (*(const uint8_t *)&(const uint16_t){1} == 1)
        return;
    for (size_t i = 0; i < VALUES * bytes; i += bytes)
        for (size_t b = 0; b < bytes / 2; b++) {
            const unsigned char byte = x[i + b];

            x[i + b] = x[i + bytes - 1 - b];
            x[i + bytes - 1 - b] = byte;
        }
}

static void fill_input(bitdrop_dtype t, unsigned char *x)
{
    static const uint64_t infinity[] = {0x7F800000, UINT64_C(0x7FF0000000000000), 0x7C00, 0x7F80};
    static const uint64_t top[] = {0x40000000, UINT64_C(0x4000000000000000), 0x4000, 0x4000};
    const size_t bytes = dtype_bytes(t);
    const uint64_t magnitude = UINT64_MAX >> (65 - 8 * bytes);

    for (size_t i = 0; i < VALUES; i++) {
        uint64_t v = mix(i);

        if ((v & magnitude) > infinity[t])
            v &= ~top[t];
        for (size_t b = 0; b < bytes; b++)
            x[i * bytes + b] = (unsigned char)(v >> (8 * b));
    }
    to_little_endian(x, bytes); /* the same reversal brings x to this machine's order */
}

/* The call that a line of values.txt describes. */
struct golden {
    bitdrop_config cfg;
    enum bitdrop_operation op;
    bitdrop_dtype dtype;
    uint64_t hash;
};

static bool read_golden(const char *line, struct golden *g)
{
    char dtype[8], op[16], scaling[16];
    int t = 0, o = 0;

    if (sscanf(line, "%7s %15s %15s %lf %" SCNx64, dtype, op, scaling, &g->cfg.p, &g->hash) != 5)
        return false;
    while (t < 4 && strcmp(dtype, dtype_name((bitdrop_dtype)t)) != 0)
        t++;
    while (o < BITDROP_OPERATION_COUNT &&
           strcmp(op, operation_name((enum bitdrop_operation)o)) != 0)
        o++;
    g->dtype = (bitdrop_dtype)t;
    g->op = (enum bitdrop_operation)o;
    g->cfg.scaling = strcmp(scaling, "SCALE_INFER") == 0;
    return t < 4 && o < BITDROP_OPERATION_COUNT;
}

/*
 * For an ISA that may differ from the golden values: the reference must have the golden hash, and
 * must accept each element of y.
 */
static bool accepts_all(const struct check *c, const struct golden *g, const unsigned char *x,
                        const unsigned char *y, const uint8_t *mask)
{
    static unsigned char wanted[VALUES * 8];
    const size_t bytes = dtype_bytes(g->dtype);
    bool accepted = true;

    for (size_t i = 0; i < VALUES; i++) {
        struct element e = {.op = g->op, .cfg = &g->cfg, .dtype = g->dtype, .in = {x + i * bytes}};

        e.keep = operation_row(g->op)->bits == BITS_READ ? mask[i / 8] >> (i % 8) & 1
                                                         : oracle_keep(&g->cfg, g->cfg.offset + i);
        e.stored = true;
        reference(&e);
        memcpy(wanted + i * bytes, e.y, bytes);
        accepted &= reference_accepts(c->isa, &e, y + i * bytes, NULL);
    }
    to_little_endian(wanted, bytes);
    return accepted && oracle_hash(wanted, VALUES * bytes) == g->hash;
}

static void check_value_line(struct check *c, const char *line)
{
    static unsigned char x[VALUES * 8], y[VALUES * 8], ordered[VALUES * 8];
    static uint8_t mask[(VALUES + 7) / 8];
    struct golden g = {.cfg = {.seed = 7, .stream = 3, .offset = 1000, .isa = (uint8_t)c->isa}};

    if (!read_golden(line, &g)) {
        check_fail(c, "cannot read: %s", line);
        return;
    }
    const size_t bytes = dtype_bytes(g.dtype);
    const struct call call = {.op = g.op,
                              .flat = true,
                              .cfg = &g.cfg,
                              .dtype = g.dtype,
                              .n = VALUES,
                              .in = {x},
                              .y = y,
                              .mask = operation_has_mask(g.op) ? mask : NULL};

    fill_input(g.dtype, x);
    for (size_t i = 0; i < sizeof mask; i++)
        mask[i] = (uint8_t)mix(i);
    if (call_run(&call) != BITDROP_OK)
        check_fail(c, "refused: %s", line);
    memcpy(ordered, y, sizeof y);
    to_little_endian(ordered, bytes);
    if (oracle_hash(ordered, VALUES * bytes) != g.hash && !accepts_all(c, &g, x, y, mask))
        check_fail(c, "golden values: %s", line);
    c->cases++;
}

void check_golden_values(struct check *c)
{
    const size_t before = c->failures;

    for (const char *const *line = values; *line != NULL; line++)
        check_value_line(c, *line);
    advise(
        c, before,
        "\nOutputs differ from tests/vectors/values.txt. \"The values\" of docs/stream.md defines\n"
        "outputs. Do not change this file.\n"
        "- On one ISA, or with one compiler: look for a fused multiply-add, fast math, a flushed\n"
        "  denormal, or a half type that is rounded twice.\n"
        "- On all ISAs: undo the change that makes other values.\n");
}
