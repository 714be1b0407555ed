/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled as C once for each ISA, and once as C++. LOOPS is the name of the struct. */
#include "apply_loops.h"

#include "bitdrop/apply.h"

#define NAME_OF_(name) #name
#define NAME_OF(name) NAME_OF_(name)

/* Smaller than BITDROP_KEEP_BLOCK, so that few elements need several blocks. */
enum { BLOCK = 48 };

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static void f32(float *y, const float *x, const uint8_t *mask, size_t first, size_t n, float scale)
{
    for (size_t i = 0; i < n; i += BLOCK) {
        uint32_t keep[BLOCK];

        bitdrop_keep_words(keep, mask, first + i, smaller(n - i, BLOCK));
        for (size_t k = 0; k < smaller(n - i, BLOCK); k++)
            y[i + k] = bitdrop_only_f32(keep[k], x[i + k] * scale);
    }
}

static void f64(double *y, const double *x, const uint8_t *mask, size_t first, size_t n,
                double scale)
{
    for (size_t i = 0; i < n; i += BLOCK) {
        uint32_t keep[BLOCK];

        bitdrop_keep_words(keep, mask, first + i, smaller(n - i, BLOCK));
        for (size_t k = 0; k < smaller(n - i, BLOCK); k++)
            y[i + k] = bitdrop_only_f64(keep[k], x[i + k] * scale);
    }
}

static void half(uint16_t *y, const uint16_t *x, const uint8_t *mask, size_t first, size_t n)
{
    uint32_t keep[BITDROP_KEEP_BLOCK];

    for (size_t i = 0; i < n; i += BITDROP_KEEP_BLOCK) {
        const size_t count = smaller(n - i, BITDROP_KEEP_BLOCK);

        bitdrop_keep_words(keep, mask, first + i, count);
        for (size_t k = 0; k < count; k++)
            y[i + k] = bitdrop_only_16(keep[k], x[i + k]);
    }
}

#if defined(BITDROP_APPLY_PLAIN) || !(defined(__SSE2__) || defined(__ARM_NEON))
enum { LANES = 0 };
#define vectors NULL
#else
#if defined(__AVX512F__)
enum { LANES = 16 };
typedef __m512 vec;
static vec load(const float *x) { return _mm512_loadu_ps(x); }
static void store(float *y, vec v) { _mm512_storeu_ps(y, v); }
static vec scaled(vec v, float scale) { return _mm512_mul_ps(v, _mm512_set1_ps(scale)); }
static vec kept(vec v, const uint8_t *m, size_t i) { return bitdrop_select_f32x16(v, m, i); }
#elif defined(__AVX2__)
enum { LANES = 8 };
typedef __m256 vec;
static vec load(const float *x) { return _mm256_loadu_ps(x); }
static void store(float *y, vec v) { _mm256_storeu_ps(y, v); }
static vec scaled(vec v, float scale) { return _mm256_mul_ps(v, _mm256_set1_ps(scale)); }
static vec kept(vec v, const uint8_t *m, size_t i) { return bitdrop_select_f32x8(v, m, i); }
#elif defined(__SSE2__)
enum { LANES = 4 };
typedef __m128 vec;
static vec load(const float *x) { return _mm_loadu_ps(x); }
static void store(float *y, vec v) { _mm_storeu_ps(y, v); }
static vec scaled(vec v, float scale) { return _mm_mul_ps(v, _mm_set1_ps(scale)); }
static vec kept(vec v, const uint8_t *m, size_t i) { return bitdrop_select_f32x4(v, m, i); }
#else
enum { LANES = 4 };
typedef float32x4_t vec;
static vec load(const float *x) { return vld1q_f32(x); }
static void store(float *y, vec v) { vst1q_f32(y, v); }
static vec scaled(vec v, float scale) { return vmulq_f32(v, vdupq_n_f32(scale)); }
static vec kept(vec v, const uint8_t *m, size_t i) { return bitdrop_select_f32x4(v, m, i); }
#endif

static void vectors(float *y, const float *x, const uint8_t *mask, size_t first, size_t n,
                    float scale)
{
    for (size_t i = 0; i < n; i += LANES)
        store(y + i, kept(scaled(load(x + i), scale), mask, first + i));
}
#endif

const struct apply_loops LOOPS = {NAME_OF(LOOPS), f32, f64, half, vectors, LANES};
