/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "memory.h"

#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#include "fail.h"
#include "machine.h"

/*
 * Distances between x, third and y, modulo the page. A CPU first compares only the lower 12 bits of
 * two addresses. If x and y had nearly the same ones, stores to an unaligned y would seem to
 * overlap the loads that follow. On Zen 4 y = a * x then takes 16 times as long, which would hide
 * the cost of unaligned addresses.
 */
enum { HALF_PAGE = 2048, QUARTER_PAGE = 1024, HUGE_PAGE = 2 << 20, COMMON_CACHE = 32 << 20 };

static struct memory memory;
static size_t largest; /* 0: not known yet */

/* Bytes of a tensor with room for gaps between rows, and for unaligned addresses. */
static size_t with_slack(size_t bytes) { return bytes + bytes / 16 + 4 * HALF_PAGE; }

size_t memory_largest(void)
{
    if (largest == 0) {
        const uint64_t cache = machine_last_level_cache();
        uint64_t bytes = 8 * (cache > 0 ? cache : COMMON_CACHE);

        /* All buffers together stay below half of the memory and of the address space. */
        while (bytes > machine_memory() / 8 || bytes > SIZE_MAX / 32)
            bytes /= 2;
        largest = (size_t)bytes;
    }
    return largest;
}

void memory_at_most(size_t bytes) { largest = bytes; }

/*
 * Reserves only address space if the OS can: a page gets memory when it is first touched. Asks for
 * huge pages: with small ones it depends on their addresses how much of a buffer of half the L2
 * cache stays in it.
 */
static void *reserve(size_t bytes)
{
    const size_t whole = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    const size_t all = whole + HUGE_PAGE;
#ifdef MAP_NORESERVE
    unsigned char *p =
        mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        p = NULL;
#else
    unsigned char *p = malloc(all);
#endif

    if (p == NULL)
        fail("no memory for the buffers");
    p += (HUGE_PAGE - (uintptr_t)p % HUGE_PAGE) % HUGE_PAGE; /* lives as long as the program */
#ifdef MADV_HUGEPAGE
    (void)madvise(p, whole, MADV_HUGEPAGE);
#endif
    return p;
}

const struct memory *memory_buffers(void)
{
    if (memory.x == NULL) {
        const size_t bytes = with_slack(memory_largest());

        memory.x = reserve(bytes);
        memory.y = (unsigned char *)reserve(bytes) + HALF_PAGE;
        memory.third = (unsigned char *)reserve(bytes) + QUARTER_PAGE;
        memory.bias = reserve(MEMORY_BIAS_ELEMENTS * sizeof(double));
        memory.mask = reserve(bytes / 2);
    }
    return &memory;
}

/* 8 bytes of numbers in [1, 2). The limit reads them as f32: then they are normal or 0 too. */
static uint64_t numbers(bitdrop_dtype t, uint64_t fraction)
{
    switch (t) {
    case BITDROP_F32:
        return (0x3F800000 | fraction << 16) * 0x0000000100000001;
    case BITDROP_F64:
        return 0x3FF0000000000000 | fraction << 45;
    case BITDROP_F16:
        return (0x3C00 | fraction << 3) * 0x0001000100010001;
    case BITDROP_BF16:
        break;
    }
    return (0x3F80 | fraction) * 0x0001000100010001;
}

/* The contents of a buffer. */
struct contents {
    bitdrop_dtype t;
    size_t bytes;
    bool zeros;
};

static struct contents third;
static size_t uniforms; /* elements, in the memory of the third matrix */

/* Records the new contents of a buffer. Returns false if it has them already. */
static bool changes(struct contents *now, bitdrop_dtype t, size_t bytes, bool zeros)
{
    if (now->bytes >= bytes && now->t == t && now->zeros == zeros)
        return false;
    *now = (struct contents){t, bytes, zeros};
    return true;
}

static void fill(unsigned char *buffer, bitdrop_dtype t, size_t bytes, bool zeros)
{
    uint64_t *at = (uint64_t *)(void *)buffer;

    for (size_t i = 0; i < bytes / sizeof *at; i++)
        at[i] = zeros ? 0 : numbers(t, i % 128);
}

void memory_fill(bitdrop_dtype t, size_t bytes, bool zeros)
{
    static struct contents now;

    if (!changes(&now, t, bytes, zeros))
        return;
    memory_buffers();
    fill(memory.x, t, with_slack(bytes), zeros);
    fill(memory.bias, t, MEMORY_BIAS_ELEMENTS * sizeof(double), zeros);
    memset(memory.y, 0, with_slack(bytes) - HALF_PAGE);
    memset(memory.mask, 0xFF, with_slack(bytes) / 2);
}

void memory_fill_third(bitdrop_dtype t, size_t bytes, bool zeros)
{
    if (!changes(&third, t, bytes, zeros))
        return;
    uniforms = 0;
    fill(memory_buffers()->third, t, with_slack(bytes) - QUARTER_PAGE, zeros);
}

const float *memory_uniforms(void) { return (const float *)(const void *)memory_buffers()->third; }

void memory_fill_uniforms(size_t n)
{
    static uint32_t state = 1;
    float *at = (float *)(void *)memory_buffers()->third;

    third.bytes = 0;
    for (; uniforms < n; uniforms++) {
        state = state * 1664525 + 1013904223; /* Numerical Recipes; only the upper bits are used */
        at[uniforms] = (float)(state >> 8) * 0x1p-24F;
    }
}
