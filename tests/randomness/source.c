/* SPDX-License-Identifier: Apache-2.0 */
#include "source.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracle.h"

#define SOURCE_WHAT(name, part, what) what,
const char *const source_what[SOURCE_COUNT] = {SOURCES(SOURCE_WHAT)};

enum { CHUNK = 1 << 15 }; /* elements of a call with data */

static void expect_ok(bitdrop_status status)
{
    if (status == BITDROP_OK)
        return;
    fprintf(stderr, "randomness: bitdrop: %s\n", bitdrop_status_string(status));
    exit(2);
}

/* The slow generator. It keeps the last Philox block of each counter word 2. */
struct slow {
    enum source fault;
    const bitdrop_config *cfg;
    uint64_t word; /* the word whose keep bits are in `keep` */
    uint32_t keep;
    bool has_word;
    struct {
        bool valid;
        uint64_t index;
        uint32_t out[4];
    } blocks[32];
};

static void block(const struct slow *s, uint64_t index, uint32_t word_2, uint32_t out[4])
{
    const bitdrop_config *cfg = s->cfg;
    uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), word_2, cfg->stream};
    uint32_t key[2] = {(uint32_t)cfg->seed, (uint32_t)(cfg->seed >> 32)};
    int rounds = cfg->rounds == 7 ? 7 : 10;

    if (s->fault >= SOURCE_ROUNDS_2 && s->fault <= SOURCE_ROUNDS_6)
        rounds = 2 + (int)s->fault - SOURCE_ROUNDS_2;
    if (s->fault == SOURCE_INDEX_32)
        counter[1] = 0;
    if (s->fault == SOURCE_STREAM_IN_SEED) {
        key[1] ^= cfg->stream;
        counter[3] = 0;
    }
    if (s->fault == SOURCE_LATE_NO_STREAM && word_2 >= 8 && word_2 < 256)
        counter[3] = 0;
    if (s->fault == SOURCE_LATE_OVERLAP && word_2 >= 8 && word_2 < 256)
        counter[2] -= 8;
    oracle_philox(counter, key, rounds, out);
    for (uint32_t lane = 0; s->fault == SOURCE_LANES && lane < 4; lane++) {
        const uint64_t seed = cfg->seed + lane;
        uint32_t of_lane[4];

        oracle_philox(counter, (uint32_t[2]){(uint32_t)seed, (uint32_t)(seed >> 32)}, rounds,
                      of_lane);
        out[lane] = of_lane[0];
    }
}

/* Plane j of elements 32 * w … 32 * w + 31. */
static uint32_t plane_word(struct slow *s, uint64_t w, unsigned j)
{
    const bool late = j >= 8;

    if (s->fault == SOURCE_PLANE_7_IS_6 && j == 7)
        j = 6;
    if (s->fault == SOURCE_LATE_STUCK && late)
        j = 8 + (j - 8) % 4;
    if (s->fault == SOURCE_LATE_PAIRS && late)
        j &= ~1U;

    const uint32_t word_2 = late ? 8 + (j - 8) / 4 : j;
    const uint64_t index = late && s->fault != SOURCE_LATE_SHARED ? w : w / 4;

    if (!s->blocks[word_2].valid || s->blocks[word_2].index != index) {
        block(s, index, word_2, s->blocks[word_2].out);
        s->blocks[word_2].index = index;
        s->blocks[word_2].valid = true;
    }
    return s->blocks[word_2].out[late ? (j - 8) % 4 : w % 4];
}

/* The same, with fault FOURS: then element e has the bit of element e / 4. */
static uint32_t plane_bits(struct slow *s, uint64_t w, unsigned j)
{
    if (s->fault != SOURCE_FOURS)
        return plane_word(s, w, j);

    const uint32_t eight = plane_word(s, w / 4, j) >> (w % 4 * 8);
    uint32_t bits = 0;

    for (unsigned i = 0; i < 32; i++)
        bits |= (eight >> (i / 4) & 1) << i;
    return bits;
}

static uint32_t keep_word(struct slow *s, uint64_t w)
{
    const double p = s->cfg->p;
    uint64_t threshold = (uint64_t)ldexp(p, 64);
    uint32_t keep = 0, undecided = 0xFFFFFFFF;

    if (s->fault == SOURCE_THRESHOLD_8)
        threshold = threshold >> 56 << 56;
    if (s->fault == SOURCE_THRESHOLD_16)
        threshold = threshold >> 48 << 48;
    for (unsigned j = 0; undecided != 0 && threshold << j != 0 && j < 64; j++) {
        const uint32_t u = plane_bits(s, w, j);

        if (threshold >> (63 - j) & 1) {
            undecided &= u;
        } else {
            keep |= undecided & u;
            undecided &= ~u;
        }
    }
    return keep | undecided;
}

static bool slow_keep(struct slow *s, uint64_t e)
{
    if (!s->has_word || s->word != e / 32) {
        s->has_word = true;
        s->word = e / 32;
        s->keep = keep_word(s, s->word);
    }
    return s->keep >> (e % 32) & 1;
}

static double slow_noise(struct slow *s, uint64_t e)
{
    const double pi = 3.14159265358979323846;
    const unsigned quarter = e % 64 / 16;
    uint32_t out[4];

    block(s, e / 64 * 16 + e % 16, 256, out);
    const uint32_t *w = out + quarter / 2 * 2;
    const uint32_t radius = s->fault == SOURCE_NOISE_16 ? w[0] & 0xFFFF0000 : w[0];
    const double r = sqrt(-2 * log((radius >> 1) * 0x1p-31 + 0x1p-32));
    const double angle = pi * (int32_t)w[1] * 0x1p-31;

    return r * (quarter % 2 == 0 || s->fault == SOURCE_NOISE_PAIRS ? cos(angle) : sin(angle));
}

