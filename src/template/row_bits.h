/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keep bits for kernels of whole rows: bits_of_row() returns those of one part of a row, whether
 * they are made, given or equal. No strips wait while a tile is made.
 *
 * Include template/job.h first.
 */
#ifndef BITDROP_TEMPLATE_ROW_BITS_H
#define BITDROP_TEMPLATE_ROW_BITS_H

#ifndef BITDROP_TEMPLATE_JOB_H
#error "include template/job.h first"
#endif

enum { ROW_PART = 4096 /* elements of a part, at most */, ROW_PART_BYTES = ROW_PART / 8 };
_Static_assert(ROW_PART <= (int)TILE_ELEMENTS, "a part lies in two tiles at most");

struct row_bits {
    const struct bitdrop_job *job;
    struct tile tile;
    struct work no_work;                         /* no strips wait while a tile is made */
    _Alignas(64) uint8_t buffer[ROW_PART_BYTES]; /* for bits that must be shifted or joined */
    size_t equal_bytes; /* so many bytes of buffer have equal bits; 0: it has other bits */
    bool kept;          /* what equal bits are */
};

static void row_bits_init(struct row_bits *b, const struct bitdrop_job *job)
{
    b->job = job;
    tile_init(&b->tile);
    b->no_work.strips = b->no_work.left = 0;
    b->equal_bytes = 0;
    b->kept = false;
}

/* Bits of a row that is kept or dropped as a whole. */
static const uint8_t *equal_bits(struct row_bits *b, bool kept, size_t count)
{
    const size_t bytes = (count + 7) / 8;

    if (b->kept != kept || b->equal_bytes < bytes) {
        memset(b->buffer, kept ? 0xFF : 0, bytes);
        b->equal_bytes = bytes;
        b->kept = kept;
    }
    return b->buffer;
}

/* The decision of a group, for UNIT_ROW. Rows are kept if bits are neither made nor given. */
static bool row_is_kept(struct row_bits *b, size_t group)
{
    const struct bitdrop_job *job = b->job;
    const uint8_t *bits = job->keep;
    size_t i = job->keep_bit + group;

    if (job->stream != NULL) {
        const uint64_t e = job->offset + group;

        i = e % TILE_ELEMENTS;
        bits = tile_get(&b->tile, job->stream, e / TILE_ELEMENTS, i, i + 1, make_segments_alone,
                        &b->no_work);
    }
    return bits == NULL || (bits[i / 8] >> (i % 8) & 1);
}

/*
 * Returns the tile that holds `count` bits from absolute index e on. They lie in one tile. If rows
 * have bits of their own, those of the next rows in the tile are made too, because a segment that
 * is needed as a whole costs less.
 */
static const uint8_t *tile_of(struct row_bits *b, uint64_t e, size_t row, size_t col, size_t count)
{
    const struct bitdrop_job *job = b->job;
    const size_t first = e % TILE_ELEMENTS;
    size_t last = first + count;

    if (job->repeat == 1 && (b->tile.index != e / TILE_ELEMENTS || b->tile.end * 8 < last))
        last = first + batch_of(job, row, col, TILE_ELEMENTS - first).bits;
    return tile_get(&b->tile, job->stream, e / TILE_ELEMENTS, first, last, make_segments_alone,
                    &b->no_work);
}

/* Makes the bits of a part. Copies them if they do not begin at a byte, or lie in two tiles. */
static const uint8_t *made_bits(struct row_bits *b, size_t row, size_t group, size_t col,
                                size_t count)
{
    const struct bitdrop_job *job = b->job;
    const uint64_t e = job->offset + group * job->pitch + col;
    const size_t first = e % TILE_ELEMENTS, in_tile = smaller(count, TILE_ELEMENTS - first);
    const uint8_t *bits = tile_of(b, e, row, col, in_tile) + first / 8;

    if (in_tile < count || first % 8 != 0) {
        bits_append(b->buffer, 0, bits, first % 8, in_tile);
        if (in_tile < count)
            bits_append(b->buffer, in_tile,
                        tile_of(b, e + in_tile, row, col + in_tile, count - in_tile), 0,
                        count - in_tile);
        bits = b->buffer;
    }
    if (job->mask != NULL)
        bits_append(job->mask + group * job->mask_stride, col, bits, 0, count);
    return bits;
}

/*
 * Returns the bits of `count` elements of a row from col on, a multiple of 8. They begin at a byte.
 * Stores them in the mask if the job wants one. Calls come in ascending order of rows. In each row,
 * the first call begins at column 0. Each further call begins where the last one ended, or at
 * column 0 again.
 */
static const uint8_t *bits_of_row(struct row_bits *b, size_t row, size_t col, size_t count)
{
    const struct bitdrop_job *job = b->job;
    const size_t group = job->repeat == 1 ? row : (job->phase + row) / job->repeat;

    if (job->unit == UNIT_ROW || (job->stream == NULL && job->keep == NULL))
        return equal_bits(b, row_is_kept(b, group), count);
    if (job->stream == NULL)
        return job->keep + group * job->mask_stride + col / 8;
    return made_bits(b, row, group, col, count);
}

#endif
