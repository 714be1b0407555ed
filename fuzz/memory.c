/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#ifdef FUZZ_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#define FORBID(p, n) __asan_poison_memory_region(p, n)
#define ALLOW(p, n) __asan_unpoison_memory_region(p, n)
#else
#define FORBID(p, n) ((void)(p), (void)(n))
#define ALLOW(p, n) ((void)(p), (void)(n))
#endif

enum { SIZES = 4, MOST_BYTES = 1 << 20, MOST_BUFFERS = 16, MOST_ROWS = 1 << 20 };

/* Memories of several sizes. A call uses the smallest that fits, so that comparing it takes little
 * time. */
static struct memory {
    struct guard guard;      /* its shadow has the contents before a call */
    unsigned char *expected; /* the contents after a call that wrote only to its outputs */
    unsigned char *kept;
    uint16_t *owners; /* a bit for each buffer that owns the byte. 0 except in memory_find_shared */
} memories[SIZES], *memory;

/* The bytes that belong to buffers. */
static struct {
    unsigned char *at;
    size_t bytes, buffer;
} owned[MOST_ROWS];
static size_t owned_count;

static const struct fuzz_buffer *buffers;
static uint16_t shared[MOST_BUFFERS];

static void *allocate(size_t bytes)
{
    void *p = malloc(bytes);

    if (p == NULL)
        fuzz_fail("cannot allocate %zu bytes of memory", bytes);
    return p;
}

static void make_memories(void)
{
    static const size_t sizes[SIZES] = {4096, 32768, 262144, 4 * (size_t)MOST_BYTES};

    for (int i = 0; i < SIZES; i++) {
        memories[i].guard = guard_new(sizes[i]);
        const size_t size = memories[i].guard.size;
        memories[i].expected = allocate(size);
        memories[i].kept = allocate(size);
        memories[i].owners = allocate(size * sizeof *memories[i].owners);
        memset(memories[i].owners, 0, size * sizeof *memories[i].owners);
    }
}

static size_t multiply(size_t a, size_t b)
{
    size_t product;

    return __builtin_mul_overflow(a, b, &product) ? SIZE_MAX : product;
}

struct fuzz_buffer fuzz_matrix(size_t rows, size_t cols, size_t stride, size_t size)
{
    return (struct fuzz_buffer){.used = true,
                                .count = {1, 1, rows},
                                .stride = {0, 0, multiply(stride, size)},
                                .bytes = multiply(cols, size),
                                .alignment = size};
}

size_t fuzz_extent(const struct fuzz_buffer *b)
{
    size_t extent = b->bytes;

    for (int i = 0; i < 3; i++) {
        const size_t more = b->count[i] == 0 ? 0 : multiply(b->count[i] - 1, b->stride[i]);

        if (__builtin_add_overflow(extent, more, &extent))
            return SIZE_MAX;
    }
    return extent;
}

bool fuzz_present(const struct fuzz_buffer *b) { return b->used && b->at != NULL; }

bool fuzz_fits(const struct fuzz_buffer *b)
{
    return fuzz_extent(b) <= UINTPTR_MAX - (uintptr_t)b->at;
}

bool fuzz_is_inside(const struct fuzz_buffer *b)
{
    const uintptr_t at = (uintptr_t)b->at, base = (uintptr_t)memory->guard.base;

    return at >= base && at - base <= memory->guard.size &&
           fuzz_extent(b) <= memory->guard.size - (at - base);
}

/*
 * The place of a buffer, before the memory is chosen: APART at an offset in the memory, NOWHERE at
 * NULL, BEFORE on the unmapped page in front of the memory, LAST at the end of the address space.
 */
struct spot {
    enum { APART, NOWHERE, BEFORE, LAST } kind;
    ptrdiff_t offset;
    size_t extent;
};

/* Rounds an offset, which may be negative, down to a multiple of alignment. */
static ptrdiff_t rounded_down(ptrdiff_t offset, size_t alignment)
{
    return offset & -(ptrdiff_t)alignment;
}

