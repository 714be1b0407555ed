/* SPDX-License-Identifier: Apache-2.0 */
/* Random words, and full vectors. A part of vec.h. */
#ifndef BITDROP_AVX512_VEC_RANDOM_H
#define BITDROP_AVX512_VEC_RANDOM_H

/*
 * Random words. Each is the low half of a 64-bit lane, because vpmuludq reads only that half. The
 * high half is dirt, which means any bits.
 */

typedef __m512i vec;
enum { LANES = 8, CHAINS = 2, VECS = 2, INTERLEAVED_PLANES = 1 };

static inline vec vec_set1(uint32_t x) { return _mm512_set1_epi32((int)x); }
static inline vec vec_add(vec a, vec b) { return _mm512_add_epi64(a, b); }
static inline vec vec_xor(vec a, vec b) { return _mm512_xor_si512(a, b); }
static inline vec vec_and(vec a, vec b) { return _mm512_and_si512(a, b); }
static inline vec vec_andnot(vec a, vec b) { return _mm512_andnot_si512(b, a); }
static inline vec vec_or(vec a, vec b) { return _mm512_or_si512(a, b); }

static inline vec vec_or_and(vec a, vec b, vec c)
{
    return _mm512_ternarylogic_epi32(a, b, c, 0xF8);
}

static inline vec vec_xor_key(vec a, vec b, const uint32_t *key)
{
    return _mm512_ternarylogic_epi32(a, b, vec_set1(*key), 0x96);
}

static inline vec vec_load(const uint32_t *p)
{
    return _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)p));
}

static inline void vec_store(uint32_t *p, vec a)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi64_epi32(a));
}

/* In the order that the shuffles of vec_planes_store turn into the order of memory. */
static inline vec vec_blocks(uint32_t g)
{
    return _mm512_add_epi64(vec_set1(g), _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7));
}

static inline vec vec_blocks_load(const uint32_t *g)
{
    const __m256i blocks = _mm256_loadu_si256((const __m256i *)g);

    return _mm512_cvtepu32_epi64(
        _mm256_permutevar8x32_epi32(blocks, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
}

static inline void vec_mul(vec a, uint32_t m, vec *hi, vec *lo)
{
    *lo = _mm512_mul_epu32(a, vec_set1(m));
    *hi = _mm512_shuffle_epi32(*lo, _MM_PERM_DDBB);
}

/* The product has both words, the high word in the high half. So b and the key are moved there. */
static inline void vec_mul_pack(vec a, uint32_t m, vec b, const uint32_t *key, vec packed[VECS / 2])
{
    const vec product = _mm512_mul_epu32(a, vec_set1(m));
    const vec up = _mm512_shuffle_epi32(b, _MM_PERM_CCAA);

    packed[0] = _mm512_mask_ternarylogic_epi32(product, 0xAAAA, up, vec_set1(*key), 0x96);
}

/*
 * A lane of planes[0] has words 1 and 0 of a block, in its low and high half. A lane of planes[1]
 * has words 3 and 2.
 */
static inline void vec_planes_store(uint8_t *p, const vec planes[VECS])
{
    const __m512 words10 = _mm512_castsi512_ps(planes[0]);
    const __m512 words32 = _mm512_castsi512_ps(planes[1]);

    _mm512_storeu_ps(p, _mm512_shuffle_ps(words10, words32, _MM_SHUFFLE(0, 1, 0, 1)));
    _mm512_storeu_ps(p + 64, _mm512_shuffle_ps(words10, words32, _MM_SHUFFLE(2, 3, 2, 3)));
}

/*
 * Full vectors: a word in each half of a lane, so twice as many words as LANES. open_words.h stores
 * them, and late_first compares them. full_spread splits one into a vec for each chain, and
 * full_join undoes that.
 */

enum { FULL_LANES = 16 };

static inline vec full_load(const uint32_t *p) { return _mm512_loadu_si512(p); }
static inline vec full_load_bytes(const uint8_t *p) { return _mm512_loadu_si512(p); }
static inline void full_store(uint32_t *p, vec a) { _mm512_storeu_si512(p, a); }

static inline vec full_index(uint32_t first)
{
    return _mm512_add_epi32(
        vec_set1(first), _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

/* A permutation selects from 32 of the 64 numbers. Bit 7 of `at` says which 32 are meant. */
static inline vec full_words(const uint32_t *blocks, vec at)
{
    const vec block = _mm512_srli_epi32(at, 2);
    const vec low = _mm512_permutex2var_epi32(full_load(blocks), block, full_load(blocks + 16));
    const vec high =
        _mm512_permutex2var_epi32(full_load(blocks + 32), block, full_load(blocks + 48));
    const __mmask16 is_high = _mm512_test_epi32_mask(at, vec_set1(128));

    return vec_or_and(_mm512_slli_epi32(_mm512_mask_mov_epi32(low, is_high, high), 2), at,
                      vec_set1(3));
}

static inline void full_spread(const vec full[1], vec lanes[CHAINS])
{
    lanes[0] = full[0];
    lanes[1] = _mm512_srli_epi64(full[0], 32);
}

static inline void full_join(const vec lanes[CHAINS], vec full[1])
{
    full[0] = _mm512_mask_shuffle_epi32(lanes[0], 0xAAAA, lanes[1], _MM_PERM_CCAA);
}

/* vpcompressd writes to registers, because writing to memory it is slow on Zen 4. */
static inline size_t full_pick(uint32_t *at, uint32_t *open, vec index, vec words)
{
    const __mmask16 nonzero = _mm512_test_epi32_mask(words, words);

    _mm512_storeu_si512(at, _mm512_mask_compress_epi32(index, nonzero, index));
    _mm512_storeu_si512(open, _mm512_maskz_compress_epi32(nonzero, words));
    return (size_t)__builtin_popcount(nonzero);
}

#endif
