/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash of masks: a number that is the same on every machine and ISA, so that reports can be
 * compared. It is the 64-bit FNV-1a of a sequence of masks of 10,007 elements, 1,251 bytes, each:
 * for each p of probabilities, for each offset of offsets, for rounds 10 and 7. The seed is
 * 0x0123456789ABCDEF, and the stream is the number of the mask, from 0 on.
 */
#include <inttypes.h>

#include <string.h>

#include "call.h"
#include "check.h"
#include "layout.h"
#include "oracle.h"
#include "reference.h"

enum { ELEMENTS = 10007, BYTES = (ELEMENTS + 7) / 8 };

static const double probabilities[] = {1e-9, 1.0 / 256, 0.1, 0.25, 0.5, 0.9};

/* At the last two the lower word of the counter overflows: of late planes, and of early planes. */
static const uint64_t offsets[] = {0, 12345, (UINT64_C(1) << 37) - 5000,
                                   (UINT64_C(1) << 39) - 5000};

enum {
    PROBABILITIES = sizeof probabilities / sizeof *probabilities,
    OFFSETS = sizeof offsets / sizeof *offsets,
    MASKS = PROBABILITIES * OFFSETS * 2
};

static bitdrop_config config_of(uint32_t mask)
{
    return (bitdrop_config){
        .p = probabilities[mask / 2 / OFFSETS],
        .offset = offsets[mask / 2 % OFFSETS],
        .rounds = mask % 2 == 0 ? 10 : 7,
        .seed = UINT64_C(0x0123456789ABCDEF),
        .stream = mask,
    };
}

static unsigned char masks[MASKS * BYTES];

uint64_t check_hash_of_masks(bitdrop_isa isa)
{
    for (uint32_t i = 0; i < MASKS; i++) {
        bitdrop_config cfg = config_of(i);

        cfg.isa = (uint8_t)isa;
        if (bitdrop_mask(&cfg, ELEMENTS, masks + i * BYTES) != BITDROP_OK)
            return 0;
    }
    return oracle_hash(masks, sizeof masks);
}

static uint64_t hash_by_oracle(void)
{
    for (uint32_t i = 0; i < MASKS; i++) {
        const bitdrop_config cfg = config_of(i);
        unsigned char *mask = masks + i * BYTES;

        for (size_t b = 0; b < BYTES; b++)
            mask[b] = 0;
        for (size_t e = 0; e < ELEMENTS; e++)
            mask[e / 8] |= (unsigned char)(oracle_keep(&cfg, cfg.offset + e) << (e % 8));
    }
    return oracle_hash(masks, sizeof masks);
}

void check_mask_hash(struct check *c)
{
    const uint64_t wanted = UINT64_C(0x7CEE6EB4082EA1D5);
    const uint64_t by_kernels = check_hash_of_masks(c->isa), by_oracle = hash_by_oracle();

    if (by_kernels != wanted || by_oracle != wanted)
        check_fail(c, "hash of masks: %016" PRIx64 ", by the oracle %016" PRIx64, by_kernels,
                   by_oracle);
    c->cases += MASKS;
}

/*
 * The hash of values is the FNV-1a of the hashes of the operations, in the order of the list.
 * reference.c has the expected hash of each. The hash of an operation is the FNV-1a of everything
 * that two calls for each dtype, in the order of bitdrop_dtype, write: the output as little-endian
 * numbers, and the mask if the operation writes one. The first call has BITDROP_SCALE_TRAIN, ten
 * rounds and a stored mask. The second has BITDROP_SCALE_INFER and seven rounds, and remakes the
 * mask if the operation reads one.
 */
enum { ROWS = 9, COLS = 1113, VALUES = ROWS * COLS, MASK_BYTES = ROWS * ((COLS + 7) / 8) };
enum { INPUTS = BITDROP_MAX_INPUTS, WRITTEN = 2 * (16 * VALUES + 4 * MASK_BYTES) };

static unsigned char inputs[INPUTS][VALUES * 8], output[VALUES * 8];
static uint8_t value_mask[MASK_BYTES];
static const bitdrop_2d value_shape = {.rows = ROWS, .cols = COLS};
static const bitdrop_softmax value_softmax = {
    .scale = 0.3, .causal_rows = 5, .causal_first = COLS - 5}; /* each row has a row of the bias */

/* The bytes that the calls of one operation have written. */
struct written {
    unsigned char bytes[WRITTEN];
    size_t count;
};

/* The exponent field of 1.0, and how many bits the fraction has. */
struct format {
    unsigned bias, fraction;
};

static struct format format_of(bitdrop_dtype t)
{
    static const struct format formats[] = {[BITDROP_F32] = {127, 23},
                                            [BITDROP_F64] = {1023, 52},
                                            [BITDROP_F16] = {15, 10},
                                            [BITDROP_BF16] = {127, 7}};
    return formats[t];
}

