/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares rows of mask bits (struct bitdrop_mask_rows) with the oracle: a part of the columns of a
 * wide matrix, also with causal rows. No exported call makes causal rows of bits, so this file
 * includes the kernel. It is compiled once for each ISA, with
 *
 *   VEC_H            its vec.h
 *   CHECK_MASK_ROWS  check_mask_rows_<isa>
 */
#include <inttypes.h>
#include <string.h>

#include VEC_H

#include "check.h"
#include "oracle.h"

#pragma GCC diagnostic ignored "-Wunused-function" /* those that apply bits */
#include "template/mask_rows.h"

enum { MOST_BYTES = 1 << 16, MARGIN = 64 };

static uint8_t got[MOST_BYTES], wanted[MOST_BYTES];

static void fill(const bitdrop_config *cfg, const struct bitdrop_mask_rows *m, uint8_t *mask)
{
    for (size_t r = 0; r < m->rows; r++) {
        uint8_t *row = mask + r * m->stride;

        memset(row, 0, (m->cols + 7) / 8);
        for (size_t col = 0; col < m->cols; col++)
            if ((!m->causal || m->seen > (int64_t)col - (int64_t)r) &&
                oracle_keep(cfg, m->first + r * m->pitch + col))
                row[col / 8] |= (uint8_t)(1 << (col % 8));
    }
}

static void expect_rows(struct check *c, const bitdrop_config *cfg,
                        const struct bitdrop_mask_rows *m)
{
    const struct bitdrop_stream stream =
        bitdrop_stream_make(cfg->seed, cfg->stream, cfg->rounds == 7 ? 7 : 10, cfg->p);
    const size_t bytes = m->rows * m->stride + 2 * MARGIN;
    struct bitdrop_mask_rows made = *m;

    if (bytes > MOST_BYTES)
        return;
    memset(got, 0x55, bytes);
    memset(wanted, 0x55, bytes);
    fill(cfg, m, wanted + MARGIN);
    made.stream = &stream;
    made.mask = got + MARGIN;
    kernel_mask_rows(&made);
    for (size_t i = 0; i < bytes; i++)
        if (got[i] != wanted[i]) {
            check_fail(c,
                       "%zu x %zu from %" PRIu64 ", pitch %" PRIu64 ", causal %d, seen %" PRId64
                       ", p %a, seed %" PRIu64 ", stream %" PRIu32
                       ", rounds %d: byte %zd of %zu a row is %02x, not %02x",
                       m->rows, m->cols, m->first, m->pitch, m->causal, m->seen, cfg->p, cfg->seed,
                       cfg->stream, cfg->rounds, (ptrdiff_t)i - MARGIN, m->stride, got[i],
                       wanted[i]);
            break;
        }
    c->cases++;
}

/* Rows of bits that need up to several tiles. */
static struct bitdrop_mask_rows random_rows(struct check *c, size_t sample)
{
    static const size_t most_rows[] = {3, 20, 70, 9}, most_cols[] = {3000, 300, 130, 300};
    static const uint64_t pitches[] = {512, 2048, 8192, UINT64_C(1) << 32, UINT64_C(1) << 36};
    const size_t kind = sample % 4;
    struct bitdrop_mask_rows m = {.rows = 1 + check_below(c, most_rows[kind]),
                                  .cols = 1 + check_below(c, most_cols[kind])};

    m.pitch = m.cols + check_below(c, check_below(c, 2) ? 9 : 400);
    if (check_below(c, 2))
        m.pitch = pitches[check_below(c, 5)];
    if (m.pitch < m.cols)
        m.pitch = m.cols;
    m.stride = (m.cols + 7) / 8 + check_below(c, 3);
    m.causal = check_below(c, 2);
    m.seen = (int64_t)check_below(c, m.cols + m.rows + 20) - (int64_t)m.rows;
    return m;
}

void CHECK_MASK_ROWS(struct check *c)
{
    /* Counter word 1 changes here: of late planes at 2^37, of early planes at 2^39. */
    static const uint64_t edges[] = {UINT64_C(1) << 37, UINT64_C(1) << 39};
    static const int64_t extremes[] = {INT64_MIN, -1, 0, INT64_MAX};

    for (size_t sample = 0; sample < 600 / c->thin; sample++) {
        struct bitdrop_mask_rows m = random_rows(c, sample);
        bitdrop_config cfg = check_random_config(c);

        m.first = cfg.offset >> 1;
        if (sample % 3 == 0) { /* an edge lies among the elements */
            const uint64_t back = check_below(c, 1 + m.rows) * m.pitch + check_below(c, m.cols);

            m.first = edges[check_below(c, 2)] - (back < edges[0] ? back : 0);
        }
        if (sample % 3 == 1)
            m.first = m.first / 128 * 128;
        if (sample % 50 == 0)
            m.seen = extremes[check_below(c, 4)];
        expect_rows(c, &cfg, &m);
    }
}

#include "template/target_end.h"
