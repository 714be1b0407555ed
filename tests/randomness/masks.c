/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of flat masks. */
#include "battery.h"

#include <math.h>
#include <stdlib.h>

#define SEED UINT64_C(0x243F6A88DEADBE62) /* its high half and STREAM are even, for part_pairs */
#define STREAM UINT32_C(0x13198A2E)

enum { MASKS = 1 << 23 }; /* elements of a mask in static memory */

/* How many of n elements are dropped. */
static uint64_t dropped(struct battery *b, bitdrop_config cfg, size_t n)
{
    static uint64_t mask[MASKS / 64];
    const uint64_t first = cfg.offset;
    uint64_t count = 0;

    for (size_t i = 0; i < n; i += MASKS) {
        const size_t part = n - i < MASKS ? n - i : MASKS;

        cfg.offset = first + i;
        source_mask(b->source, &cfg, part, mask);
        count += part - bits_count(mask, part);
    }
    return count;
}

static void add_frequency(struct battery *b, const char *what, bitdrop_config cfg, double p)
{
    const size_t n = battery_size(b, 30);

    cfg.p = p;
    battery_add(b, "ladder", what, n, p_of_binomial(n, p, dropped(b, cfg, n)));
}

/* Chi-square of how many uniform numbers are in each of 256 intervals of [0, width). */
static void add_intervals(struct battery *b, const char *what, bitdrop_config cfg, double width,
                          size_t n)
{
    const double expected = (double)n * width / 256;
    double chi_square = 0;
    uint64_t below = 0;

    if (expected < 16)
        return;
    for (int i = 1; i <= 256; i++) {
        cfg.p = width * i / 256;

        const uint64_t count = cfg.p < 1 ? dropped(b, cfg, n) : n;
        const double difference = (double)(count - below) - expected;

        chi_square += difference * difference / expected;
        below = count;
    }
    /* The numbers that are not below width are one more cell. */
    if (width < 1) {
        const double difference = (double)(n - below) - (double)n * (1 - width);

        chi_square += difference * difference / ((double)n * (1 - width));
    }
    battery_add(b, "ladder", what, n, p_of_chi_square(chi_square, width < 1 ? 256 : 255));
}

void part_ladder(struct battery *b)
{
    static const double usual[] = {0.1, 0.2, 0.3, 1.0 / 3, 0.7, 0.9, 0.99, 0.001};

    for (uint8_t rounds = 7; rounds <= 10; rounds += 3) {
        const bitdrop_config cfg = {.seed = SEED + rounds, .stream = STREAM, .rounds = rounds};

        for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
            add_frequency(b, "usual p", cfg, usual[i]);
        for (int k = 1; k <= 30; k++)
            add_frequency(b, "p = 2^-1 to 2^-30", cfg, ldexp(1, -k));
        for (int k = 2; k <= 30; k++) {
            add_frequency(b, "p = 3 * 2^-3 to 3 * 2^-31", cfg, ldexp(3, -k - 1));
            add_frequency(b, "p = 1 - 2^-2 to 1 - 2^-30", cfg, 1 - ldexp(1, -k));
        }
        add_intervals(b, "256ths of [0, 1)", cfg, 1, battery_size(b, 26));
        add_intervals(b, "256ths of [0, 2^-8)", cfg, 0x1p-8, battery_size(b, 28));
    }
}

/* Counts for each bit of blocks of 128 how often it is 1: ones[i] counts bits i, 128 + i, … */
static void count_each_bit(const uint64_t *bits, size_t n, uint64_t ones[128])
{
    enum { DIGITS = 24 };

    for (size_t half = 0; half < 2; half++) {
        uint64_t digits[DIGITS] = {0}; /* bit i of digit k: binary digit k of the count of bit i */

        for (size_t w = half; w < n / 64; w += 2) {
            uint64_t carry = bits[w];

            for (size_t k = 0; carry != 0 && k < DIGITS; k++) {
                const uint64_t both = digits[k] & carry;

                digits[k] ^= carry;
                carry = both;
            }
        }
        for (size_t i = 0; i < 64; i++) {
            ones[64 * half + i] = 0;
            for (size_t k = 0; k < DIGITS; k++)
                ones[64 * half + i] |= (digits[k] >> i & 1) << k;
        }
    }
}

