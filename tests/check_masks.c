/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the calls on masks alone: sizes in bytes, counting, unpacking and packing. */
#include <inttypes.h>
#include <string.h>

#include "check.h"
#include "layout.h"
#include "rows.h"

enum { LONGEST = 100000 };

/* Buffers that end or begin at an unmapped page. */
struct mask_buffers {
    struct rows mask, bytes;
};

static struct mask_buffers place(struct check *c, size_t n)
{
    static struct guard guards[2][3];
    const struct place at = {check_below(c, 3) == 0 ? check_below(c, 64) : 0, check_below(c, 2)};

    for (int i = 0; i < 2 && guards[i][0].size == 0; i++) {
        guards[i][0] = guard_new(1);
        guards[i][1] = guard_new(20000);
        guards[i][2] = guard_new(LONGEST + 100);
    }
    return (struct mask_buffers){
        .mask = rows_new(guards[0], 1, (n + 7) / 8, (n + 7) / 8, at),
        .bytes = rows_new(guards[1], 1, n, n, at),
    };
}

static void fill(struct check *c, const struct rows *r)
{
    const size_t zero_thirds = check_below(c, 3); /* of the bytes */

    for (size_t i = 0; i < r->bytes; i++)
        rows_shadow(r, 0)[i] = (uint8_t)(check_below(c, 3) < zero_thirds ? 0 : check_random(c));
    rows_settle(r);
}

static void expect_same(struct check *c, const char *what, size_t n, bitdrop_status status,
                        const struct mask_buffers *b)
{
    const unsigned char *p = guard_difference(b->mask.guard);

    if (status != BITDROP_OK)
        check_fail(c, "%s of %zu: %s", what, n, bitdrop_status_string(status));
    if (p != NULL)
        check_fail(c, "%s of %zu: byte %td of the mask is %02x, not %02x", what, n, p - b->mask.at,
                   *p, *guard_shadow(b->mask.guard, p));
    p = guard_difference(b->bytes.guard);
    if (p != NULL)
        check_fail(c, "%s of %zu: byte %td is %02x, not %02x", what, n, p - b->bytes.at, *p,
                   *guard_shadow(b->bytes.guard, p));
    c->cases++;
}

static void check_length(struct check *c, size_t n)
{
    struct mask_buffers b = place(c, n);
    uint8_t *bits = rows_shadow(&b.mask, 0), *bytes = rows_shadow(&b.bytes, 0);
    size_t kept = 0, counted = 12345;

    fill(c, &b.mask); /* also the bits after the last element */
    for (size_t i = 0; i < n; i++) {
        bytes[i] = bits[i / 8] >> (i % 8) & 1;
        kept += bytes[i];
    }
    expect_same(c, "unpacking", n, bitdrop_mask_unpack(n, b.mask.at, b.bytes.at), &b);
    expect_same(c, "counting", n, bitdrop_mask_count(n, b.mask.at, &counted), &b);
    if (counted != kept)
        check_fail(c, "counting %zu: %zu, not %zu", n, counted, kept);

    fill(c, &b.bytes);
    memset(bits, 0, b.mask.bytes);
    for (size_t i = 0; i < n; i++)
        bits[i / 8] |= (uint8_t)((bytes[i] != 0) << (i % 8));
    expect_same(c, "packing", n, bitdrop_mask_pack(n, b.bytes.at, b.mask.at), &b);
}

/* Packs all byte values: only 0 becomes a bit 0. */
static void check_byte_values(struct check *c)
{
    uint8_t bytes[256], mask[32], wanted[32];

    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    memset(wanted, 0xFF, sizeof wanted);
    wanted[0] = 0xFE;
    if (bitdrop_mask_pack(256, bytes, mask) != BITDROP_OK || memcmp(mask, wanted, 32) != 0)
        check_fail(c, "packing each byte value");
}

static void expect_status(struct check *c, const char *what, bitdrop_status got,
                          bitdrop_status wanted)
{
    if (got != wanted)
        check_fail(c, "%s: status %d, not %d", what, got, wanted);
    c->cases++;
}

#define EXPECT(call, status) expect_status(c, #call, call, status)

