/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generators that operations.h names: make_segments() of tile.h, each with other hooks. The
 * hooks apply strips while bits are made.
 *
 * Include the vec.h of an ISA first.
 */
#ifndef BITDROP_TEMPLATE_GENERATORS_H
#define BITDROP_TEMPLATE_GENERATORS_H

#ifndef BITDROP_VEC_H
#error "include the vec.h of an ISA first"
#endif

#include "template/pieces.h"
#include "template/tile.h"

/* SHARED, one function for all bodies: applies work->burst strips in each pause. */

FORCE_INLINE void apply_burst(struct work *work)
{
    if ((work->strips | work->left) != 0)
        apply_waiting(work, work->burst);
}

FORCE_INLINE void catch_up_shared(struct work *work, work_hook *step, size_t goal)
{
    (void)step;
    if (work_waiting(work) > goal)
        apply_waiting(work, work_waiting(work) - goal);
}

NOINLINE void make_segments_shared(const struct bitdrop_stream *s, const struct blocks *blocks,
                                   size_t bytes, uint8_t *keep, struct work *work)
{
    const struct blocks successive = {blocks->first, NULL};

    make_segments(s, &successive, bytes, keep, no_hook, apply_burst, catch_up_shared, work);
}

/* For masks alone and whole rows: no strips wait, so there is nothing to apply. */

FORCE_INLINE void catch_up_none(struct work *work, work_hook *step, size_t goal)
{
    (void)work;
    (void)step;
    (void)goal;
}

NOINLINE void make_segments_alone(const struct bitdrop_stream *s, const struct blocks *blocks,
                                  size_t bytes, uint8_t *keep, struct work *work)
{
    make_segments(s, blocks, bytes, keep, no_hook, no_hook, catch_up_none, work);
}

/*
 * INTERLEAVED, one function for each body and dtype: applies a strip after each step of Philox, if
 * the current piece has one left. Only catch_up begins the next piece of the batch.
 */

FORCE_INLINE void catch_up_interleaved(struct work *local, work_hook *step, size_t goal)
{
    while (work_waiting(local) > goal) {
        if (local->strips == 0) {
            work_return(local->original, local);
            piece_next(local->original);
            work_copy(local, local->original);
        }
        const size_t stop = local->strips - smaller(local->strips, work_waiting(local) - goal);
        while (local->strips > stop)
            step(local);
    }
}

FORCE_INLINE void make_segments_interleaved(const struct bitdrop_stream *s,
                                            const struct blocks *blocks, size_t bytes,
                                            uint8_t *keep, work_hook *step, struct work *work)
{
    const struct blocks successive = {blocks->first, NULL};
    struct work local;

    work_copy(&local, work);
    local.original = work;
    make_segments(s, &successive, bytes, keep, step, no_hook, catch_up_interleaved, &local);
    work_return(work, &local);
}

#endif