static void make_half_mask(struct battery *b, bitdrop_config cfg, size_t n, uint64_t *mask)
{
    cfg.p = 0.5;
    source_mask(b->source, &cfg, n, mask);
}

/* Tests two masks at p = 1/2 that should be independent. */
static void add_pair(struct battery *b, const char *what, const uint64_t *base,
                     const uint64_t *other, size_t n)
{
    static uint64_t both[MASKS / 64];
    const size_t blocks = n / 128;
    uint64_t ones[128];
    double chi_square = 0;

    for (size_t lag = 0; lag <= 128; lag += 32) {
        battery_add(b, "pairs", what, n,
                    p_of_binomial(n - lag, 0.5, bits_xor_count(base, other, n, lag)));
        battery_add(b, "pairs", what, n,
                    p_of_binomial(n - lag, 0.5, bits_xor_count(other, base, n, lag)));
    }
    for (size_t i = 0; i < n / 64; i++)
        both[i] = base[i] ^ other[i];
    count_each_bit(both, n, ones);
    for (size_t i = 0; i < 128; i++) {
        const double difference = (double)ones[i] - (double)blocks / 2;

        chi_square += difference * difference / ((double)blocks / 4);
    }
    battery_add(b, "pairs", what, n, p_of_chi_square(chi_square, 128));
}

static void add_neighbour(struct battery *b, const char *what, const uint64_t *base,
                          bitdrop_config cfg, uint64_t seed, uint64_t stream, uint64_t offset)
{
    static uint64_t other[MASKS / 64];
    const size_t n = battery_size(b, 23);

    cfg.seed += seed;
    cfg.stream += (uint32_t)stream;
    cfg.offset += offset;
    make_half_mask(b, cfg, n, other);
    add_pair(b, what, base, other, n);
}

void part_pairs(struct battery *b)
{
    static uint64_t base[MASKS / 64], other[MASKS / 64];
    static const bitdrop_config bases[] = {{.seed = SEED, .stream = STREAM}, {.seed = 0}};
    const size_t n = battery_size(b, 23);

    for (size_t i = 0; i < 4; i++) {
        bitdrop_config cfg = bases[i / 2];

        cfg.rounds = i % 2 ? 7 : 10;
        make_half_mask(b, cfg, n, base);
        for (unsigned k = 0; k < 32; k++) {
            add_neighbour(b, "seeds 2^0 to 2^31 apart", base, cfg, UINT64_C(1) << k, 0, 0);
            add_neighbour(b, "seeds 2^32 to 2^63 apart", base, cfg, UINT64_C(1) << k << 32, 0, 0);
            add_neighbour(b, "streams 2^0 to 2^31 apart", base, cfg, 0, UINT64_C(1) << k, 0);
            add_neighbour(b, "(seed + 2^(32+k), stream + 2^k)", base, cfg, UINT64_C(1) << k << 32,
                          UINT64_C(1) << k, 0);
        }
        for (unsigned k = 23; k < 63; k++)
            add_neighbour(b, "offsets 2^23 to 2^62 apart", base, cfg, 0, 0, UINT64_C(1) << k);
        if (cfg.rounds == 10) {
            cfg.rounds = 7;
            make_half_mask(b, cfg, n, other);
            add_pair(b, "7 against 10 rounds", base, other, n);
        }
    }
}