static void check_mask_statuses(struct check *c)
{
    union {
        uint8_t byte[400];
        size_t kept[50];
    } a, before;
    uint8_t *mask = a.byte, *bytes = a.byte + 100;
    uint8_t *const near_end = (uint8_t *)(UINTPTR_MAX - 3); /* of the address space */
    size_t kept = 7;

    for (size_t i = 0; i < sizeof a; i++)
        a.byte[i] = (uint8_t)check_random(c);
    before = a;
    EXPECT(bitdrop_mask_count(100, NULL, &kept), BITDROP_ERR_NULL);
    EXPECT(bitdrop_mask_count(100, mask, NULL), BITDROP_ERR_NULL);
    EXPECT(bitdrop_mask_count(0, mask, NULL), BITDROP_ERR_NULL);
    EXPECT(bitdrop_mask_unpack(100, NULL, bytes), BITDROP_ERR_NULL);
    EXPECT(bitdrop_mask_unpack(100, mask, NULL), BITDROP_ERR_NULL);
    EXPECT(bitdrop_mask_pack(100, NULL, mask), BITDROP_ERR_NULL);
    EXPECT(bitdrop_mask_pack(100, bytes, NULL), BITDROP_ERR_NULL);
    EXPECT(bitdrop_mask_unpack(SIZE_MAX, mask, bytes), BITDROP_ERR_RANGE);
    EXPECT(bitdrop_mask_pack(SIZE_MAX, bytes, mask), BITDROP_ERR_RANGE);
    EXPECT(bitdrop_mask_count(SIZE_MAX, near_end, &kept), BITDROP_ERR_RANGE);
    EXPECT(bitdrop_mask_unpack(64, near_end, bytes), BITDROP_ERR_RANGE);
    EXPECT(bitdrop_mask_pack(64, bytes, near_end), BITDROP_ERR_RANGE);
    EXPECT(bitdrop_mask_unpack(100, bytes + 99, bytes), BITDROP_ERR_OVERLAP);
    EXPECT(bitdrop_mask_unpack(100, bytes - 12, bytes), BITDROP_ERR_OVERLAP);
    EXPECT(bitdrop_mask_unpack(100, bytes, bytes), BITDROP_ERR_OVERLAP);
    EXPECT(bitdrop_mask_pack(100, bytes, bytes), BITDROP_ERR_OVERLAP);
    EXPECT(bitdrop_mask_pack(100, bytes, bytes + 99), BITDROP_ERR_OVERLAP);
    EXPECT(bitdrop_mask_pack(100, bytes, bytes - 12), BITDROP_ERR_OVERLAP);
    EXPECT(bitdrop_mask_count(8 * sizeof(size_t), mask, a.kept), BITDROP_ERR_OVERLAP);
    EXPECT(bitdrop_mask_count(8 * sizeof(size_t) + 1, mask, a.kept + 1), BITDROP_ERR_OVERLAP);
    if (kept != 7 || memcmp(&a, &before, sizeof a) != 0)
        check_fail(c, "a call that fails wrote something");

    EXPECT(bitdrop_mask_unpack(0, NULL, NULL), BITDROP_OK);
    EXPECT(bitdrop_mask_pack(0, NULL, NULL), BITDROP_OK);
    EXPECT(bitdrop_mask_unpack(100, bytes - 13, bytes), BITDROP_OK);
    EXPECT(bitdrop_mask_unpack(100, bytes + 100, bytes), BITDROP_OK);
    EXPECT(bitdrop_mask_pack(100, bytes, bytes + 100), BITDROP_OK);
    EXPECT(bitdrop_mask_pack(100, bytes, bytes - 13), BITDROP_OK);
    EXPECT(bitdrop_mask_count(8 * sizeof(size_t), mask, a.kept + 1), BITDROP_OK);
    EXPECT(bitdrop_mask_count(0, NULL, &kept), BITDROP_OK);
    if (kept != 0)
        check_fail(c, "counting nothing: %zu", kept);
}

static void expect_bytes(struct check *c, const char *what, const bitdrop_2d *s, size_t wanted)
{
    if (bitdrop_mask_2d_bytes(s) != wanted)
        check_fail(c, "%s: a mask of %zu bytes, not %zu", what, bitdrop_mask_2d_bytes(s), wanted);
    c->cases++;
}

static void check_bytes(struct check *c)
{
    for (size_t n = 0; n < 100; n++)
        if (bitdrop_mask_bytes(n) != (n + 7) / 8)
            check_fail(c, "a mask of %zu elements: %zu bytes", n, bitdrop_mask_bytes(n));
    if (bitdrop_mask_bytes(SIZE_MAX) != SIZE_MAX / 8 + 1)
        check_fail(c, "a mask of SIZE_MAX elements");

    for (int i = 0; i < 2000; i++) {
        bitdrop_2d s = {.rows = check_below(c, 40), .cols = check_below(c, 40)};

        s.unit = (uint32_t)check_below(c, 2);
        s.mask_repeat = check_below(c, 8);
        s.first_row = check_below(c, 2) ? 0 : check_random(c) >> check_below(c, 64) >> 1;
        if (s.unit == BITDROP_EACH_ELEMENT && check_below(c, 2))
            s.mask_stride = (s.cols + 7) / 8 + check_below(c, 5);
        const bitdrop_2d filled = layout_filled(&s);
        const struct layout_mask m = layout_mask(&filled, false);

        expect_bytes(c, "random", &s, rows_total(m.rows, m.bytes, m.stride));
    }
    expect_bytes(c, "NULL", NULL, 0);
    expect_bytes(c, "too many rows", &(bitdrop_2d){.rows = SIZE_MAX, .cols = 9}, 0);
    expect_bytes(c, "rows too far apart",
                 &(bitdrop_2d){.rows = 3, .cols = 1, .mask_stride = SIZE_MAX / 2 + 1}, 0);
    expect_bytes(c, "rows as far apart as possible",
                 &(bitdrop_2d){.rows = 3, .cols = 1, .mask_stride = SIZE_MAX / 2}, SIZE_MAX);
    expect_bytes(c, "rows past 2^64",
                 &(bitdrop_2d){.rows = 3, .cols = 9, .first_row = UINT64_MAX - 1}, 0);
    expect_bytes(c, "rows up to 2^64",
                 &(bitdrop_2d){.rows = 2, .cols = 9, .first_row = UINT64_MAX - 1}, 4);
    expect_bytes(c, "many rows that share a mask row",
                 &(bitdrop_2d){SIZE_MAX, 9, .mask_repeat = SIZE_MAX}, 2);
    expect_bytes(c, "many rows with one decision each",
                 &(bitdrop_2d){.rows = SIZE_MAX, .cols = 9, .unit = BITDROP_EACH_ROW},
                 SIZE_MAX / 8 + 1);
}

void check_masks(struct check *c)
{
    for (size_t n = 0; n < 3000; n += 1 + check_below(c, 2 * c->thin - 1))
        check_length(c, n);
    for (int i = 0; i < 5; i++)
        check_length(c, check_below(c, LONGEST));
    check_byte_values(c);
    check_mask_statuses(c);
    check_bytes(c);
}