/* Buffers that fit in no memory get a place too, because a call with them must be refused. */
static struct spot choose_spot(struct fuzz_input *in, const struct fuzz_buffer *b,
                               const struct fuzz_buffer *others, const struct spot *spots,
                               size_t count, ptrdiff_t end)
{
    const size_t kind = fuzz_below(in, 32), extent = fuzz_extent(b);
    const ptrdiff_t unit = (ptrdiff_t)b->alignment;
    struct spot s = {.kind = APART, .extent = extent > MOST_BYTES ? 1 : extent};

    s.offset = end + unit - 1;
    if (kind == 31) {
        s.kind = fuzz_once_in(in, 2) ? BEFORE : LAST;
    } else if (kind == 30) {
        s.kind = NOWHERE;
    } else if (kind >= 24 && count > 0) {
        const size_t other = fuzz_below(in, count);

        s.offset = spots[other].offset;
        if (kind == 28)
            s.offset += ((ptrdiff_t)fuzz_below(in, 64) - 32) * unit;
        else if (kind == 29) /* in the gaps between rows, if there are any */
            s.offset += (ptrdiff_t)(others[other].bytes > MOST_BYTES ? 0 : others[other].bytes);
    } else if (kind >= 12) {
        s.offset += (ptrdiff_t)(kind - 11) * unit;
    }
    s.offset = rounded_down(s.offset, b->alignment);
    return s;
}

static unsigned char *address(const struct spot *s, unsigned char *origin, size_t alignment)
{
    switch (s->kind) {
    case NOWHERE:
        return NULL;
    case BEFORE: /* on the unmapped page */
        return (unsigned char *)((uintptr_t)memory->guard.base - alignment);
    case LAST:
        return (unsigned char *)(UINTPTR_MAX - 63 - (uintptr_t)s->offset % 16 * 64);
    default:
        return origin + s->offset;
    }
}

/* Chooses the smallest memory that fits offsets begin to end. Returns the address of offset 0. */
static unsigned char *choose_memory(struct fuzz_input *in, ptrdiff_t begin, ptrdiff_t end,
                                    size_t alignment)
{
    const size_t total = (size_t)(end - begin) + alignment;
    const size_t gap = fuzz_below(in, 32) * alignment;
    const bool behind = fuzz_once_in(in, 2);

    memory = memories;
    while (memory < &memories[SIZES - 1] && memory->guard.size < total + gap)
        memory++;
    const ptrdiff_t first = (ptrdiff_t)gap - begin;
    const ptrdiff_t last = (ptrdiff_t)(memory->guard.size - gap) - end;

    return memory->guard.base + (behind
                                     ? rounded_down(last, alignment)
                                     : rounded_down(first + (ptrdiff_t)alignment - 1, alignment));
}

/* Fills the memory with random bytes that repeat with an odd period. */
static void fill_memory(uint64_t seed)
{
    enum { PERIOD = 1021 };
    struct check random = {.random = seed};
    unsigned char pattern[PERIOD];
    const struct guard *g = &memory->guard;

    for (size_t i = 0; i < PERIOD; i++)
        pattern[i] = (unsigned char)check_random(&random);
    for (size_t i = 0; i < g->size; i += PERIOD)
        memcpy(g->shadow + i, pattern, g->size - i < PERIOD ? g->size - i : PERIOD);
}

void memory_place(struct fuzz_input *in, struct fuzz_buffer *b, size_t count)
{
    struct spot spots[MOST_BUFFERS];
    ptrdiff_t begin = 0, end = 0;
    size_t alignment = 1;

    if (memories[0].kept == NULL)
        make_memories();
    for (size_t i = 0; i < count; i++) {
        spots[i] = choose_spot(in, &b[i], b, spots, i, end);
        const ptrdiff_t my_end = spots[i].offset + (ptrdiff_t)spots[i].extent;

        begin = spots[i].offset < begin ? spots[i].offset : begin;
        end = my_end > end ? my_end : end;
        alignment = b[i].alignment > alignment ? b[i].alignment : alignment;
    }
    unsigned char *const origin = choose_memory(in, begin, end, alignment);

    for (size_t i = 0; i < count; i++)
        b[i].at = address(&spots[i], origin, b[i].alignment);
    fill_memory(fuzz_number(in));
    memory_disown();
}

void memory_disown(void)
{
    owned_count = 0;
    memset(shared, 0, sizeof shared);
}

unsigned char *memory_before(const unsigned char *p) { return guard_shadow(&memory->guard, p); }

void memory_own(size_t i, unsigned char *at, size_t bytes)
{
    if (owned_count > 0 && owned[owned_count - 1].buffer == i &&
        owned[owned_count - 1].at + owned[owned_count - 1].bytes == at) {
        owned[owned_count - 1].bytes += bytes;
        return;
    }
    if (owned_count == MOST_ROWS)
        fuzz_fail("more than %d rows", MOST_ROWS);
    owned[owned_count].at = at;
    owned[owned_count].bytes = bytes;
    owned[owned_count++].buffer = i;
}

