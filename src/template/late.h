/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The late planes (docs/stream.md). After the 8 early planes 1 element in 256 is still open, so 1
 * in 8 words of 32 elements has an open element. These words of a tile are gathered in a list
 * (open_words.h). Then
 *
 *   late_first   compares the next 4 planes of LATE_WORDS words at once: one Philox block per word
 *   late_next    compares the planes after them, 4 in each chain, for words that are still open
 *
 * late_rest repeats late_next until no word is open or the threshold has no more planes. The
 * multiplier limits the speed, then mispredicted branches. So vectors are kept full, and few
 * branches depend on random bits. About 2 words of a tile are left to late_next.
 *
 * A late Philox block holds 4 planes of one word. Its counter word 0 is the number of this word:
 * the absolute index of its first element / 32, modulo 2^32.
 *
 * Include the vec.h of an ISA first. It defines, beyond what open_words.h needs, vec_add, vec_load,
 * vec_store, full_load, full_store, full_words, full_spread and full_join. A full vector has no
 * room for dirt (docs/design.md, "The vocabulary"). late_first compares full vectors. Philox runs
 * on a vec of each chain.
 */
#ifndef BITDROP_TEMPLATE_LATE_H
#define BITDROP_TEMPLATE_LATE_H

#ifndef BITDROP_VEC_H
#error "include the vec.h of an ISA first"
#endif

#include "template/open_words.h"

enum {
    COUNTER_PLANES = 4,                   /* planes that one Philox block holds */
    NEXT_PLANES = CHAINS * COUNTER_PLANES /* compared at once by late_next */
};

/* The counters of LATE_WORDS entries of a list: counter word 0 of entry i is first + at[i]. */
struct late_counters {
    const uint32_t *at;
    uint32_t first;
};

/* Returns the counters of the LATE_WORDS entries from *at on. They may lie in `buffer`. */
FORCE_INLINE struct late_counters late_counters(const struct blocks *b, const uint32_t *at,
                                                uint32_t buffer[LATE_WORDS])
{
    if (b->list == NULL)
        return (struct late_counters){at, (uint32_t)b->first * BLOCK_WORDS};
    for (int v = 0; v < FULLS; v++)
        full_store(buffer + v * FULL_LANES, full_words(b->list, full_load(at + v * FULL_LANES)));
    return (struct late_counters){buffer, 0};
}

/* Counter word 1, which is the same for all words of *b. */
static inline uint32_t late_counter1(const struct blocks *b)
{
    return (uint32_t)(b->first * BLOCK_WORDS >> 32);
}

/*
 * Makes a Philox block in each lane of each chain, and stores it in random[chain]. Counter word 0
 * is first + at[chain], words 1 and 2 are those of plane[chain], and word 3 is the stream. Calls
 * step as philox_before_last does, and again before the last round.
 */
FORCE_INLINE void late_random(const struct bitdrop_stream *s, uint32_t first, const vec at[CHAINS],
                              const struct philox_plane *const plane[CHAINS], vec random[CHAINS][4],
                              work_hook *step, struct work *work)
{
    struct philox_lanes lanes[CHAINS];

    for (int c = 0; c < CHAINS; c++)
        lanes[c] = philox_lanes(s, vec_add(at[c], vec_set1(first)));
    philox_before_last(s, &s->rounds, lanes, plane, random, step, work);
    step(work);
    for (int c = 0; c < CHAINS; c++)
        philox_round(s->key[s->rounds - 1], random[c]);
}

/* Word at[i] of keep |= more[i]. */
FORCE_INLINE void late_keep(uint8_t *keep, const uint32_t *at, const uint32_t *more, int count)
{
    __asm__("" : "+r"(more)); /* else compilers extract the words from vectors, which is slower */
    for (int i = 0; i < count; i++)
        or_le32(keep + 4 * (size_t)at[i], more[i]);
}

/*
 * Compares the first COUNTER_PLANES late planes of entries i to i + LATE_WORDS - 1 of the list.
 * Sets in `keep` the bits of kept elements. Appends the words that stay open to `rest`, which has
 * `left` entries, and returns how many it has then.
 */
FORCE_INLINE size_t late_first(const struct bitdrop_stream *s, const struct philox_plane *plane,
                               const struct blocks *blocks, uint8_t *keep,
                               const struct open_words *list, size_t i, struct open_words *rest,
                               size_t left, work_hook *step, struct work *work)
{
    const bool last = s->planes <= EARLY_PLANES + COUNTER_PLANES;
    const struct philox_plane *planes[CHAINS];
    uint32_t more[LATE_WORDS], buffer[LATE_WORDS];
    const struct late_counters counters = late_counters(blocks, list->at + i, buffer);
    vec random[CHAINS][4], at[CHAINS], full_at[FULLS], k[FULLS], o[FULLS];

    for (int v = 0; v < FULLS; v++) {
        full_at[v] = full_load(counters.at + v * FULL_LANES);
        o[v] = full_load(list->open + i + v * FULL_LANES);
        k[v] = vec_set1(0);
    }
    full_spread(full_at, at);
    for (int c = 0; c < CHAINS; c++)
        planes[c] = plane;
    late_random(s, counters.first, at, planes, random, step, work);
    for (unsigned q = 0; q < COUNTER_PLANES; q++) {
        const bool bit = bitdrop_threshold_bit(s, EARLY_PLANES + q);
        vec words[CHAINS], r[FULLS];

        for (int c = 0; c < CHAINS; c++)
            words[c] = random[c][q];
        full_join(words, r);
        for (int v = 0; v < FULLS; v++)
            compare_plane(&k[v], &o[v], r[v], bit);
    }
    for (int v = 0; v < FULLS; v++)
        full_store(more + v * FULL_LANES, last ? vec_or(k[v], o[v]) : k[v]);
    late_keep(keep, list->at + i, more, LATE_WORDS);
    if (!last)
        for (int v = 0; v < FULLS; v++)
            left = open_words_append(rest, left, full_load(list->at + i + v * FULL_LANES), o[v]);
    return left;
}

