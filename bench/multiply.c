/* SPDX-License-Identifier: Apache-2.0 */
/*
 * y = a * x, compiled once for each ISA. VEC_H is the vec.h of the ISA, MULTIPLY the prefix of the
 * names. The baseline has no vec.h. Its functions for SSE2 are defined here; a baseline without
 * SSE2 has only the plain loop.
 */
#include <stddef.h>
#include <stdint.h>

#include "loops.h"

#ifdef VEC_H
#include VEC_H
#endif

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define CACHED MULTIPLY
#define PREFETCHED PASTE(MULTIPLY, _prefetched)
#define STREAMED PASTE(MULTIPLY, _streamed)
#define IN_TURN PASTE(MULTIPLY, _pages_in_turn)

void CACHED(const struct loop_arguments *a);
void PREFETCHED(const struct loop_arguments *a);
void STREAMED(const struct loop_arguments *a);
void IN_TURN(const struct loop_arguments *a);

static void multiply(size_t n, float a, const float *restrict x, float *restrict y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a * x[i];
}

/* The plain loop, which the compiler may vectorise. Stores through the caches. */
void CACHED(const struct loop_arguments *a) { multiply(a->n, a->scale, a->x, a->y); }

#if !defined(VEC_H) && defined(__SSE2__)
#include <emmintrin.h>

typedef __m128 f32_vec;
enum { f32_LANES = 4 };

static inline f32_vec f32_set1(double x) { return _mm_set1_ps((float)x); }
static inline f32_vec f32_mul(f32_vec a, f32_vec b) { return _mm_mul_ps(a, b); }
static inline f32_vec f32_load(const void *p) { return _mm_loadu_ps(p); }
static inline void f32_store(void *p, f32_vec a) { _mm_storeu_ps(p, a); }
static inline void f32_stream(void *p, f32_vec a) { _mm_stream_ps(p, a); }
static inline void stream_fence(void) { _mm_sfence(); }
#endif

#if defined(VEC_H) || defined(__SSE2__)
enum { LINE = 64 / sizeof(float) };

/* Prefetches the line `ahead` bytes after p, or nothing if `ahead` is 0. */
static void prefetch(const float *p, size_t ahead)
{
    if (ahead > 0)
        __builtin_prefetch((const void *)((uintptr_t)p + ahead));
}

/* Number of elements up to the first vector of y that is aligned. */
static size_t head_of(const struct loop_arguments *a)
{
    const size_t past = (uintptr_t)a->y % sizeof(f32_vec) / sizeof(float);
    const size_t to_vector = past == 0 ? 0 : f32_LANES - past;

    return to_vector < a->n ? to_vector : a->n;
}

/* y = a * x, line by line and by `store` from the first aligned vector of y on. */
static inline __attribute__((always_inline)) void multiply_lines(const struct loop_arguments *a,
                                                                 void (*store)(void *p, f32_vec v),
                                                                 size_t x_ahead, size_t y_ahead)
{
    const size_t head = head_of(a);
    const size_t end = head + (a->n - head) / LINE * LINE;
    const f32_vec scale = f32_set1(a->scale);

    multiply(head, a->scale, a->x, a->y);
    for (size_t i = head; i < end; i += LINE) {
        prefetch(a->x + i, x_ahead);
        prefetch(a->y + i, y_ahead);
        for (size_t v = 0; v < LINE; v += f32_LANES)
            store(a->y + i + v, f32_mul(f32_load(a->x + i + v), scale));
    }
    multiply(a->n - end, a->scale, a->x + end, a->y + end);
}

void PREFETCHED(const struct loop_arguments *a)
{
    multiply_lines(a, f32_store, a->ahead, a->ahead);
}

/* Stores past the caches. */
void STREAMED(const struct loop_arguments *a)
{
    if (a->ahead > 0)
        multiply_lines(a, f32_stream, a->ahead, 0);
    else
        multiply_lines(a, f32_stream, 0, 0);
    stream_fence();
}

/* Goes through four pages in turn and stores past the caches, as glibc's memcpy does, but does not
 * prefetch. */
void IN_TURN(const struct loop_arguments *a)
{
    enum { PAGE = 4096 / sizeof(float), PAGES = 4 * PAGE, TURN = 8 * LINE };
    const f32_vec scale = f32_set1(a->scale);
    struct loop_arguments rest = *a;
    size_t at = head_of(a);

    multiply(at, a->scale, a->x, a->y);
    for (; a->n - at >= PAGES; at += PAGES)
        for (size_t turn = at; turn < at + PAGE; turn += TURN)
            for (size_t page = turn; page < turn + PAGES; page += PAGE)
                for (size_t i = page; i < page + TURN; i += f32_LANES)
                    f32_stream(a->y + i, f32_mul(f32_load(a->x + i), scale));
    rest.n -= at;
    rest.x += at;
    rest.y += at;
    multiply_lines(&rest, f32_stream, 0, 0);
    stream_fence();
}
#endif

#include "template/target_end.h"
