/* SPDX-License-Identifier: Apache-2.0 */
/*
 * y = a * x, compiled once for each ISA with its flags, with MULTIPLY and MULTIPLY_STREAM as names
 * and VEC_H as its vocabulary. The baseline has none; its streaming loop is written here, and only
 * x86 has one.
 */
#include <stddef.h>
#include <stdint.h>

#include "loops.h"

void MULTIPLY(const struct loop_arguments *a);
void MULTIPLY_STREAM(const struct loop_arguments *a);

static void multiply(size_t n, float a, const float *restrict x, float *restrict y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a * x[i];
}

/* Stores through the caches: what the compiler makes of the plain loop. */
void MULTIPLY(const struct loop_arguments *a) { multiply(a->n, a->scale, a->x, a->y); }

#ifdef VEC_H
#include VEC_H
#elif defined(__SSE2__)
#include <emmintrin.h>

typedef __m128 f32_vec;
enum { f32_LANES = 4 };

static inline f32_vec f32_set1(double x) { return _mm_set1_ps((float)x); }
static inline f32_vec f32_mul(f32_vec a, f32_vec b) { return _mm_mul_ps(a, b); }
static inline f32_vec f32_load(const void *p) { return _mm_loadu_ps(p); }
static inline void f32_stream(void *p, f32_vec a) { _mm_stream_ps(p, a); }
static inline void stream_fence(void) { _mm_sfence(); }
#endif

#if defined(VEC_H) || defined(__SSE2__)
/* Stores past the caches, from the first whole vector of y on. */
void MULTIPLY_STREAM(const struct loop_arguments *a)
{
    const size_t past = (uintptr_t)a->y % sizeof(f32_vec) / sizeof(float);
    const size_t to_vector = past == 0 ? 0 : f32_LANES - past;
    const size_t head = to_vector < a->n ? to_vector : a->n;
    const size_t end = head + (a->n - head) / f32_LANES * f32_LANES;
    const f32_vec scale = f32_set1(a->scale);

    multiply(head, a->scale, a->x, a->y);
    for (size_t i = head; i < end; i += f32_LANES)
        f32_stream(a->y + i, f32_mul(f32_load(a->x + i), scale));
    multiply(a->n - end, a->scale, a->x + end, a->y + end);
    stream_fence();
}
#endif
