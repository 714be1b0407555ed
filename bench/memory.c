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
 * Between x and y modulo the page. Were they at like places, stores to an odd y would seem to
 * overlap the loads that follow, for a CPU compares the lower 12 bits first: on Zen 4 y = a * x
 * then takes 16 times as long, and hides what odd addresses cost.
 */
enum { HALF_PAGE = 2048, HUGE_PAGE = 2 << 20, COMMON_CACHE = 32 << 20 };

static struct memory memory;
static size_t largest; /* 0: not known yet */

/* Of x, for the gaps between rows and for odd addresses. */
static size_t with_slack(size_t bytes) { return bytes + bytes / 16 + 4 * HALF_PAGE; }

size_t memory_largest(void)
{
    if (largest == 0) {
        const uint64_t cache = machine_last_level_cache();
        uint64_t bytes = 8 * (cache > 0 ? cache : COMMON_CACHE);

        /* x, y, uniforms and masks stay below half of the memory, and of 32 bits of addresses. */
        while (bytes > machine_memory() / 8 || bytes > SIZE_MAX / 32)
            bytes /= 2;
        largest = (size_t)bytes;
    }
    return largest;
}

void memory_at_most(size_t bytes) { largest = bytes; }

/*
 * Address space only, where that can be had: a page is there once it is touched. Huge pages, and
 * whole ones, for with small ones it is chance how much of a buffer of half the L2 cache stays in
 * it.
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
        memory.mask = reserve(bytes / 2);
        memory.uniforms = reserve(bytes);
    }
    return &memory;
}

/* 8 bytes of numbers in [1, 2). Read as f32, by the limit, those of all dtypes are normal or 0. */
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

void memory_fill(bitdrop_dtype t, size_t bytes, bool zeros)
{
    static struct {
        bitdrop_dtype t;
        size_t bytes;
        bool zeros;
    } now;
    uint64_t *x = NULL;

    if (now.bytes >= bytes && now.t == t && now.zeros == zeros)
        return;
    x = (uint64_t *)(void *)memory_buffers()->x;
    for (size_t i = 0; i < with_slack(bytes) / sizeof *x; i++)
        x[i] = zeros ? 0 : numbers(t, i % 128);
    memset(memory.y, 0, with_slack(bytes) - HALF_PAGE);
    memset(memory.mask, 0xFF, with_slack(bytes) / 2);
    now.t = t;
    now.bytes = bytes;
    now.zeros = zeros;
}

void memory_fill_uniforms(size_t n)
{
    static size_t filled;
    static uint32_t state = 1;

    memory_buffers();
    for (; filled < n; filled++) {
        state = state * 1664525 + 1013904223; /* Numerical Recipes; only the upper bits are used */
        memory.uniforms[filled] = (float)(state >> 8) * 0x1p-24F;
    }
}
