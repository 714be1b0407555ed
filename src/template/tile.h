/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops over a job. A job is cut into pieces, runs of elements of one row that lie in one tile,
 * and each is handed on with its keep bits. Tiles are made here, once each while rows share them,
 * and only the runs of blocks that the pieces need.
 *
 * What a piece is handed to is an inline function, and the loops are forced inline, so that each
 * kernel has its own copy.
 */
#ifndef BITDROP_TEMPLATE_TILE_H
#define BITDROP_TEMPLATE_TILE_H

#include "kernels.h"
#include "template/block.h"
#include "template/late.h"

/* Elements (row, col) to (row, col + count - 1) and their keep bits, first to first + count - 1. */
struct piece {
    size_t row, col, count;
    const uint8_t *bits;
    size_t first;
};

typedef void piece_function(const struct piece *piece, struct work *work);

/* Blocks that are made sooner one by one than as a run. None where there is but one lane. */
enum { FEW_BLOCKS = RUN_BLOCKS / 4 };

/* The tile that is being made, and the one before, whose bits may still be waiting in work. */
struct tile {
    _Alignas(64) uint8_t keep[2][TILE_BYTES];
    unsigned side; /* of keep */
    uint64_t index;
    size_t end; /* of the bytes made */
};

/*
 * Makes the bytes from `from` to `to` - 1 of a tile, which are a part of one run. Nothing else is
 * written, for work may wait for what was made before.
 */
static void make_part(const struct bitdrop_stream *s, uint64_t g, size_t from, size_t to,
                      uint8_t *keep)
{
    const uint64_t first = g + from / RUN_BYTES * RUN_BLOCKS;
    struct philox_plane plane[EARLY_PLANES];
    uint8_t k[RUN_BYTES], o[RUN_BYTES + OPEN_WORDS_SLACK * 4] = {0};

    if (FEW_BLOCKS > 0 && to - from <= FEW_BLOCKS * BLOCK_BYTES) {
        for (size_t b = from; b < to; b += BLOCK_BYTES)
            make_block(s, g + b / BLOCK_BYTES, keep + b);
        return;
    }
    for (unsigned j = 0; j < EARLY_PLANES; j++)
        plane[j] = philox_plane(s, (uint32_t)(g >> 32), j);
    early_planes(s, plane, first, k, o, no_step, NULL);
    if (s->planes > EARLY_PLANES)
        late_planes(s, first * BLOCK_WORDS, RUN_BLOCKS * BLOCK_WORDS, EARLY_PLANES, k, o, no_step,
                    NULL);
    memcpy(keep + from, k + from % RUN_BYTES, to - from);
}

/*
 * Makes the bytes from begin to end - 1, which are whole runs. The strips that wait are spread over
 * them, so that memory is never idle for long; with a step after each round, as in AVX-512, 1 in 8
 * is left for the late planes.
 */
FORCE_INLINE void make_runs(const struct bitdrop_stream *s, uint64_t g, size_t begin, size_t end,
                            uint8_t *keep, work_step *step, struct work *work)
{
    const size_t share = work->strips * 7 / 8 / ((end - begin) / RUN_BYTES);
    size_t goal = work->strips;
    struct philox_plane plane[EARLY_PLANES];
    _Alignas(64) uint8_t open[TILE_BYTES + OPEN_WORDS_SLACK * 4];

    for (unsigned j = 0; j < EARLY_PLANES; j++)
        plane[j] = philox_plane(s, (uint32_t)(g >> 32), j);
    for (size_t b = begin; b < end; b += RUN_BYTES) {
        early_planes(s, plane, g + b / BLOCK_BYTES, keep + b, open + b, step, work);
        for (goal -= share; work->strips > goal;)
            step(work);
    }
    if (s->planes > EARLY_PLANES) {
        memset(open + end, 0, OPEN_WORDS_SLACK * 4);
        late_planes(s, g * BLOCK_WORDS + begin / 4, (end - begin) / 4, EARLY_PLANES, keep + begin,
                    open + begin, step, work);
    }
}

/*
 * Makes the keep bits of elements first to last - 1 of tile index, unless they are there, and
 * returns the tile's. Pieces come in ascending order, so what lies before the last one's end is not
 * asked for unless it was made.
 */
FORCE_INLINE const uint8_t *tile_need(struct tile *tile, const struct bitdrop_stream *s,
                                      uint64_t index, size_t first, size_t last, work_step *step,
                                      struct work *work)
{
    const uint64_t g = index * (TILE_BYTES / BLOCK_BYTES);
    size_t begin = first / BLOCK_ELEMENTS * BLOCK_BYTES;
    const size_t end = (last + BLOCK_ELEMENTS - 1) / BLOCK_ELEMENTS * BLOCK_BYTES;
    uint8_t *keep;

    if (tile->index != index)
        tile->side ^= 1;
    else if (begin < tile->end)
        begin = tile->end;
    keep = tile->keep[tile->side];
    if (tile->index == index && end <= begin)
        return keep;
    tile->index = index;
    tile->end = end;
    if (s->drop_all || s->planes == 0) {
        memset(keep + begin, s->drop_all ? 0 : 0xFF, end - begin);
        return keep;
    }
    if (begin % RUN_BYTES != 0) {
        const size_t run_end = begin / RUN_BYTES * RUN_BYTES + RUN_BYTES;
        const size_t to = end < run_end ? end : run_end;

        make_part(s, g, begin, to, keep);
        begin = to;
    }
    if (end - begin >= RUN_BYTES) {
        make_runs(s, g, begin, end / RUN_BYTES * RUN_BYTES, keep, step, work);
        begin = end / RUN_BYTES * RUN_BYTES;
    }
    if (begin < end)
        make_part(s, g, begin, end, keep);
    return keep;
}

/* For each piece of a job whose mask is to be generated. The last ones are still in the tile. */
FORCE_INLINE void for_generated_pieces(struct tile *tile, piece_function *handle, work_step *step,
                                       struct work *work)
{
    const struct bitdrop_job *job = work->job;

    tile->side = 0;
    tile->index = UINT64_MAX; /* there are only 2^51 */
    tile->end = 0;
    for (size_t row = 0; row < job->rows; row++) {
        uint64_t e = job->offset + row * job->pitch;

        for (size_t col = 0; col < job->cols;) {
            const size_t first = e % TILE_ELEMENTS;
            const size_t left = job->cols - col;
            const size_t room = TILE_ELEMENTS - first;
            const size_t count = left < room ? left : room;
            const uint8_t *keep =
                tile_need(tile, job->stream, e / TILE_ELEMENTS, first, first + count, step, work);

            const struct piece piece = {row, col, count, keep, first};

            if (job->mask != NULL)
                bits_append(job->mask + row * job->mask_stride, col, keep, first, count);
            handle(&piece, work);
            col += count;
            e += count;
        }
    }
}

/* For each piece of a job whose mask is given, or that has none. */
FORCE_INLINE void for_given_pieces(piece_function *handle, struct work *work)
{
    const struct bitdrop_job *job = work->job;

    for (size_t row = 0; row < job->rows; row++) {
        const uint8_t *bits = job->keep == NULL ? NULL : job->keep + row * job->mask_stride;

        for (size_t col = 0; col < job->cols; col += TILE_ELEMENTS) {
            const size_t left = job->cols - col;
            const size_t count = left < TILE_ELEMENTS ? left : TILE_ELEMENTS;

            handle(&(struct piece){row, col, count, bits, col}, work);
        }
    }
}

#endif
