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

#define FORCE_INLINE static inline __attribute__((always_inline))

/* Elements (row, col) to (row, col + count - 1) and their keep bits, first to first + count - 1. */
struct piece {
    size_t row, col, count;
    const uint8_t *bits;
    size_t first;
};

typedef void piece_function(const struct bitdrop_job *job, const struct piece *piece);

struct tile {
    _Alignas(64) uint8_t keep[TILE_BYTES];
    _Alignas(64) uint8_t open[TILE_BYTES];
    uint64_t index;
    size_t end; /* of the bytes made */
};

/*
 * Makes the keep bits of elements first to last - 1 of tile index, unless they are there. Pieces
 * come in ascending order, so what lies before the last one's end is not asked for unless it was
 * made.
 */
static inline void tile_need(struct tile *tile, const struct bitdrop_stream *s, uint64_t index,
                             size_t first, size_t last)
{
    size_t begin = first / 8 / RUN_BYTES * RUN_BYTES;
    const size_t end = ((last + 7) / 8 + RUN_BYTES - 1) / RUN_BYTES * RUN_BYTES;

    if (tile->index == index) {
        if (end <= tile->end)
            return;
        if (begin < tile->end)
            begin = tile->end;
    }
    tile->index = index;
    tile->end = end;
    if (s->drop_all || s->planes == 0) {
        memset(tile->keep + begin, s->drop_all ? 0 : 0xFF, end - begin);
        return;
    }
    for (size_t b = begin; b < end; b += RUN_BYTES)
        early_planes(s, index * (TILE_BYTES / BLOCK_BYTES) + b / BLOCK_BYTES, tile->keep + b,
                     tile->open + b);
    if (s->planes > EARLY_PLANES)
        late_planes(s, index * TILE_WORDS + begin / 4, (end - begin) / 4, tile->keep + begin,
                    tile->open + begin);
}

/* For each piece of a job whose mask is to be generated. */
FORCE_INLINE void for_generated_pieces(const struct bitdrop_job *job, piece_function *handle)
{
    struct tile tile;

    tile.index = UINT64_MAX; /* there are only 2^50 */
    tile.end = 0;
    for (size_t row = 0; row < job->rows; row++) {
        uint64_t e = job->offset + row * job->pitch;

        for (size_t col = 0; col < job->cols;) {
            const size_t first = e % TILE_ELEMENTS;
            const size_t left = job->cols - col;
            const size_t room = TILE_ELEMENTS - first;
            const size_t count = left < room ? left : room;

            tile_need(&tile, &job->stream, e / TILE_ELEMENTS, first, first + count);
            handle(job, &(struct piece){row, col, count, tile.keep, first});
            col += count;
            e += count;
        }
    }
}

/* For each row of a job whose mask is given, or that has none. */
FORCE_INLINE void for_rows(const struct bitdrop_job *job, piece_function *handle)
{
    for (size_t row = 0; row < job->rows; row++) {
        const uint8_t *bits = job->keep == NULL ? NULL : job->keep + row * job->mask_stride;

        handle(job, &(struct piece){row, 0, job->cols, bits, 0});
    }
}

FORCE_INLINE void store_mask(const struct bitdrop_job *job, const struct piece *piece)
{
    bits_append(job->mask + piece->row * job->mask_stride, piece->col, piece->bits, piece->first,
                piece->count);
}

static void kernel_mask(const struct bitdrop_job *job) { for_generated_pieces(job, store_mask); }

#endif