/* Tests each output bit by itself, because with 6 rounds only some of them are wrong. */
static void add_streams(struct battery *b, const char *what, bitdrop_config cfg,
                        uint32_t difference)
{
    enum { N = 1 << 25 }; /* 2^18 blocks, for every battery: fewer would not show 6 rounds */
    static uint64_t mask[N / 64], other[N / 64];
    uint64_t ones[128];

    make_half_mask(b, cfg, N, mask);
    cfg.stream ^= difference;
    make_half_mask(b, cfg, N, other);
    for (size_t i = 0; i < N / 64; i++)
        mask[i] ^= other[i];
    count_each_bit(mask, N, ones);
    for (size_t i = 0; i < 128; i++)
        battery_add(b, "streams", what, N, p_of_binomial(N / 128, 0.5, ones[i]));
}

void part_streams(struct battery *b)
{
    const uint32_t streams = b->most < 30 ? 2 : 32;

    for (uint8_t rounds = 7; rounds <= 10; rounds += 3)
        for (uint32_t i = 0; i < streams; i++) {
            const bitdrop_config cfg = {.seed = i * SEED, .stream = i, .rounds = rounds};

            add_streams(b, "output bits of s and s ^ 1", cfg, 1);
            add_streams(b, "output bits of s and s ^ 2^k", cfg, UINT32_C(1) << i);
        }
}

void part_words(struct battery *b)
{
    static const double p[] = {0.5, 0.1, 0.3};
    const size_t n = battery_size(b, 26);
    uint64_t *mask = allocate(n / 8);

    for (size_t i = 0; i < 6; i++) {
        const bitdrop_config cfg = {
            .p = p[i / 2], .seed = SEED + i, .stream = STREAM, .rounds = i % 2 ? 7 : 10};

        source_mask(b->source, &cfg, n, mask);
        battery_bits(b, "words", mask, n, 1 - cfg.p);
    }
    free(mask);
}

static void add_late_pair(struct battery *b, const char *what, const uint64_t *late,
                          const uint64_t *other, size_t n)
{
    battery_add(b, "late", what, n, p_of_binomial(n, 0.5, bits_xor_count(late, other, n, 0)));
}

/* Compares late word w with early words 4 w … 4 w + 3: both are of a block with index w. */
static void add_block_pairs(struct battery *b, const uint64_t *late, const uint64_t *early,
                            size_t n)
{
    const uint32_t *late_word = (const uint32_t *)late, *early_word = (const uint32_t *)early;

    for (size_t k = 0; k < 4; k++) {
        uint64_t count = 0;

        for (size_t w = 0; w < n / 128; w++)
            count += (unsigned)__builtin_popcount(late_word[w] ^ early_word[4 * w + k]);
        battery_add(b, "late", "late and early blocks of one index", n / 4,
                    p_of_binomial(n / 4, 0.5, count));
    }
}

void part_late(struct battery *b)
{
    const bitdrop_config cfg = {.seed = SEED, .stream = STREAM};
    bitdrop_config neighbour = cfg;
    const size_t n = battery_size(b, 26), short_n = n >> 4;
    uint64_t *late = allocate(n / 8), *other = allocate(n / 8);

    source_plane(b->source, &cfg, 8, n, late);
    battery_bits(b, "late", late, n, 0.5);
    for (unsigned j = 0; j < 8; j++) {
        source_plane(b->source, &cfg, j, n, other);
        add_late_pair(b, "planes 0 to 7, element by element", late, other, n);
        add_block_pairs(b, late, other, n);
    }
    neighbour.stream ^= 1;
    source_plane(b->source, &neighbour, 8, n, other);
    add_late_pair(b, "stream ^ 1", late, other, n);
    neighbour = cfg;
    neighbour.seed++;
    source_plane(b->source, &neighbour, 8, n, other);
    add_late_pair(b, "seed + 1", late, other, n);
    source_plane(b->source, &cfg, 9, short_n, other);
    add_late_pair(b, "plane 9", late, other, short_n);
    source_plane(b->source, &cfg, 12, short_n >> 2, other);
    add_late_pair(b, "plane 12, of the next block", late, other, short_n >> 2);
    free(late);
    free(other);
}
