/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the calls that are not in src/operations.h: counting, packing, sizes, and DropBlock. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fuzz.h"

enum { MASK, BYTES, KEPT, BUFFERS };
enum { MOST_ELEMENTS = 300000 };

struct masks {
    enum function { COUNT, UNPACK, PACK, DROPBLOCK } function;
    size_t n;
    bitdrop_config cfg;
    size_t planes, height, width, block;
    bool no_cfg, every_isa;
    struct fuzz_parallel parallel;
    struct fuzz_buffer b[BUFFERS];
};

/* The output `kept` of COUNT and DROPBLOCK. */
static size_t *kept_at(const struct masks *m) { return (size_t *)(void *)m->b[KEPT].at; }

static bool is_empty(const struct masks *m)
{
    return m->function == DROPBLOCK ? m->planes == 0 || m->height == 0 || m->width == 0 : m->n == 0;
}

static void choose_dropblock(struct fuzz_input *in, struct masks *m)
{
    const bitdrop_parallel *parallel = fuzz_parallel(in, &m->parallel);

    m->planes = fuzz_once_in(in, 16) ? fuzz_below(in, 300) : 1 + fuzz_below(in, 4);
    m->height = 1 + fuzz_below(in, fuzz_once_in(in, 8) ? 300 : 24);
    m->width = 1 + fuzz_below(in, fuzz_once_in(in, 8) ? 5000 : 24);
    if (m->planes * m->height * m->width > MOST_ELEMENTS)
        m->planes = m->height = 1;
    m->block = 1 + fuzz_below(in, m->height < m->width ? m->height : m->width);
    m->cfg = fuzz_config(in, m->planes * m->height * m->width);
    m->cfg.mask_use = (uint8_t)fuzz_below(in, 2);
    if (fuzz_once_in(in, 6))
        fuzz_change_config(in, &m->cfg);
    if (fuzz_once_in(in, 6)) {
        size_t *const sizes[] = {&m->planes, &m->height, &m->width, &m->block};

        *sizes[fuzz_below(in, 4)] = (size_t)fuzz_number(in);
    }
    m->no_cfg = fuzz_once_in(in, 64);
    m->cfg.parallel = parallel;
    m->every_isa = m->cfg.isa == BITDROP_ISA_AUTO;
}

static void choose(struct fuzz_input *in, struct masks *m)
{
    m->function = (enum function)fuzz_below(in, 4);
    if (m->function == DROPBLOCK)
        choose_dropblock(in, m);
    else
        m->n = fuzz_once_in(in, 8) ? (size_t)fuzz_number(in) : fuzz_below(in, 3000);
}

static void place(struct fuzz_input *in, struct masks *m)
{
    size_t bytes = bitdrop_mask_bytes(m->n);

    if (m->function == DROPBLOCK &&
        (__builtin_mul_overflow(m->planes, m->height, &bytes) ||
         __builtin_mul_overflow(bytes, bitdrop_mask_bytes(m->width), &bytes)))
        bytes = SIZE_MAX;
    m->b[MASK] = fuzz_matrix(1, bytes, 0, 1);
    m->b[BYTES] = fuzz_matrix(1, m->n, 0, 1);
    m->b[KEPT] = fuzz_matrix(1, 1, 0, sizeof(size_t));
    m->b[MASK].used = !is_empty(m);
    m->b[BYTES].used = !is_empty(m) && (m->function == UNPACK || m->function == PACK);
    m->b[KEPT].used = m->function == COUNT || (m->function == DROPBLOCK && m->planes != 0);
    m->b[MASK].written = m->function == DROPBLOCK || m->function == PACK;
    m->b[BYTES].written = m->function == UNPACK;
    m->b[KEPT].written = true;
    memory_place(in, m->b, BUFFERS);
    if (m->b[KEPT].used && !fuzz_is_inside(&m->b[KEPT]))
        m->b[KEPT].at = NULL; /* the library cannot check where a size_t lies */
}

