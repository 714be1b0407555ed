/* SPDX-License-Identifier: Apache-2.0 */
/* A call must not change the floating-point controls, and masks must not depend on them. */
#include <fenv.h>
#include <inttypes.h>
#include <string.h>

#include "call.h"
#include "check.h"

#if defined(__x86_64__)
#include <immintrin.h>

enum { STATUS_FLAGS = 0x3F };

/* MXCSR without its status flags, and the x87 control word. */
static uint64_t controls(void)
{
    uint16_t x87;

    __asm__ volatile("fnstcw %0" : "=m"(x87));
    return (uint64_t)x87 << 32 | (_mm_getcsr() & ~(unsigned)STATUS_FLAGS);
}

/* The default; rounding down; rounding toward zero; FTZ; DAZ; both; traps for invalid, division by
 * zero and overflow. */
static const uint32_t settings[] = {0x1F80, 0x3F80, 0x7F80, 0x9F80, 0x1FC0, 0x9FC0, 0x1900};

static void set_control(uint32_t value) { _mm_setcsr(value); }
#elif defined(__aarch64__)
static uint64_t controls(void)
{
    uint64_t fpcr;

    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return fpcr;
}

/* The default; rounding down; rounding toward zero; FZ; default NaN. */
static const uint32_t settings[] = {0, 0x800000, 0xC00000, 0x1000000, 0x2000000};

static void set_control(uint32_t value)
{
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)value));
}
#elif defined(__arm__) && defined(__ARM_FP)
static uint64_t controls(void)
{
    enum { CONTROL = 0x07C00000 }; /* AHP, DN, FZ, RMode; the rest are flags */
    uint32_t fpscr;

    __asm__ volatile("vmrs %0, fpscr" : "=r"(fpscr));
    return fpscr & CONTROL;
}

/* The default; rounding down; rounding toward zero; FZ; default NaN. */
static const uint32_t settings[] = {0, 0x800000, 0xC00000, 0x1000000, 0x2000000};

static void set_control(uint32_t value) { __asm__ volatile("vmsr fpscr, %0" : : "r"(value)); }
#else
static const uint32_t settings[] = {FE_TONEAREST};

static uint64_t controls(void) { return (uint64_t)fegetround(); }

static void set_control(uint32_t value) { fesetround((int)value); }
#endif

enum { N = 5011 }; /* the last vector has lanes beyond the last element */

static unsigned char x[N * 8], y[N * 8], prob[N * 8];
static uint8_t mask[(N + 7) / 8];

/*
 * The data itself must not trap. 0x3C3C... is an ordinary number in every dtype. Half of the data
 * is 0, but not where the mask is given: at p = 1 such a call multiplies by infinity.
 */
static void call_one(struct check *c, const bitdrop_config *cfg, enum bitdrop_operation op,
                     bitdrop_dtype t)
{
    const uint64_t before = controls();
    const bool given = operation_row(op)->bits == BITS_READ && cfg->mask_use == BITDROP_MASK_STORED;
    struct call call = {.op = op,
                        .flat = true,
                        .cfg = cfg,
                        .dtype = t,
                        .n = N,
                        .in = {x, x, x},
                        .y = y,
                        .mask = operation_uses_mask(op, cfg->mask_use) ? mask : NULL};

    if (operation_row(op)->in[2] == IN_PROB)
        call.in[2] = prob;
    memset(x, 0x3C, N * dtype_bytes(t));
    memset(x, given ? 0x3C : 0, N / 2 * dtype_bytes(t));
    const bitdrop_status status = call_run(&call);

    if (status != BITDROP_OK)
        check_fail(c, "refused: %s", bitdrop_status_string(status));
    if (controls() != before)
        check_fail(c, "%s %s: controls %" PRIx64 ", before %" PRIx64, operation_name(op),
                   dtype_name(t), controls(), before);
    c->cases++;
}

/*
 * Calls both passes of attention. Scratch memory is filled with signalling NaNs, which trap if the
 * library computes with them.
 */
