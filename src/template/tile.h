/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tiles: the keep bits of 8,192 successive elements, 1 KiB. tile_get() returns the tile of some
 * elements. It stores only the blocks that hold these elements, and none a second time while the
 * tile is the current one. It makes
 *
 *   - whole segments by one of the functions of generators.h, each a make_segments() with hooks of
 *     its own. They apply strips meanwhile
 *   - parts of a segment, before and after these, by make_part(), which applies nothing
 *
 * Include the vec.h of an ISA first.
 */
#ifndef BITDROP_TEMPLATE_TILE_H
#define BITDROP_TEMPLATE_TILE_H

#ifndef BITDROP_VEC_H
#error "include the vec.h of an ISA first"
#endif

#include "template/block.h"
#include "template/late.h"

/* Up to this many blocks, make_blocks is faster than a whole segment. 0 where LANES is 1. */
enum { MOST_BLOCKS_ALONE = SEGMENT_BLOCKS / 4 };

/* Two tiles: the current one, and the one before it, to which strips in work may still refer. */
struct tile {
    _Alignas(64) uint8_t keep[2][TILE_BYTES];
    unsigned current; /* index into keep */
    uint64_t index;   /* of the current tile: the index of its first element / TILE_ELEMENTS */
    size_t end;       /* of the current tile: no byte from here on is made */
};

/*
 * Makes bytes `from` to `to` - 1 of a tile whose first block is g. They lie in one segment, and
 * begin and end at blocks. Writes no other byte, because strips that wait in a struct work may
 * refer to earlier bytes.
 */
static void make_part(const struct bitdrop_stream *s, uint64_t g, size_t from, size_t to,
                      uint8_t *keep)
{
    const struct blocks blocks = {g + from / SEGMENT_BYTES * SEGMENT_BLOCKS, NULL};
    struct philox_plane plane[EARLY_PLANES];
    uint8_t k[SEGMENT_BYTES], o[SEGMENT_BYTES] = {0};

    if (MOST_BLOCKS_ALONE > 0 && to - from <= MOST_BLOCKS_ALONE * BLOCK_BYTES) {
        const struct blocks alone = {g + from / BLOCK_BYTES, NULL};

        make_blocks(s, &alone, (to - from) / BLOCK_BYTES, keep + from);
        return;
    }
    for (unsigned j = 0; j < EARLY_PLANES; j++)
        plane[j] = philox_plane(s, (uint32_t)(g >> 32), j);
    early_planes(s, plane, &blocks, 0, k, o, no_hook, no_hook, NULL);
    if (s->planes > EARLY_PLANES) {
        struct open_words list[2];

        late_planes(s, &blocks, k, list, open_words_gather(list, 0, 0, o), no_hook, no_hook, NULL);
    }
    memcpy(keep + from, k + from % SEGMENT_BYTES, to - from);
}

/*
 * How many strips wait in work: those of the piece, and about as many as the rest of the batch has.
 */
static inline size_t work_waiting(const struct work *work)
{
    return work->strips + work->left / WORD_ELEMENTS;
}

/* Applies waiting strips, by `step` or in another way, until at most `goal` are left. */
typedef void work_catch_up(struct work *work, work_hook *step, size_t goal);

/*
 * Makes the keep bits of `bytes` / BLOCK_BYTES blocks, a whole number of segments. Meanwhile the
 * hooks apply strips that wait in work. The segments share 7 in 8 of these strips equally, so that
 * memory is seldom idle. After a segment catch_up applies what the hooks left of its share. While
 * the late planes are made, the hooks apply some of the strips that still wait.
 */
FORCE_INLINE void make_segments(const struct bitdrop_stream *s, const struct blocks *blocks,
                                size_t bytes, uint8_t *keep, work_hook *step, work_hook *pause,
                                work_catch_up *catch_up, struct work *work)
{
    size_t goal = work_waiting(work);
    const size_t share = goal * 7 / 8 / (bytes / SEGMENT_BYTES);
    const unsigned planes = s->planes < EARLY_PLANES ? s->planes : EARLY_PLANES;
    struct philox_plane plane[EARLY_PLANES];
    _Alignas(64) uint8_t open[SEGMENT_BYTES] = {0}; /* gcc warns without an initialiser */
    struct open_words list[2];
    size_t found = 0;

    work->burst = share / planes + 1;
    for (unsigned j = 0; j < EARLY_PLANES; j++)
        plane[j] = philox_plane(s, (uint32_t)(blocks->first >> 32), j);
    for (size_t b = 0; b < bytes; b += SEGMENT_BYTES) {
        early_planes(s, plane, blocks, b / BLOCK_BYTES, keep + b, open, step, pause, work);
        if (s->planes > EARLY_PLANES)
            found = open_words_gather(list, found, (uint32_t)b / 4, open);
        goal -= share;
        catch_up(work, step, goal);
    }
    if (s->planes > EARLY_PLANES)
        late_planes(s, blocks, keep, list, found, step, pause, work);
}

/* make_segments with the hooks of one body and dtype, or with hooks that serve all. */
typedef void make_segments_function(const struct bitdrop_stream *s, const struct blocks *blocks,
                                    size_t bytes, uint8_t *keep, struct work *work);

/*
 * Returns the keep bits of tile `index`, and first makes those that are missing for its elements
 * `first` to `last` - 1. While a tile is current, calls come in ascending order of elements, or ask
 * again for elements that earlier calls asked for. So each block in front of tile->end that a call
 * needs is made.
 */
NOINLINE const uint8_t *tile_get(struct tile *tile, const struct bitdrop_stream *s, uint64_t index,
                                 size_t first, size_t last, make_segments_function *segments,
                                 struct work *work)
{
    const uint64_t g = index * (TILE_BYTES / BLOCK_BYTES);
    size_t begin = first / BLOCK_ELEMENTS * BLOCK_BYTES;
    const size_t end = (last + BLOCK_ELEMENTS - 1) / BLOCK_ELEMENTS * BLOCK_BYTES;
    uint8_t *keep;

    if (tile->index != index)
        tile->current ^= 1;
    else if (begin < tile->end)
        begin = tile->end;
    keep = tile->keep[tile->current];
    if (tile->index == index && end <= begin)
        return keep;
    tile->index = index;
    tile->end = end;
    if (s->drop_all || s->planes == 0) {
        memset(keep + begin, s->drop_all ? 0 : 0xFF, end - begin);
        return keep;
    }
    if (begin % SEGMENT_BYTES != 0) {
        const size_t segment_end = begin / SEGMENT_BYTES * SEGMENT_BYTES + SEGMENT_BYTES;
        const size_t to = end < segment_end ? end : segment_end;

        make_part(s, g, begin, to, keep);
        begin = to;
    }
    if (end - begin >= SEGMENT_BYTES) {
        const struct blocks blocks = {g + begin / BLOCK_BYTES, NULL};
        const size_t bytes = (end - begin) / SEGMENT_BYTES * SEGMENT_BYTES;

        segments(s, &blocks, bytes, keep + begin, work);
        begin += bytes;
    }
    if (begin < end)
        make_part(s, g, begin, end, keep);
    return keep;
}

static inline void tile_init(struct tile *tile)
{
    tile->current = 0;
    tile->index = 0;
    tile->end = 0; /* nothing is made yet */
}

#endif
