/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Masks without data: rows of keep bits (struct bitdrop_mask_rows). A tile here is a list of blocks
 * from any rows. They are made together, and then their bits are copied to the rows. So a narrow
 * row costs the blocks that it touches, and not a whole segment.
 *
 * A tile may end within a row. Then a multiple of CUT_COLUMNS of its columns is copied. The bits
 * that are left, less than a block, are carried: they are moved in front of the next tile.
 *
 * Include the vec.h of an ISA first.
 */
#ifndef BITDROP_TEMPLATE_MASK_ROWS_H
#define BITDROP_TEMPLATE_MASK_ROWS_H

#ifndef BITDROP_VEC_H
#error "include the vec.h of an ISA first"
#endif

#include "template/generators.h"

enum {
    LOW_BITS = 30,     /* of the number of a block. A tile has one set of higher bits */
    CUT_COLUMNS = 64,  /* less than a block */
    CARRY = CACHE_LINE /* bytes in front of a tile; the carried block is their end */
};
_Static_assert(TILE_BLOCKS % SEGMENT_BLOCKS == 0, "segments fill a tile");

struct rows_tile {
    struct blocks blocks; /* to be made */
    size_t count;
    uint32_t list[TILE_BLOCKS + FULL_LANES];
    size_t rows;                /* how many have blocks in this tile; 1 if all rows are joined */
    uint64_t base[TILE_BLOCKS]; /* of each row: the bit of index e is e - base, modulo 2^64 */
    _Alignas(CACHE_LINE) uint8_t bytes[CARRY + TILE_BYTES + BITS_COPY_MARGIN];
    struct work no_work; /* no strips wait while a tile is made */
};

/*
 * The next block to be listed, and how many are left in its row, or in all rows if they are joined.
 */
struct rows_next {
    size_t row;
    uint64_t first; /* index of its column 0 */
    uint64_t block, left;
};

/* The next element to be copied to its row. */
struct rows_cut {
    size_t row, col;
    uint64_t first;
};

/* Whether all rows together are successive blocks. */
static inline bool rows_are_joined(const struct bitdrop_mask_rows *m)
{
    return !m->causal && m->pitch - m->cols < BLOCK_ELEMENTS;
}

/* How many columns a row sees. Later rows see at least as many. */
static inline size_t seen_by_row(const struct bitdrop_mask_rows *m, size_t row)
{
    if (!m->causal || m->seen >= (int64_t)m->cols)
        return m->cols;
    const int64_t seen = m->seen + (int64_t)row;

    return seen <= 0 ? 0 : smaller((size_t)seen, m->cols);
}

/* Sets `next` to the blocks that hold n elements from index `first` on. */
static inline void next_blocks(struct rows_next *next, uint64_t first, uint64_t n)
{
    next->block = first / BLOCK_ELEMENTS;
    next->left = (first + n - 1) / BLOCK_ELEMENTS - next->block + 1;
}

/* Appends the next `count` blocks to the tile. */
FORCE_INLINE void rows_append(struct rows_tile *tile, bool joined, const struct rows_next *next,
                              size_t count)
{
    if (tile->count == 0)
        tile->blocks.first = next->block;
    tile->base[tile->rows++] = (next->block - tile->count) * BLOCK_ELEMENTS;
    for (size_t i = 0; !joined && i < count; i += FULL_LANES)
        full_store(tile->list + tile->count + i, full_index((uint32_t)(next->block + i)));
    tile->count += count;
}

/* Appends as many blocks of a row as fit into the tile. */
static void rows_list_part(struct rows_tile *tile, bool joined, struct rows_next *next)
{
    const uint64_t end = ((next->block >> LOW_BITS) + 1) << LOW_BITS;
    size_t count = TILE_BLOCKS - tile->count;

    if (tile->count > 0 && next->block >> LOW_BITS != tile->blocks.first >> LOW_BITS)
        count = 0;
    if (count > next->left)
        count = (size_t)next->left;
    if (count > end - next->block)
        count = (size_t)(end - next->block);
    if (count == 0)
        return;
    rows_append(tile, joined, next, count);
    next->block += count;
    next->left -= count;
}

/*
 * Lists the blocks of the next tile. It branches, because a branch is predicted. A minimum would
 * make each row wait for the one before.
 */
FORCE_INLINE void rows_list(const struct bitdrop_mask_rows *m, bool joined, struct rows_next *next,
                            struct rows_tile *tile)
{
    tile->count = tile->rows = 0;
    while (next->row < m->rows) {
        const uint64_t end = next->block + next->left - 1;

        if (next->left > TILE_BLOCKS - tile->count ||
            end >> LOW_BITS != (tile->count > 0 ? tile->blocks.first : next->block) >> LOW_BITS) {
            rows_list_part(tile, joined, next);
            break;
        }
        rows_append(tile, joined, next, (size_t)next->left);
        next->row = joined ? m->rows : next->row + 1;
        next->first += m->pitch;
        next_blocks(next, next->first, seen_by_row(m, next->row));
    }
    tile->blocks.list = tile->rows == 1 ? NULL : tile->list;
    /* Fills up the last segment with some block, because memory behind the list was not written. */
    for (size_t i = tile->count; !joined && i % SEGMENT_BLOCKS != 0; i++)
        tile->list[i] = 0;
}