/* Whether the sizes of DropBlock are legal. */
static bool sizes_are_right(const struct masks *m)
{
    size_t elements;
    uint64_t last;

    if (m->block < 1 || m->block > m->height || m->block > m->width)
        return false;
    return m->planes == 0 || (!__builtin_mul_overflow(m->planes, m->height, &elements) &&
                              !__builtin_mul_overflow(elements, m->width, &elements) &&
                              !__builtin_add_overflow(m->cfg.offset, elements - 1, &last));
}

static int expected_status(const struct masks *m)
{
    int status = BITDROP_OK;

    if ((m->b[MASK].used && m->b[MASK].at == NULL) ||
        (m->b[BYTES].used && m->b[BYTES].at == NULL) ||
        (m->function == COUNT && m->b[KEPT].at == NULL) || (m->function == DROPBLOCK && m->no_cfg))
        return BITDROP_ERR_NULL;
    if (m->function == DROPBLOCK) {
        status = (int)fuzz_config_status(&m->cfg);
        if (status == BITDROP_OK && !bitdrop_isa_supported((bitdrop_isa)m->cfg.isa))
            status = BITDROP_ERR_ISA;
        if (status == BITDROP_OK && !sizes_are_right(m))
            status = BITDROP_ERR_RANGE;
    }
    if (status != BITDROP_OK)
        return status;
    for (size_t i = 0; i < BUFFERS; i++)
        if (fuzz_present(&m->b[i]) && !fuzz_fits(&m->b[i]))
            return BITDROP_ERR_RANGE;
    for (size_t i = 0; i < BUFFERS; i++)
        if (fuzz_present(&m->b[i]) && !fuzz_is_inside(&m->b[i]))
            return FUZZ_TOO_LARGE;
    if (m->function == DROPBLOCK && !is_empty(m) &&
        m->planes * m->height * m->width > MOST_ELEMENTS)
        return FUZZ_TOO_LARGE;
    for (size_t i = 0; i < BUFFERS; i++)
        if (fuzz_present(&m->b[i]))
            memory_own_rows(i, &m->b[i]);
    memory_find_shared();
    return memory_shared(MASK, BYTES) || memory_shared(MASK, KEPT) ? BITDROP_ERR_OVERLAP
                                                                   : BITDROP_OK;
}

static void report(const struct masks *m, const char *what, size_t a, size_t b)
{
    fprintf(stderr,
            "function %d, n %zu; %zu planes of %zu x %zu, block %zu; isa %d p %a offset %" PRIu64
            " rounds %d; mask %p, bytes %p, kept %p\n",
            (int)m->function, m->n, m->planes, m->height, m->width, m->block, m->cfg.isa, m->cfg.p,
            m->cfg.offset, m->cfg.rounds, (void *)m->b[MASK].at, (void *)m->b[BYTES].at,
            (void *)m->b[KEPT].at);
    fuzz_fail("%s: %zu, %zu", what, a, b);
}

static bitdrop_status run(const struct masks *m)
{
    switch (m->function) {
    case COUNT:
        return bitdrop_mask_count(m->n, m->b[MASK].at, kept_at(m));
    case UNPACK:
        return bitdrop_mask_unpack(m->n, m->b[MASK].at, m->b[BYTES].at);
    case PACK:
        return bitdrop_mask_pack(m->n, m->b[BYTES].at, m->b[MASK].at);
    default:
        return bitdrop_mask_dropblock(m->no_cfg ? NULL : &m->cfg, m->planes, m->height, m->width,
                                      m->block, m->b[MASK].at, kept_at(m));
    }
}

static void run_once(const struct masks *m, bitdrop_status wanted, unsigned call_number)
{
    const bool error = wanted != BITDROP_OK;

    memory_begin(m->b, BUFFERS, call_number, error);
    const bitdrop_status got = run(m);
    const unsigned char *changed = memory_end(error);

    if (got != wanted)
        report(m, "status is, must be", got, wanted);
    if (changed != NULL)
        report(m, "written outside of the outputs: address, status", (size_t)changed, got);
}

