/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keep bits of one part of a row after the other, wherever they come from: for kernels of whole
 * rows, which apply them while no tile is made.
 *
 * The includer has included template/job.h.
 */
#ifndef BITDROP_TEMPLATE_ROW_BITS_H
#define BITDROP_TEMPLATE_ROW_BITS_H

enum { ROW_PART = 4096 /* elements that a part has at most */, ROW_PART_BYTES = ROW_PART / 8 };
_Static_assert(ROW_PART <= (int)TILE_ELEMENTS, "a part lies in two tiles at most");

struct row_bits {
    const struct bitdrop_job *job;
    struct tile tile;
    struct work nothing;                         /* what waits while a tile is made */
    _Alignas(64) uint8_t buffer[ROW_PART_BYTES]; /* of bits that do not lie elsewhere as wanted */
    size_t constant; /* bytes of buffer, all of them what `kept` says; 0: it has other bits */
    bool kept;
};

static void row_bits_init(struct row_bits *b, const struct bitdrop_job *job)
{
    b->job = job;
    tile_init(&b->tile);
    b->nothing.strips = b->nothing.left = 0;
    b->constant = 0;
    b->kept = false;
}

/* Bits of a row that is all kept or all dropped. */
static const uint8_t *constant_bits(struct row_bits *b, bool kept, size_t count)
{
    const size_t bytes = (count + 7) / 8;

    if (b->kept != kept || b->constant < bytes) {
        memset(b->buffer, kept ? 0xFF : 0, bytes);
        b->constant = bytes;
        b->kept = kept;
    }
    return b->buffer;
}

/* One decision for the rows of a group. */
static bool row_is_kept(struct row_bits *b, size_t group)
{
    const struct bitdrop_job *job = b->job;
    const uint8_t *bits = job->keep;
    size_t i = job->keep_bit + group;

    if (job->stream != NULL) {
        const uint64_t e = job->offset + group;

        i = e % TILE_ELEMENTS;
        bits = tile_get(&b->tile, job->stream, e / TILE_ELEMENTS, i, i + 1, make_segments_alone,
                        &b->nothing);
    }
    return bits == NULL || (bits[i / 8] >> (i % 8) & 1);
}

/*
 * The tile of index e with `count` bits from there on; they are in one. If they are the only ones
 * of their row, those that follow in the tile are made too, because a segment of many costs less.
 */
static const uint8_t *tile_of(struct row_bits *b, uint64_t e, size_t row, size_t col, size_t count)
{
    const struct bitdrop_job *job = b->job;
    const size_t first = e % TILE_ELEMENTS;
    size_t last = first + count;

    if (job->repeat == 1 && (b->tile.index != e / TILE_ELEMENTS || b->tile.end * 8 < last))
        last = first + batch_of(job, row, col, TILE_ELEMENTS - first).bits;
    return tile_get(&b->tile, job->stream, e / TILE_ELEMENTS, first, last, make_segments_alone,
                    &b->nothing);
}

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
 * Bits of `count` elements of a row from col on, a multiple of 8, at a byte; stores them if the job
 * wants that. Rows come in ascending order. Of one row, the first call begins at column 0 and each
 * other where the last one ended, or again at column 0.
 */
static const uint8_t *bits_of_row(struct row_bits *b, size_t row, size_t col, size_t count)
{
    const struct bitdrop_job *job = b->job;
    const size_t group = job->repeat == 1 ? row : (job->phase + row) / job->repeat;

    if (job->unit == UNIT_ROW || (job->stream == NULL && job->keep == NULL))
        return constant_bits(b, row_is_kept(b, group), count);
    if (job->stream == NULL)
        return job->keep + group * job->mask_stride + col / 8;
    return made_bits(b, row, group, col, count);
}

#endif
