/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gaussian noise (docs/stream.md, "Gaussian noise"), and the loops over a job that uses it. They
 * are like those of template/job.h, with numbers of noise instead of keep bits.
 *
 * Philox writes the random words of a chunk to a buffer in L1. Box and Muller's formula replaces
 * them by numbers, and a body applies these. The three are not interleaved, because a call of SLEEF
 * preserves no vector register.
 *
 * Include the vec.h of an ISA first.
 */
#ifndef BITDROP_TEMPLATE_NOISE_H
#define BITDROP_TEMPLATE_NOISE_H

#ifndef BITDROP_VEC_H
#error "include the vec.h of an ISA first"
#endif

#include "template/job.h"

enum {
    NOISE_QUARTER = 16,      /* elements of a group that use the same number of each block */
    NOISE_BLOCK_NUMBERS = 4, /* numbers of one block. Their elements lie a quarter apart */
    NOISE_GROUP = NOISE_BLOCK_NUMBERS * NOISE_QUARTER,
    NOISE_CHUNK = 1024 /* elements of a chunk, from a multiple of it on: 4 KiB */
};
_Static_assert(NOISE_QUARTER % (CHAINS * LANES) == 0 && NOISE_QUARTER % f32_LANES == 0,
               "a group is made of whole vectors");

/* A chunk: first its random words, then its numbers as f32. */
struct noise {
    _Alignas(64) uint32_t word[NOISE_CHUNK];
    uint64_t first; /* absolute index */
    size_t count;   /* whole groups; 0: nothing is made yet */
};

/* Where the elements of the numbers lie. Each group has about `bytes` bytes in x and in y. */
struct noise_target {
    const unsigned char *x, *y; /* NULL: not to be prefetched */
    size_t bytes;
};

/* Stores the random words of a group whose first block is b: word w of block b + i at 16 w + i. */
FORCE_INLINE void noise_words(const struct bitdrop_stream *s, const struct philox_plane *plane,
                              uint32_t b, uint32_t word[NOISE_GROUP])
{
    const struct philox_plane *planes[CHAINS];

    for (int c = 0; c < CHAINS; c++)
        planes[c] = plane;
    for (uint32_t i = 0; i < NOISE_QUARTER; i += CHAINS * LANES) {
        vec full[FULLS], at[CHAINS], random[CHAINS][4];

        for (uint32_t v = 0; v < FULLS; v++)
            full[v] = full_index(b + i + v * FULL_LANES);
        full_spread(full, at);
        late_random(s, 0, at, planes, random, no_hook, NULL);
        for (int w = 0; w < NOISE_BLOCK_NUMBERS; w++) {
            vec lanes[CHAINS];

            for (int c = 0; c < CHAINS; c++)
                lanes[c] = random[c][w];
            full_join(lanes, full);
            for (int v = 0; v < FULLS; v++)
                full_store(word + w * NOISE_QUARTER + i + v * FULL_LANES, full[v]);
        }
    }
}

/* Replaces two words of each block of a group by two quarters of its numbers. */
FORCE_INLINE void noise_pair(uint32_t word[2 * NOISE_QUARTER])
{
    const f32_vec scale = f32_set1(0x1p-31);

    for (int i = 0; i < NOISE_QUARTER; i += f32_LANES) {
        uint32_t *even = word + i, *odd = word + NOISE_QUARTER + i;
        const f32_vec u = f32_add(f32_mul(f32_from_int31(even), scale), f32_set1(0x1p-32));
        const f32_vec t = f32_mul(f32_from_int32(odd), scale);
        const f32_vec r = f32_sqrt(f32_mul(f32_set1(-2), f32_log(u)));
        const f32_sine_cosine angle = f32_sincospi(t);

        f32_store(even, f32_mul(r, angle.cosine));
        f32_store(odd, f32_mul(r, angle.sine));
    }
}

/*
 * Makes whole groups from that of index e on, up to the end of its chunk or the end of `count`
 * elements.
 */
NOINLINE void noise_make(struct noise *noise, const struct bitdrop_stream *s, uint64_t e,
                         size_t count, const struct noise_target *target)
{
    const size_t in_group = e % NOISE_GROUP;
    const size_t most = smaller(in_group + count, in_group + NOISE_CHUNK - e % NOISE_CHUNK);
    const uint64_t b = e / NOISE_GROUP * NOISE_QUARTER;
    const struct philox_plane plane = philox_plane(s, (uint32_t)(b >> 32), NOISE_COUNTER);

    noise->first = e - in_group;
    noise->count = (most + NOISE_GROUP - 1) / NOISE_GROUP * NOISE_GROUP;
    for (size_t i = 0; i < noise->count; i += NOISE_GROUP)
        noise_words(s, &plane, (uint32_t)b + (uint32_t)i / NOISE_BLOCK_NUMBERS, noise->word + i);
    for (size_t i = 0, at = 0; i < noise->count; i += NOISE_GROUP, at += target->bytes) {
        if (target->x != NULL)
            prefetch_lines((uintptr_t)target->x + at, target->bytes);
        if (target->y != NULL)
            prefetch_lines((uintptr_t)target->y + at, target->bytes);
        noise_pair(noise->word + i);
        noise_pair(noise->word + i + NOISE_GROUP / 2);
    }
}