void memory_own_rows(size_t i, const struct fuzz_buffer *b)
{
    for (size_t x = 0; x < b->count[0]; x++)
        for (size_t y = 0; y < b->count[1]; y++)
            for (size_t z = 0; z < b->count[2]; z++)
                memory_own(i, b->at + x * b->stride[0] + y * b->stride[1] + z * b->stride[2],
                           b->bytes);
}

/* Marks the bytes of one owned[] entry, and records the buffers that own them already. */
static void mark(size_t row)
{
    uint16_t *owners = memory->owners + (owned[row].at - memory->guard.base), others = 0;
    const size_t me = owned[row].buffer;

    for (size_t i = 0; i < owned[row].bytes; i++) {
        others |= owners[i];
        owners[i] |= (uint16_t)(1U << me);
    }
    shared[me] |= others;
    for (size_t other = 0; other < MOST_BUFFERS; other++)
        if (others >> other & 1)
            shared[other] |= (uint16_t)(1U << me);
}

/* Compares byte by byte, but only buffers whose range of bytes overlaps that of another. */
void memory_find_shared(void)
{
    unsigned char *first[MOST_BUFFERS] = {NULL}, *last[MOST_BUFFERS] = {NULL};
    bool across[MOST_BUFFERS] = {false};

    for (size_t r = 0; r < owned_count; r++) {
        const size_t i = owned[r].buffer;

        if (first[i] == NULL || owned[r].at < first[i])
            first[i] = owned[r].at;
        if (last[i] == NULL || owned[r].at + owned[r].bytes > last[i])
            last[i] = owned[r].at + owned[r].bytes;
    }
    for (size_t i = 0; i < MOST_BUFFERS; i++)
        for (size_t j = 0; j < MOST_BUFFERS; j++)
            across[i] |= i != j && first[i] < last[j] && first[j] < last[i];
    for (size_t r = 0; r < owned_count; r++)
        if (across[owned[r].buffer])
            mark(r);
    for (size_t r = 0; r < owned_count; r++)
        if (across[owned[r].buffer])
            memset(memory->owners + (owned[r].at - memory->guard.base), 0,
                   owned[r].bytes * sizeof *memory->owners);
}

bool memory_shared(size_t i, size_t j) { return i != j && (shared[i] >> j & 1); }

/* Whether the buffer is written and shares no byte with an input. */
static bool is_only_written(size_t i, size_t count)
{
    for (size_t j = 0; j < count; j++)
        if (memory_shared(i, j) && !buffers[j].written)
            return false;
    return buffers[i].written;
}

void memory_begin(const struct fuzz_buffer *b, size_t count, unsigned call_number, bool error)
{
    const struct guard *g = &memory->guard;
    bool flips[MOST_BUFFERS] = {false};

    buffers = b;
    for (size_t i = 0; i < count; i++)
        flips[i] = call_number % 2 == 1 && is_only_written(i, count);
    memcpy(g->base, g->shadow, g->size);
    for (size_t r = 0; r < owned_count && !error; r++)
        for (size_t i = 0; i < owned[r].bytes && flips[owned[r].buffer]; i++)
            owned[r].at[i] = (unsigned char)~*memory_before(owned[r].at + i);
    FORBID(g->base, g->size);
    for (size_t r = 0; r < owned_count && !error; r++)
        ALLOW(owned[r].at, owned[r].bytes);
}

const unsigned char *memory_end(bool error)
{
    const struct guard *g = &memory->guard;

    ALLOW(g->base, g->size);
    memcpy(memory->expected, g->shadow, g->size);
    for (size_t r = 0; r < owned_count && !error; r++)
        if (buffers[owned[r].buffer].written)
            memcpy(memory->expected + (owned[r].at - g->base), owned[r].at, owned[r].bytes);
    if (memcmp(memory->expected, g->base, g->size) == 0)
        return NULL;
    size_t i = 0;
    while (memory->expected[i] == g->base[i])
        i++;
    return g->base + i;
}

void memory_keep(void) { memcpy(memory->kept, memory->guard.base, memory->guard.size); }

const unsigned char *memory_kept(const unsigned char *p)
{
    return memory->kept + (p - memory->guard.base);
}
