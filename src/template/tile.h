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
#include "template/late.h"

/* Elements (row, col) to (row, col + count - 1) and their keep bits, first to first + count - 1. */
struct piece {
    size_t row, col, count;
    const uint8_t *bits;
    size_t first;
};

typedef void piece_function(const struct piece *piece, struct work *work);

/* The tile that is being made, and the one before, whose bits may still be waiting in work. */
struct tile {
    _Alignas(64) uint8_t keep[2][TILE_BYTES];
    _Alignas(64) uint8_t open[TILE_BYTES];
    unsigned side; /* of keep */
    uint64_t index;
    size_t end; /* of the bytes made */
};

/*
 * Makes the keep bits of elements first to last - 1 of tile index, unless they are there, and
 * returns the tile's. Pieces come in ascending order, so what lies before the last one's end is not
 * asked for unless it was made.
 */
FORCE_INLINE const uint8_t *tile_need(struct tile *tile, const struct bitdrop_stream *s,
                                      uint64_t index, size_t first, size_t last, work_step *step,
                                      struct work *work)
{
    struct philox_plane plane[EARLY_PLANES];
    uint8_t *keep;
    size_t begin = first / 8 / RUN_BYTES * RUN_BYTES;
    const size_t end = ((last + 7) / 8 + RUN_BYTES - 1) / RUN_BYTES * RUN_BYTES;

    if (tile->index == index) {
        if (begin < tile->end)
            begin = tile->end;
        if (end <= begin)
            return tile->keep[tile->side];
    } else {
        tile->side ^= 1;
    }
    keep = tile->keep[tile->side];
    tile->index = index;
    tile->end = end;
    if (s->drop_all || s->planes == 0) {
        memset(keep + begin, s->drop_all ? 0 : 0xFF, end - begin);
        return keep;
    }
    for (unsigned j = 0; j < EARLY_PLANES; j++)
        plane[j] = philox_plane(s, (uint32_t)(index * (TILE_BYTES / BLOCK_BYTES) >> 32), j);
    for (size_t b = begin; b < end; b += RUN_BYTES)
        early_planes(s, plane, index * (TILE_BYTES / BLOCK_BYTES) + b / BLOCK_BYTES, keep + b,
                     tile->open + b, step, work);
    if (s->planes > EARLY_PLANES)
        late_planes(s, index * TILE_WORDS + begin / 4, (end - begin) / 4, keep + begin,
                    tile->open + begin);
    return keep;
}

/* For each piece of a job whose mask is to be generated. */
FORCE_INLINE void for_generated_pieces(piece_function *handle, work_step *step, struct work *work)
{
    const struct bitdrop_job *job = work->job;
    struct tile tile;

    tile.side = 0;
    tile.index = UINT64_MAX; /* there are only 2^50 */
    tile.end = 0;
    for (size_t row = 0; row < job->rows; row++) {
        uint64_t e = job->offset + row * job->pitch;

        for (size_t col = 0; col < job->cols;) {
            const size_t first = e % TILE_ELEMENTS;
            const size_t left = job->cols - col;
            const size_t room = TILE_ELEMENTS - first;
            const size_t count = left < room ? left : room;
            const uint8_t *keep =
                tile_need(&tile, &job->stream, e / TILE_ELEMENTS, first, first + count, step, work);

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

FORCE_INLINE void no_more(const struct piece *piece, struct work *work)
{
    (void)piece;
    (void)work;
}

static void kernel_mask(const struct bitdrop_job *job)
{
    for_generated_pieces(no_more, no_step, &(struct work){.job = job});
}

#endif