/* Which numbers a job uses. */
struct noise_work {
    const struct bitdrop_job *job;
    struct noise noise;
    uint64_t last; /* absolute index of its last element, or group of rows */
};

/*
 * Returns the numbers from absolute index e on. If there are none yet, it makes up to `ahead`. The
 * caller sets *count to how many it wants. noise_get reduces it to how many there are.
 */
static const uint32_t *noise_get(struct noise_work *work, uint64_t e, size_t *count, uint64_t ahead,
                                 const struct noise_target *target)
{
    struct noise *noise = &work->noise;

    if (e - noise->first >= noise->count) /* also where e < first, because the difference wraps */
        noise_make(noise, work->job->stream, e, ahead < NOISE_CHUNK ? (size_t)ahead : NOISE_CHUNK,
                   target);

    const size_t at = (size_t)(e - noise->first);

    *count = smaller(*count, noise->count - at);
    return noise->word + at;
}

/*
 * Applies n numbers to the elements from (row, col) on. Number i is the f32 at noise + i * step. If
 * step is 0, noise points to WORD_ELEMENTS equal numbers.
 */
typedef void apply_noise(const struct bitdrop_job *job, size_t row, size_t col, size_t n,
                         const unsigned char *noise, size_t step);

static struct noise_target noise_target_of(const struct bitdrop_job *job, size_t row, size_t col)
{
    const unsigned char *x = operand_at(&job->in[0], row, col);
    const unsigned char *y = operand_at(&job->out, row, col);

    return (struct noise_target){job->prefetch.inputs ? x : NULL, job->prefetch.output ? y : NULL,
                                 NOISE_GROUP * job->size};
}

/* A number for each element. Rows of a group share numbers. Each chunk of a group is made once. */
static void noise_elements(struct noise_work *work, apply_noise *apply)
{
    const struct bitdrop_job *job = work->job;
    const bool follow = job->pitch - job->cols < NOISE_GROUP; /* rows nearly follow one another */

    for (struct group g = {0, 0, 0}; next_group(job, &g);) {
        uint64_t e = job->offset + g.index * job->pitch;
        const uint64_t last = follow ? work->last : e + (job->cols - 1);

        for (size_t col = 0, count; col < job->cols; col += count, e += count) {
            const struct noise_target target = noise_target_of(job, g.first, col);

            count = job->cols - col;
            const uint32_t *noise = noise_get(
                work, e, &count, last - e < NOISE_CHUNK ? last - e + 1 : NOISE_CHUNK, &target);

            for (size_t row = g.first; row < g.end; row++)
                apply(job, row, col, count, (const unsigned char *)noise, sizeof *noise);
        }
    }
}

/* A number for each group of rows. */
static void noise_rows(struct noise_work *work, apply_noise *apply)
{
    static const struct noise_target none;
    const struct bitdrop_job *job = work->job;
    uint32_t equal[WORD_ELEMENTS];

    for (struct group g = {0, 0, 0}; next_group(job, &g);) {
        const uint64_t e = job->offset + g.index;
        size_t count = 1;
        const uint32_t *noise =
            noise_get(work, e, &count,
                      work->last - e < NOISE_CHUNK ? work->last - e + 1 : NOISE_CHUNK, &none);

        for (int i = 0; i < WORD_ELEMENTS; i++)
            memcpy(&equal[i], noise, sizeof *noise);
        for (size_t row = g.first; row < g.end; row++)
            apply(job, row, 0, job->cols, (const unsigned char *)equal, 0);
    }
}

/* Applies a body of noise to a job. */
NOINLINE void run_noise(const struct bitdrop_job *job, apply_noise *apply)
{
    const uint64_t last_group = ((uint64_t)job->phase + (job->rows - 1)) / job->repeat;
    struct noise_work work;

    work.job = job;
    work.noise.first = 0;
    work.noise.count = 0;
    if (job->unit == UNIT_ROW) {
        work.last = job->offset + last_group;
        noise_rows(&work, apply);
    } else {
        work.last = job->offset + last_group * job->pitch + (job->cols - 1);
        noise_elements(&work, apply);
    }
    if (job->streaming)
        stream_fence();
}

#endif
