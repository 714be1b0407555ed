/* SPDX-License-Identifier: Apache-2.0 */
/* Random words, and full vectors. A part of vec.h. */
#ifndef BITDROP_AVX2_VEC_RANDOM_H
#define BITDROP_AVX2_VEC_RANDOM_H

/*
 * Random words. Each is the low half of a 64-bit lane, because vpmuludq reads only that half. The
 * high half is dirt, which means any bits.
 */

typedef __m256i vec;
enum { LANES = 4, CHAINS = 2, VECS = 2, INTERLEAVED_PLANES = 3 };

static inline vec vec_set1(uint32_t x) { return _mm256_set1_epi32((int)x); }
static inline vec vec_add(vec a, vec b) { return _mm256_add_epi64(a, b); }
static inline vec vec_xor(vec a, vec b) { return _mm256_xor_si256(a, b); }
static inline vec vec_and(vec a, vec b) { return _mm256_and_si256(a, b); }
static inline vec vec_andnot(vec a, vec b) { return _mm256_andnot_si256(b, a); }
static inline vec vec_or(vec a, vec b) { return _mm256_or_si256(a, b); }
static inline vec vec_or_and(vec a, vec b, vec c) { return vec_or(a, vec_and(b, c)); }

static inline vec vec_xor_key(vec a, vec b, const uint32_t *key)
{
    vec early = vec_xor(b, vec_set1(*key));

    __asm__("" : "+x"(early)); /* so that compilers xor a last: it comes from the multiplier */
    return vec_xor(a, early);
}

static inline vec vec_load(const uint32_t *p)
{
    return _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)p));
}

static inline void vec_store(uint32_t *p, vec a)
{
    const __m256i low = _mm256_permutevar8x32_epi32(a, _mm256_setr_epi32(0, 2, 4, 6, 0, 0, 0, 0));

    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(low));
}

/* In the order that the shuffles of vec_planes_store turn into the order of memory. */
static inline vec vec_blocks(uint32_t g)
{
    return _mm256_add_epi64(vec_set1(g), _mm256_setr_epi64x(0, 2, 1, 3));
}

static inline vec vec_blocks_load(const uint32_t *g)
{
    const __m128i blocks = _mm_loadu_si128((const __m128i *)g);

    return _mm256_cvtepu32_epi64(_mm_shuffle_epi32(blocks, _MM_SHUFFLE(3, 1, 2, 0)));
}

static inline void vec_mul(vec a, uint32_t m, vec *hi, vec *lo)
{
    *lo = _mm256_mul_epu32(a, vec_set1(m));
    *hi = _mm256_shuffle_epi32(*lo, _MM_SHUFFLE(3, 3, 1, 1));
}

/* The product has both words, the high word in the high half. So b and the key are moved there. */
static inline void vec_mul_pack(vec a, uint32_t m, vec b, const uint32_t *key, vec packed[VECS / 2])
{
    const vec product = _mm256_mul_epu32(a, vec_set1(m));
    const vec up = _mm256_xor_si256(_mm256_slli_epi64(b, 32),
                                    _mm256_set1_epi64x((int64_t)((uint64_t)*key << 32)));

    packed[0] = _mm256_xor_si256(product, up);
}

/*
 * A lane of planes[0] has words 1 and 0 of a block, in its low and high half. A lane of planes[1]
 * has words 3 and 2.
 */
static inline void vec_planes_store(uint8_t *p, const vec planes[VECS])
{
    const __m256 words10 = _mm256_castsi256_ps(planes[0]);
    const __m256 words32 = _mm256_castsi256_ps(planes[1]);

    _mm256_storeu_ps((float *)(void *)p,
                     _mm256_shuffle_ps(words10, words32, _MM_SHUFFLE(0, 1, 0, 1)));
    _mm256_storeu_ps((float *)(void *)(p + 32),
                     _mm256_shuffle_ps(words10, words32, _MM_SHUFFLE(2, 3, 2, 3)));
}

/*
 * Full vectors: a word in each half of a lane, so twice as many words as LANES. open_words.h stores
 * them, and late_first compares them. full_spread splits one into a vec for each chain, and
 * full_join undoes that.
 */

enum { FULL_LANES = 8 };

static inline vec full_load(const uint32_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline vec full_load_bytes(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}
static inline void full_store(uint32_t *p, vec a) { _mm256_storeu_si256((__m256i *)p, a); }

static inline vec full_index(uint32_t first)
{
    return _mm256_add_epi32(vec_set1(first), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline vec full_words(const uint32_t *blocks, vec at)
{
    uint32_t block[FULL_LANES];

    full_store(block, _mm256_srli_epi32(at, 2));
    const vec number = _mm256_setr_epi32(
        (int)blocks[block[0]], (int)blocks[block[1]], (int)blocks[block[2]], (int)blocks[block[3]],
        (int)blocks[block[4]], (int)blocks[block[5]], (int)blocks[block[6]], (int)blocks[block[7]]);

    return vec_or_and(_mm256_slli_epi32(number, 2), at, vec_set1(3));
}

static inline void full_spread(const vec full[1], vec lanes[CHAINS])
{
    lanes[0] = full[0];
    lanes[1] = _mm256_srli_epi64(full[0], 32);
}

static inline void full_join(const vec lanes[CHAINS], vec full[1])
{
    full[0] = _mm256_blend_epi32(lanes[0], _mm256_slli_epi64(lanes[1], 32), 0xAA);
}

static inline size_t full_pick(uint32_t *at, uint32_t *open, vec index, vec words)
{
    const vec closed = _mm256_cmpeq_epi32(words, _mm256_setzero_si256());
    const unsigned nonzero = 0xFF ^ (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(closed));
    const vec order =
        _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(pick_order + nonzero)));

    full_store(at, _mm256_permutevar8x32_epi32(index, order));
    full_store(open, _mm256_permutevar8x32_epi32(words, order));
    return (size_t)__builtin_popcount(nonzero);
}

#endif