static void compare_bits(const struct masks *m)
{
    const uint8_t *mask = m->b[MASK].at, *bytes = m->b[BYTES].at;
    size_t ones = 0;

    for (size_t i = 0; i < m->n; i++) {
        const uint8_t bit = mask[i / 8] >> (i % 8) & 1;

        ones += bit;
        if ((m->function == UNPACK && bytes[i] != bit) ||
            (m->function == PACK && (bytes[i] != 0) != bit))
            report(m, "a bit is wrong: element, bit", i, bit);
    }
    if (m->function == COUNT && *kept_at(m) != ones)
        report(m, "count is, must be", *kept_at(m), ones);
    if (m->function == PACK && m->n % 8 != 0 && mask[m->n / 8] >> (m->n % 8) != 0)
        report(m, "a bit after the last is not 0: byte, n", mask[m->n / 8], m->n);
}

static void compare_blocks(const struct masks *m)
{
    const struct fuzz_buffer *mask = &m->b[MASK];
    size_t ones = 0;

    for (size_t i = 0; mask->used && i < mask->bytes; i++)
        ones += (size_t)__builtin_popcount(mask->at[i]);
    if (fuzz_present(&m->b[KEPT]) && *kept_at(m) != ones)
        report(m, "kept is, must be", *kept_at(m), ones);
    if (mask->used && memcmp(mask->at, memory_kept(mask->at), mask->bytes) != 0)
        report(m, "the mask differs from that of scalar on one thread", 0, 0);
}

/* Compares bitdrop_mask_2d_bytes with a sum over rows. */
static void compare_sizes(struct fuzz_input *in)
{
    bitdrop_2d s = {.rows = fuzz_below(in, 40), .cols = fuzz_below(in, 40)};
    size_t bytes = 0;

    s.mask_repeat = 1 + fuzz_below(in, 5);
    s.first_row = fuzz_number(in) >> 1;
    s.mask_stride = (s.cols + 7) / 8 + fuzz_below(in, 4);
    for (size_t r = 0; r < s.rows && s.cols > 0; r++)
        if (r == 0)
            bytes = (s.cols + 7) / 8;
        else if ((s.first_row + r) / s.mask_repeat != (s.first_row + r - 1) / s.mask_repeat)
            bytes += s.mask_stride;
    if (bitdrop_mask_2d_bytes(&s) != bytes)
        fuzz_fail("mask_2d_bytes: %zu, not %zu", bitdrop_mask_2d_bytes(&s), bytes);
    fuzz_change(in, &s, sizeof s);
    bitdrop_mask_2d_bytes(&s); /* any result, but UBSan must find nothing */
}

bool fuzz_one(struct fuzz_input *in)
{
    struct masks m = {.n = 0};

    choose(in, &m);
    place(in, &m);
    compare_sizes(in);
    const int wanted = expected_status(&m);

    if (wanted == FUZZ_TOO_LARGE)
        return false;
    if (wanted != BITDROP_OK || m.function != DROPBLOCK || !m.every_isa) {
        run_once(&m, (bitdrop_status)wanted, 0);
        if (wanted == BITDROP_OK && m.function != DROPBLOCK)
            compare_bits(&m);
        return true;
    }
    const bitdrop_parallel *parallel = m.cfg.parallel;

    m.cfg.parallel = NULL;
    for (unsigned isa = BITDROP_ISA_SCALAR; isa < BITDROP_ISA_COUNT; isa++) {
        if (!bitdrop_isa_supported((bitdrop_isa)isa))
            continue;
        m.cfg.isa = (uint8_t)isa;
        run_once(&m, BITDROP_OK, isa);
        if (isa == BITDROP_ISA_SCALAR)
            memory_keep();
        compare_blocks(&m);
        m.cfg.parallel = parallel;
    }
    return true;
}
