/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DropBlock (Ghiasi, Lin, Le, NeurIPS 2018): a mask that drops squares. The upper left corner of
 * each square is a random element, its seed.
 */
#include "exact.h"

#include <string.h>

#include "arguments.h"
#include "dispatch.h"
#include "parallel.h"
#include "span.h"

enum { CHUNK = 4096 }; /* elements whose bits are made at a time, to find seeds */

struct dropblock {
    bitdrop_config cfg; /* p is gamma */
    size_t height, width, block;
    uint8_t *mask;
};

/* Ghiasi et al., equation 1, for cfg.p = 1 - keep_prob. */
static double gamma_of(double p, double height, double width, double block)
{
    double gamma;

    if (p == 0 || p == 1)
        return p;
    gamma = p * (height * width) / (block * block) / ((height - block + 1) * (width - block + 1));
    return gamma < 1 ? gamma : 1;
}

static void clear_bits(uint8_t *row, size_t begin, size_t end)
{
    const uint8_t head = (uint8_t)(0xFF << (begin % 8)), tail = (uint8_t) ~(0xFF << (end % 8));

    if (begin / 8 == end / 8) {
        row[begin / 8] &= (uint8_t) ~(head & tail);
        return;
    }
    row[begin / 8] &= (uint8_t)~head;
    memset(row + begin / 8 + 1, 0, end / 8 - begin / 8 - 1);
    if (tail != 0)
        row[end / 8] &= (uint8_t)~tail;
}

static void set_bits(uint8_t *row, size_t n)
{
    memset(row, 0xFF, n / 8);
    if (n % 8 != 0)
        row[n / 8] = (uint8_t)((1 << (n % 8)) - 1);
}

/* Drops columns begin to end - 1 of `row`, and of the rows below it that its squares reach. */
static void drop(const struct dropblock *d, uint8_t *row, size_t begin, size_t end)
{
    const size_t row_bytes = bytes_of_bits(d->width);

    for (size_t i = 0; i < d->block; i++)
        clear_bits(row + i * row_bytes, begin, end);
}

/* Squares that touch, with their seeds in one row. Together they drop columns begin to end - 1. */
struct squares {
    uint8_t *row; /* NULL: no squares */
    size_t begin, end;
};

static void add_square(const struct dropblock *d, struct squares *s, uint8_t *row, size_t col)
{
    if (row != s->row || col > s->end) {
        if (s->row != NULL)
            drop(d, s->row, s->begin, s->end);
        s->row = row;
        s->begin = col;
    }
    s->end = col + d->block;
}

/* Drops the squares of a plane. Its rows are successive in the stream, so a chunk may have many. */
static bitdrop_status drop_plane(const struct dropblock *d, size_t plane)
{
    const size_t row_bytes = bytes_of_bits(d->width);
    const size_t seeds = (d->height - d->block + 1) * d->width;
    uint8_t *mask = d->mask + plane * d->height * row_bytes, kept[CHUNK / 8];
    struct squares squares = {.row = NULL};
    bitdrop_config cfg = d->cfg;

    for (size_t i = 0; i < d->height; i++)
        set_bits(mask + i * row_bytes, d->width);
    cfg.offset += (uint64_t)plane * d->height * d->width;
    for (size_t first = 0; first < seeds; first += CHUNK, cfg.offset += CHUNK) {
        const size_t n = smaller(seeds - first, CHUNK);
        const bitdrop_status status = bitdrop_mask(&cfg, n, kept);

        if (status != BITDROP_OK)
            return status;
        for (size_t i = 0; i < n; i++) {
            const size_t col = (first + i) % d->width;

            if (kept[i / 8] == 0xFF) /* the usual case, because seeds are few */
                i |= 7;
            else if (!(kept[i / 8] >> (i % 8) & 1) && col + d->block <= d->width)
                add_square(d, &squares, mask + (first + i) / d->width * row_bytes, col);
        }
    }
    if (squares.row != NULL)
        drop(d, squares.row, squares.begin, squares.end);
    return BITDROP_OK;
}

/* Task i has planes i, i + count, i + 2 count and so on. No two planes share a byte of the mask. */
struct tasks {
    const struct dropblock *d;
    size_t planes, count; /* count: of tasks */
};

static void drop_planes(void *argument, size_t index)
{
    const struct tasks *t = argument;

    for (size_t plane = index; plane < t->planes; plane += t->count)
        if (drop_plane(t->d, plane) != BITDROP_OK)
            return; /* not possible: what it depends on has been checked */
}

static bitdrop_status check_sizes(const bitdrop_config *cfg, size_t planes, size_t height,
                                  size_t width, size_t block, const uint8_t *mask,
                                  const size_t *kept)
{
    struct span bits, number;
    size_t rows, elements;

    if (block == 0 || block > height || block > width)
        return BITDROP_ERR_RANGE;
    if (planes == 0)
        return BITDROP_OK;
    if (__builtin_mul_overflow(planes, height, &rows) ||
        __builtin_mul_overflow(rows, width, &elements) || elements - 1 > UINT64_MAX - cfg->offset ||
        !span_make(&bits, mask, rows, bytes_of_bits(width), bytes_of_bits(width), 1))
        return BITDROP_ERR_RANGE;
    span_make(&number, kept, 1, 1, 0, sizeof *kept);
    return kept != NULL && spans_overlap(&bits, &number) ? BITDROP_ERR_OVERLAP : BITDROP_OK;
}

static size_t count_rows(const struct dropblock *d, size_t rows)
{
    const size_t row_bytes = bytes_of_bits(d->width);
    size_t ones = 0;

    for (size_t i = 0; i < rows; i++) {
        size_t row_ones = 0;

        if (bitdrop_mask_count(d->width, d->mask + i * row_bytes, &row_ones) == BITDROP_OK)
            ones += row_ones;
    }
    return ones;
}

bitdrop_status bitdrop_mask_dropblock(const bitdrop_config *cfg, size_t planes, size_t height,
                                      size_t width, size_t block, uint8_t *mask, size_t *kept)
{
    const bool empty = planes == 0 || height == 0 || width == 0;
    bitdrop_status status;

    if (cfg == NULL || (!empty && mask == NULL))
        return BITDROP_ERR_NULL;
    status = check_config(cfg);
    if (status != BITDROP_OK)
        return status;
    if (bitdrop_kernels_for(cfg->isa, height, width) == NULL)
        return BITDROP_ERR_ISA;
    status = check_sizes(cfg, planes, height, width, block, mask, kept);
    if (status != BITDROP_OK)
        return status;

    struct dropblock d = {*cfg, height, width, block, mask};
    struct tasks tasks = {&d, planes, 1};
    d.cfg.p = gamma_of(cfg->p, (double)height, (double)width, (double)block);
    d.cfg.parallel = NULL;
    if (cfg->parallel != NULL)
        tasks.count = smaller(smaller(cfg->parallel->tasks, planes),
                              planes * height * width / BITDROP_TASK_ELEMENTS);
    if (tasks.count > 1)
        cfg->parallel->run(cfg->parallel->context, tasks.count, drop_planes, &tasks);
    else if (planes > 0)
        drop_planes(&(struct tasks){&d, planes, 1}, 0);
    if (kept != NULL && planes > 0)
        *kept = count_rows(&d, planes * height);
    return BITDROP_OK;
}