static void put_element(bitdrop_dtype t, uint64_t bits, unsigned char *at)
{
    if (t == BITDROP_F64)
        memcpy(at, &bits, 8);
    else if (t == BITDROP_F32)
        memcpy(at, &(uint32_t){(uint32_t)bits}, 4);
    else
        memcpy(at, &(uint16_t){(uint16_t)bits}, 2);
}

/*
 * Numbers from 2^-4 to 2^4 of both signs, and some zeros, infinities and NaNs. Infinities and NaNs
 * begin only at element `special`. No operation computes a denormal from these numbers in f32 or
 * f64: ARMv7 would flush it.
 */
static void fill_values(bitdrop_dtype t, size_t special)
{
    const struct format f = format_of(t);
    struct check c = {.random = 2026};

    for (int i = 0; i < INPUTS; i++)
        for (size_t k = 0; k < VALUES; k++) {
            const uint64_t r = check_random(&c);
            const uint64_t top = 2 * f.bias + 1;
            uint64_t exponent = f.bias - 4 + r % 8, fraction = r >> (64 - f.fraction);

            if (r >> 8 & 31 || (k < special && (r >> 14 & 1))) {
                /* a number */
            } else if (r >> 13 & 1) {
                exponent = r >> 14 & 1 ? top : 0;
                fraction = 0;
            } else if (r >> 14 & 1) {
                exponent = top;
                fraction = UINT64_C(1) << (f.fraction - 1);
            }
            const uint64_t sign = (r >> 15 & 1) << (8 * dtype_bytes(t) - 1);

            put_element(t, sign | exponent << f.fraction | fraction,
                        inputs[i] + k * dtype_bytes(t));
        }
}

static void append(struct written *w, bitdrop_dtype t, const void *element)
{
    const struct format f = format_of(t);
    uint64_t bits = oracle_bits(t, element);

    if (oracle_is_nan(t, element)) /* all NaNs count as one */
        bits = (uint64_t)(4 * f.bias + 3) << (f.fraction - 1);
    for (size_t b = 0; b < dtype_bytes(t); b++)
        w->bytes[w->count++] = (unsigned char)(bits >> (8 * b));
}

/* Fills the mask, for calls that read it. */
static void fill_mask(void)
{
    struct check c = {.random = 2027};

    for (size_t i = 0; i < MASK_BYTES; i++)
        value_mask[i] = (uint8_t)check_random(&c);
}

static struct call value_call(enum bitdrop_operation op, bitdrop_dtype t, const bitdrop_config *cfg)
{
    struct call call = {.op = op,
                        .cfg = cfg,
                        .dtype = t,
                        .shape = &value_shape,
                        .y = output,
                        .mask = value_mask,
                        .soft = &value_softmax};

    for (int i = 0; i < INPUTS; i++)
        call.in[i] = operation_reads(op, cfg->mask_use, i) ? inputs[i] : NULL;
    if (!operation_uses_mask(op, cfg->mask_use))
        call.mask = NULL;
    fill_values(t, operation_of_rows(op) ? VALUES - COLS : 0); /* a NaN makes its whole row NaNs */
    fill_mask();
    return call;
}

static void reference_call(const struct call *call)
{
    const size_t bytes = dtype_bytes(call->dtype);
    const bitdrop_2d filled = layout_filled(call->shape);
    const bool reads = operation_row(call->op)->bits == BITS_READ && call->mask != NULL;

    for (size_t row = 0; row < ROWS; row++)
        for (size_t col = 0; col < COLS; col++) {
            const size_t at = row * COLS + col, bit = layout_bit(&filled, false, row, col);
            const uint8_t in_mask = (uint8_t)(1 << (bit % 8));
            struct element e = {.op = call->op, .cfg = call->cfg, .dtype = call->dtype};

            e.index = layout_index(&filled, call->cfg->offset, row, col);
            e.stored = reads;
            e.keep =
                reads ? (value_mask[bit / 8] & in_mask) != 0
                      : oracle_keep(call->cfg, layout_index(&filled, call->cfg->offset, row, col));
            for (int i = 0; i < INPUTS; i++)
                if (call->in[i] != NULL)
                    e.in[i] =
                        inputs[i] + (operation_row(call->op)->in[i] == IN_BIAS ? col : at) * bytes;
            reference(&e);
            if (operation_has_data(call->op))
                memcpy(output + at * bytes, e.y, bytes);
            if (!reads)
                value_mask[bit / 8] = (uint8_t)(e.bit ? value_mask[bit / 8] | in_mask
                                                      : value_mask[bit / 8] & ~in_mask);
        }
    for (size_t row = 0; row < ROWS && !reads; row++) /* the bits after the last column */
        value_mask[(row + 1) * filled.mask_stride - 1] &= (1 << COLS % 8) - 1;
}