static void rows_make(const struct bitdrop_stream *s, struct rows_tile *tile)
{
    uint8_t *const keep = tile->bytes + CARRY;
    const size_t rest = tile->count % SEGMENT_BLOCKS;
    const size_t in_segments = tile->count - rest + (rest > MOST_BLOCKS_ALONE ? SEGMENT_BLOCKS : 0);

    if (s->drop_all || s->planes == 0) {
        memset(keep, s->drop_all ? 0 : 0xFF, tile->count * BLOCK_BYTES);
        return;
    }
    if (in_segments > 0)
        make_segments_alone(s, &tile->blocks, in_segments * BLOCK_BYTES, keep, &tile->no_work);
    if (in_segments < tile->count) {
        const struct blocks alone = blocks_from(&tile->blocks, in_segments);

        make_blocks(s, &alone, rest, keep + in_segments * BLOCK_BYTES);
    }
}

/* Copies the bits of a tile to its rows. */
FORCE_INLINE void rows_cut(const struct bitdrop_mask_rows *m, bool joined, struct rows_cut *cut,
                           struct rows_tile *tile)
{
    const uint8_t *const bits = tile->bytes + CARRY - BLOCK_BYTES; /* from the carried block on */
    const size_t made = tile->count * BLOCK_ELEMENTS + BLOCK_ELEMENTS;

    for (size_t k = 0; cut->row < m->rows && k < tile->rows; k += !joined) {
        const uint64_t from = cut->first - tile->base[k] + BLOCK_ELEMENTS + cut->col;
        const size_t left = seen_by_row(m, cut->row) - cut->col;
        uint8_t *row = m->mask + cut->row * m->stride;

        if (from >= made)
            break;
        const size_t bit = (size_t)from;
        if (left > made - bit) {
            const size_t count = (made - bit) / CUT_COLUMNS * CUT_COLUMNS;

            bits_copy(row + cut->col / 8, bits, bit, count);
            cut->col += count;
            break;
        }
        bits_copy(row + cut->col / 8, bits, bit, left);
        if (m->causal) {
            const size_t end = (cut->col + left + 7) / 8;

            memset(row + end, 0, (m->cols + 7) / 8 - end);
        }
        cut->row++;
        cut->col = 0;
        cut->first += m->pitch;
    }
    memcpy(tile->bytes + CARRY - BLOCK_BYTES, bits + tile->count * BLOCK_BYTES, BLOCK_BYTES);
}

/* Makes the rows from `row` on. Each of them sees at least one column. */
FORCE_INLINE void make_mask_rows(const struct bitdrop_mask_rows *from, bool joined, size_t row)
{
    const struct bitdrop_mask_rows copy = *from, *const m = &copy; /* which no store can change */
    const uint64_t first = m->first + row * m->pitch;
    struct rows_next next = {.row = row, .first = first};
    struct rows_cut cut = {.row = row, .first = first};
    struct rows_tile tile;

    tile.no_work.strips = tile.no_work.left = 0;
    if (!joined) /* full_words loads all of it, and uses what is listed */
        memset(tile.list, 0, sizeof tile.list);
    next_blocks(&next, first,
                joined ? (m->rows - row - 1) * m->pitch + m->cols : seen_by_row(m, row));
    while (next.row < m->rows) {
        rows_list(m, joined, &next, &tile);
        rows_make(m->stream, &tile);
        rows_cut(m, joined, &cut, &tile);
    }
}

NOINLINE void kernel_mask_rows(const struct bitdrop_mask_rows *m)
{
    size_t row = 0;

    for (; row < m->rows && seen_by_row(m, row) == 0; row++)
        memset(m->mask + row * m->stride, 0, (m->cols + 7) / 8);
    if (row < m->rows)
        make_mask_rows(m, rows_are_joined(m), row);
}

/* The kernel of jobs that want a mask and have no data. */
static void kernel_mask(const struct bitdrop_job *job)
{
    size_t rows = job->rows;
    uint64_t first = job->offset;

    /* Wider loads, which compilers would make, would wait for the stores that made the job. */
    __asm__("" : "+r"(rows), "+r"(first));
    kernel_mask_rows(&(struct bitdrop_mask_rows){.stream = job->stream,
                                                 .rows = rows,
                                                 .first = first,
                                                 .cols = job->cols,
                                                 .pitch = job->pitch,
                                                 .mask = job->mask,
                                                 .stride = job->mask_stride});
}

#endif