void source_mask(enum source s, const bitdrop_config *cfg, size_t n, uint64_t *mask)
{
    if (s == SOURCE_BITDROP) {
        expect_ok(bitdrop_mask(cfg, n, (uint8_t *)mask));
        return;
    }
    struct slow slow = {.fault = s, .cfg = cfg};

    for (size_t i = 0; i < n / 64; i++) {
        const uint64_t w = cfg->offset / 32 + 2 * i, low = keep_word(&slow, w);

        mask[i] = low | (uint64_t)keep_word(&slow, w + 1) << 32;
    }
}

void source_plane(enum source s, const bitdrop_config *cfg, unsigned j, size_t n, uint64_t *plane)
{
    enum { WORDS = 1 << 11 }; /* so few that they stay in cache while all thresholds are made */
    static uint64_t mask[WORDS];
    bitdrop_config at = *cfg;
    struct slow slow = {.fault = s, .cfg = cfg};

    memset(plane, 0, n / 8);
    if (s != SOURCE_BITDROP) {
        for (size_t i = 0; i < n / 32; i++)
            plane[i / 2] |= (uint64_t)plane_bits(&slow, cfg->offset / 32 + i, j) << (i % 2 * 32);
        return;
    }
    for (size_t first = 0; first < n / 64; first += WORDS) {
        const size_t count = n / 64 - first < WORDS ? n / 64 - first : WORDS;

        at.offset = cfg->offset + first * 64;
        for (uint64_t i = 1; i < UINT64_C(2) << j; i++) {
            at.p = ldexp((double)i, -(int)(j + 1));
            source_mask(s, &at, count * 64, mask);
            for (size_t k = 0; k < count; k++)
                plane[first + k] ^= mask[k];
        }
    }
}

static void put_bit(uint64_t *bits, size_t i, bool one)
{
    bits[i / 64] |= (uint64_t)one << (i % 64);
}

/* Appends the decisions of `rows` mask rows, from `first` on, at bit *at. Stops at bit n. */
static bool units_of_rows(const bitdrop_config *cfg, const struct units *u, uint64_t first,
                          size_t rows, size_t n, uint64_t *units, size_t *at)
{
    static float x[CHUNK], y[CHUNK];
    const bitdrop_2d shape = {.rows = rows * u->repeat,
                              .cols = u->columns,
                              .pitch = u->each_row ? 0 : u->pitch,
                              .mask_repeat = u->repeat,
                              .first_row = first * u->repeat,
                              .unit = u->each_row ? BITDROP_EACH_ROW : BITDROP_EACH_ELEMENT};
    bool alike = true;

    for (size_t i = 0; i < CHUNK; i++)
        x[i] = 1;
    expect_ok(bitdrop_recompute_2d(cfg, BITDROP_F32, &shape, x, y));
    for (size_t m = 0; m < rows; m++) {
        const float *of_m = y + m * u->repeat * u->columns;

        for (size_t i = 0; i < u->repeat * u->columns; i++)
            alike &= (of_m[i] != 0) == (of_m[u->each_row ? 0 : i % u->columns] != 0);
        for (size_t c = 0; c < (u->each_row ? 1 : u->columns) && *at < n; c++)
            put_bit(units, (*at)++, of_m[c] != 0);
    }
    return alike;
}

bool source_units(enum source s, const bitdrop_config *cfg, const struct units *u, size_t n,
                  uint64_t *units)
{
    struct slow slow = {.fault = s, .cfg = cfg};
    const size_t rows = CHUNK / (u->repeat * u->columns);
    size_t at = 0;
    bool alike = true;

    memset(units, 0, n / 8);
    if (s == SOURCE_BITDROP) {
        for (uint64_t m = 0; at < n; m += rows)
            alike &= units_of_rows(cfg, u, m, rows, n, units, &at);
        return alike;
    }
    for (; at < n; at++) {
        uint64_t m = u->each_row ? at : at / u->columns;

        if (s == SOURCE_ROWS_SHARED)
            m &= ~UINT64_C(1);
        put_bit(units, at,
                slow_keep(&slow, cfg->offset + (u->each_row ? m : m * u->pitch + at % u->columns)));
    }
    return true;
}

void source_noise(enum source s, const bitdrop_config *cfg, bool each_row, size_t n, double *noise)
{
    static double ones[CHUNK];
    struct slow slow = {.fault = s, .cfg = cfg};
    bitdrop_config half = *cfg; /* then y is 1 + N */

    half.p = 0.5;
    for (size_t i = 0; i < CHUNK; i++)
        ones[i] = 1;
    for (size_t i = 0; i < n && s == SOURCE_BITDROP; i += CHUNK) {
        const size_t count = n - i < CHUNK ? n - i : CHUNK;
        const bitdrop_2d shape = {.rows = each_row ? count : 1,
                                  .cols = each_row ? 1 : count,
                                  .unit = each_row ? BITDROP_EACH_ROW : BITDROP_EACH_ELEMENT};

        half.offset = cfg->offset + i;
        expect_ok(bitdrop_gaussian(&half, BITDROP_F64, &shape, ones, noise + i));
    }
    for (size_t i = 0; i < n; i++)
        noise[i] = s == SOURCE_BITDROP ? noise[i] - 1 : slow_noise(&slow, cfg->offset + i);
}