/* The hash by the kernels of an ISA, or by the reference if isa is AUTO. 0 if a call fails. */
static uint64_t hash_of_operation(enum bitdrop_operation op, bitdrop_isa isa)
{
    static struct written w;

    w.count = 0;
    for (int i = 0; i < (operation_has_data(op) ? 4 * 2 : 2); i++) {
        const bitdrop_dtype t = (bitdrop_dtype)(i / 2);
        const bitdrop_config cfg = {.p = 0.1,
                                    .seed = UINT64_C(0x0123456789ABCDEF),
                                    .stream = (uint32_t)i,
                                    .offset = 12345,
                                    .rounds = i % 2 ? 7 : 10,
                                    .scaling = (uint8_t)(i % 2),
                                    .isa = (uint8_t)isa,
                                    .mask_use = operation_row(op)->bits == BITS_READ && i % 2
                                                    ? BITDROP_MASK_REMADE
                                                    : BITDROP_MASK_STORED};
        const struct call call = value_call(op, t, &cfg);

        if (isa == BITDROP_ISA_AUTO)
            reference_call(&call);
        else if (call_run(&call) != BITDROP_OK)
            return 0;
        for (size_t k = 0; k < VALUES && operation_has_data(op); k++)
            append(&w, t, output + k * dtype_bytes(t));
        if (operation_row(op)->bits == BITS_WRITTEN) {
            memcpy(w.bytes + w.count, value_mask, MASK_BYTES);
            w.count += MASK_BYTES;
        }
    }
    return oracle_hash(w.bytes, w.count);
}

static uint64_t hash_of_hashes(const uint64_t *hashes, size_t count)
{
    unsigned char bytes[8 * BITDROP_OPERATION_COUNT];

    for (size_t i = 0; i < 8 * count; i++)
        bytes[i] = (unsigned char)(hashes[i / 8] >> (8 * (i % 8)));
    return oracle_hash(bytes, 8 * count);
}

static uint64_t hash_of_operations(bitdrop_isa isa, bool by_math)
{
    uint64_t hashes[BITDROP_OPERATION_COUNT];
    size_t count = 0;

    for (int i = 0; i < BITDROP_OPERATION_COUNT; i++) {
        const enum bitdrop_operation op = (enum bitdrop_operation)i;

        if (reference_by_math(op) == by_math)
            hashes[count++] = hash_of_operation(op, isa);
    }
    return hash_of_hashes(hashes, count);
}

uint64_t check_hash_of_values(bitdrop_isa isa) { return hash_of_operations(isa, false); }

uint64_t check_hash_of_math(bitdrop_isa isa) { return hash_of_operations(isa, true); }

static void expect_hash(struct check *c, enum bitdrop_operation op)
{
    const uint64_t wanted = reference_hash(op);
    const uint64_t by_kernels = hash_of_operation(op, c->isa);
    const uint64_t by_reference = hash_of_operation(op, BITDROP_ISA_AUTO);

    if (by_kernels != wanted || by_reference != wanted)
        check_fail(c, "hash of values of %s: %016" PRIx64 ", by the reference %016" PRIx64,
                   operation_name(op), by_kernels, by_reference);
}

/* Whether scalar calls SLEEF too. */
static bool has_fma(void)
{
#ifdef __x86_64__
    return __builtin_cpu_supports("fma");
#else
    return true;
#endif
}

/*
 * With SLEEF 3.5.1 the hash is the same on all machines. With another version, or with libm, it is
 * unknown, but must be the same on all ISAs of this machine.
 */
static void expect_math_hash(struct check *c, enum bitdrop_operation op)
{
    const bool is_known = strcmp(bitdrop_math(), "sleef 3.5.1") == 0 && has_fma();
    const uint64_t by_kernels = hash_of_operation(op, c->isa);
    const uint64_t wanted =
        is_known ? reference_hash(op) : hash_of_operation(op, BITDROP_ISA_SCALAR);

    if (by_kernels != wanted)
        check_fail(c, "hash of values of %s by %s: %016" PRIx64 ", not %016" PRIx64,
                   operation_name(op), bitdrop_math(), by_kernels, wanted);
}

void check_value_hash(struct check *c)
{
    for (int i = 0; i < BITDROP_OPERATION_COUNT; i++) {
        const enum bitdrop_operation op = (enum bitdrop_operation)i;

        if (reference_by_math(op))
            expect_math_hash(c, op);
        else
            expect_hash(c, op);
        c->cases++;
    }
}