/*
 * The same for LANES entries of the list, and NEXT_PLANES planes from plane j on. All chains have
 * the same words, and each has other planes of them.
 */
FORCE_INLINE size_t late_next(const struct bitdrop_stream *s,
                              const struct philox_plane plane[CHAINS], unsigned j,
                              const struct blocks *blocks, uint8_t *keep,
                              const struct open_words *list, size_t i, struct open_words *rest,
                              size_t left, work_hook *step, struct work *work)
{
    const struct philox_plane *planes[CHAINS];
    uint32_t more[LANES], buffer[LATE_WORDS];
    const struct late_counters counters = late_counters(blocks, list->at + i, buffer);
    vec random[CHAINS][4], counter[CHAINS], at[CHAINS], open[CHAINS], full_at[FULLS], o[FULLS];
    vec k = vec_set1(0);

    for (int c = 0; c < CHAINS; c++) {
        planes[c] = &plane[c];
        counter[c] = vec_load(counters.at);
        at[c] = vec_load(list->at + i);
        open[c] = vec_set1(0);
    }
    open[0] = vec_load(list->open + i);
    late_random(s, counters.first, counter, planes, random, step, work);
    for (unsigned p = 0; p < NEXT_PLANES; p++) /* after the last plane, bits of T count as 0 */
        compare_plane(&k, &open[0], random[p / COUNTER_PLANES][p % COUNTER_PLANES],
                      j + p < PLANES && bitdrop_threshold_bit(s, j + p));
    if (s->planes <= j + NEXT_PLANES) {
        k = vec_or(k, open[0]);
        open[0] = vec_set1(0);
    }
    vec_store(more, k);
    late_keep(keep, list->at + i, more, LANES);
    full_join(at, full_at);
    full_join(open, o); /* open words come from chain 0: open[] of the others is 0 */
    for (int v = 0; v < FULLS; v++)
        left = open_words_append(rest, left, full_at[v], o[v]);
    return left;
}

/*
 * Compares all planes from plane j on, of the first `count` entries of `list`. The words that are
 * still open go to `other`, and back, so both lists are overwritten. Kept elements are ORed into
 * `keep`.
 */
FORCE_INLINE void late_rest(const struct bitdrop_stream *s, const struct blocks *blocks, unsigned j,
                            uint8_t *keep, struct open_words *list, size_t count,
                            struct open_words *other, work_hook *step, work_hook *pause,
                            struct work *work)
{
    for (; count > 0; j += NEXT_PLANES) {
        const uint32_t counter2 = EARLY_PLANES + (j - EARLY_PLANES) / COUNTER_PLANES;
        struct open_words *const rest = other;
        struct philox_plane plane[CHAINS];
        size_t left = 0;

        for (uint32_t c = 0; c < CHAINS; c++)
            plane[c] = philox_plane(s, late_counter1(blocks), counter2 + c);
        open_words_pad(list, count);
        for (size_t i = 0; i < count; i += LANES) {
            left = late_next(s, plane, j, blocks, keep, list, i, rest, left, step, work);
            pause(work);
        }
        other = list;
        list = rest;
        count = left;
    }
}

/*
 * Compares all late planes of the first `count` entries of list[0]. If there are at most LANES,
 * late_first is left out: a late_next makes as many Philox blocks, and compares more planes.
 */
FORCE_INLINE void late_planes(const struct bitdrop_stream *s, const struct blocks *blocks,
                              uint8_t *keep, struct open_words list[2], size_t count,
                              work_hook *step, work_hook *pause, struct work *work)
{
    const bool many = count > LANES;

    if (many) {
        const struct philox_plane plane = philox_plane(s, late_counter1(blocks), EARLY_PLANES);
        size_t left = 0;

        open_words_pad(&list[0], count);
        for (size_t i = 0; i < count; i += LATE_WORDS) {
            left = late_first(s, &plane, blocks, keep, &list[0], i, &list[1], left, step, work);
            pause(work);
        }
        count = left;
    }
    late_rest(s, blocks, EARLY_PLANES + (many ? COUNTER_PLANES : 0), keep, &list[many], count,
              &list[!many], step, pause, work);
}

#endif