static void call_attention(struct check *c, const bitdrop_config *cfg, bitdrop_dtype t,
                           uint32_t setting)
{
    enum { QUERIES = 9, KEYS = 45, DIM = 5, SCRATCH = 1 << 19 };
    static _Alignas(64) uint64_t scratch[SCRATCH / 8];
    static double lse[QUERIES];
    const uint64_t signalling =
        t == BITDROP_F64 ? UINT64_C(0x7FF47FF47FF47FF4) : UINT64_C(0x7FA07FA07FA07FA0);
    const bitdrop_attention a = {.batch = 1,
                                 .heads = 1,
                                 .queries = QUERIES,
                                 .keys = KEYS,
                                 .dim = DIM,
                                 .causal = 1,
                                 .causal_first = 7};
    const uint32_t control = (uint32_t)controls();
    bitdrop_config stored = *cfg;
    static uint8_t bits[QUERIES * ((KEYS + 7) / 8)];
    unsigned char *out = y, *dq = y + 500, *dk = y + 1000, *dv = y + 4000;
    bitdrop_status status[2];

    stored.mask_use = BITDROP_MASK_STORED;
    memset(x, 0x3C, sizeof x);
    if (bitdrop_attention_scratch_bytes(&stored, t, &a) > SCRATCH) {
        check_fail(c, "attention needs %zu bytes of scratch memory",
                   bitdrop_attention_scratch_bytes(&stored, t, &a));
        return;
    }
    for (int i = 0; i < SCRATCH / 8; i++)
        scratch[i] = signalling;
    set_control(setting);
    const uint64_t before = controls();
    status[0] = bitdrop_attention_forward(&stored, t, &a, x, x, x, out, lse, bits, scratch);
    for (int i = 0; i < SCRATCH / 8; i++)
        scratch[i] = signalling;
    status[1] =
        bitdrop_attention_backward(&stored, t, &a, x, x, x, x, out, lse, dq, dk, dv, bits, scratch);
    const uint64_t after = controls();
    set_control(control);
    if (status[0] != BITDROP_OK || status[1] != BITDROP_OK)
        check_fail(c, "attention is refused: %d, %d", status[0], status[1]);
    if (before != after)
        check_fail(c, "attention %s: controls %" PRIx64 ", before %" PRIx64, dtype_name(t), after,
                   before);
    c->cases++;
}

/*
 * Runs all operations with one setting. After those that store no marks, the mask must be `usual`,
 * the mask of the usual setting.
 */
static void call_all(struct check *c, bitdrop_config *cfg, bitdrop_dtype t, uint32_t setting,
                     const uint8_t *usual)
{
    const uint32_t control = (uint32_t)controls();
    const double p = cfg->p;

    for (int i = 0; i < 2 * BITDROP_OPERATION_COUNT; i++) {
        const enum bitdrop_operation op = (enum bitdrop_operation)(i / 2);

        cfg->mask_use = (uint8_t)(i % 2);
        cfg->p = operation_p(op, p);
        memcpy(mask, usual, sizeof mask);
        set_control(setting);
        call_one(c, cfg, op, t);
        set_control(control); /* MinGW's fesetenv leaves MXCSR as it is */
        if (!operation_marks(op) && memcmp(mask, usual, sizeof mask) != 0)
            check_fail(c, "%s: the mask depends on the control word %" PRIx32, operation_name(op),
                       setting);
    }
    cfg->mask_use = BITDROP_MASK_STORED;
    cfg->p = p;
}

void check_fp_control(struct check *c)
{
    static uint8_t usual[(N + 7) / 8];
    static const double ps[] = {0, 0.3, 0.7, 1};

    for (int i = 0; i < 4 * 4; i++) {
        bitdrop_config cfg = check_random_config(c);

        cfg.p = ps[i / 4];
        cfg.offset >>= 1;
        if (bitdrop_mask(&cfg, N, usual) != BITDROP_OK)
            check_fail(c, "refused");
        for (size_t j = 0; j < sizeof settings / sizeof *settings; j++) {
            call_all(c, &cfg, (bitdrop_dtype)(i % 4), settings[j], usual);
            call_attention(c, &cfg, (bitdrop_dtype)(i % 4), settings[j]);
        }
    }
}
