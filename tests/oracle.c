/* SPDX-License-Identifier: Apache-2.0 */
#include "oracle.h"

#include <math.h>
#include <string.h>

void oracle_philox(const uint32_t counter[4], const uint32_t key[2], int rounds, uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];

    for (int r = 0; r < rounds; r++) {
        const uint64_t a = (uint64_t)0xD2511F53 * c0;
        const uint64_t b = (uint64_t)0xCD9E8D57 * c2;

        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)b;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* Bit b_j of U(e): the table of "One uniform for each element". */
static int uniform_bit(const bitdrop_config *cfg, uint64_t e, unsigned j)
{
    const uint64_t group = j < 8 ? e / 128 : e / 32;
    const uint32_t counter[4] = {(uint32_t)group, (uint32_t)(group >> 32),
                                 j < 8 ? j : 8 + (j - 8) / 4, cfg->stream};
    const uint32_t key[2] = {(uint32_t)cfg->seed, (uint32_t)(cfg->seed >> 32)};
    uint32_t out[4];

    oracle_philox(counter, key, cfg->rounds == 7 ? 7 : 10, out);
    return out[j < 8 ? e % 128 / 32 : (j - 8) % 4] >> (e % 32) & 1;
}

bool oracle_keep(const bitdrop_config *cfg, uint64_t e)
{
    if (cfg->p == 1)
        return false;
    const uint64_t threshold = (uint64_t)floor(ldexp(cfg->p, 64));

    for (unsigned j = 0; j < 64; j++) {
        const int u = uniform_bit(cfg, e, j);
        const int t = threshold >> (63 - j) & 1;

        if (u != t)
            return u > t;
    }
    return true; /* equal is not below */
}

size_t oracle_bytes(bitdrop_dtype t) { return t == BITDROP_F64 ? 8 : t == BITDROP_F32 ? 4 : 2; }

/* A format: bits of its fraction, and the exponents of its least and greatest normal numbers. */
struct format {
    int fraction, least, greatest;
};

static struct format format_of(bitdrop_dtype t)
{
    return t == BITDROP_F16 ? (struct format){10, -14, 15} : (struct format){7, -126, 127};
}

float oracle_widen(bitdrop_dtype t, uint16_t h)
{
    const struct format f = format_of(t);
    const int exponent = (h & 0x7FFF) >> f.fraction;
    const int fraction = h & ((1 << f.fraction) - 1);
    const double sign = h & 0x8000 ? -1 : 1;

    if (exponent == f.greatest - f.least + 2) {
        if (fraction == 0)
            return (float)(sign * INFINITY);
        const uint32_t payload = (uint32_t)fraction << (23 - f.fraction);
        const uint32_t u = (uint32_t)(h & 0x8000) << 16 | 0x7F800000 | payload;
        float x;

        memcpy(&x, &u, sizeof x);
        return x;
    }
    if (exponent == 0)
        return (float)(sign * ldexp(fraction, f.least - f.fraction));
    return (float)(sign * ldexp((1 << f.fraction) + fraction, exponent - 1 + f.least - f.fraction));
}

uint16_t oracle_narrow(bitdrop_dtype t, float x)
{
    const struct format f = format_of(t);
    const int top = f.greatest - f.least + 2; /* exponent field of infinities and NaNs */
    uint32_t u;

    memcpy(&u, &x, sizeof u);
    const uint16_t sign = (uint16_t)(u >> 31 << 15);
    if (isnan(x))
        return (uint16_t)(sign | top << f.fraction | 1 << (f.fraction - 1) |
                          (int)(u & 0x7FFFFF) >> (23 - f.fraction));
    if (isinf(x))
        return (uint16_t)(sign | top << f.fraction);
    if (x == 0)
        return sign;

    int exponent = ilogbf(x);
    if (exponent < f.least)
        exponent = f.least;
    /* In units of the last place; the default rounding of nearbyint is to nearest even. */
    const int units = (int)nearbyint(ldexp(fabs((double)x), f.fraction - exponent));
    /* A carry out of the fraction, or out of the denormals, moves on to the next exponent. */
    const int encoded = units + (exponent - f.least) * (1 << f.fraction);
    if (encoded >= top << f.fraction)
        return (uint16_t)(sign | top << f.fraction);
    return (uint16_t)(sign | encoded);
}

static void multiply(bitdrop_dtype t, double factor, const void *x, void *y)
{
    const volatile float factor32 = (float)factor;

    if (t == BITDROP_F64) {
        double v;
        memcpy(&v, x, sizeof v);
        v *= factor;
        memcpy(y, &v, sizeof v);
    } else if (t == BITDROP_F32) {
        float v;
        memcpy(&v, x, sizeof v);
        v *= factor32;
        memcpy(y, &v, sizeof v);
    } else {
        uint16_t h;
        memcpy(&h, x, sizeof h);
        h = oracle_narrow(t, oracle_widen(t, h) * factor32);
        memcpy(y, &h, sizeof h);
    }
}

void oracle_train(const bitdrop_config *cfg, bitdrop_dtype t, bool keep, const void *x, void *y)
{
    if (keep)
        multiply(t, cfg->scaling == BITDROP_SCALE_INFER ? 1.0 : 1.0 / (1.0 - cfg->p), x, y);
    else
        memset(y, 0, oracle_bytes(t));
}

void oracle_infer(const bitdrop_config *cfg, bitdrop_dtype t, const void *x, void *y)
{
    if (cfg->scaling == BITDROP_SCALE_TRAIN)
        memmove(y, x, oracle_bytes(t));
    else if (cfg->p == 1)
        memset(y, 0, oracle_bytes(t));
    else
        multiply(t, 1.0 - cfg->p, x, y);
}

#ifdef __arm__
static float as_float(bitdrop_dtype t, const void *x)
{
    uint16_t h;
    float v;

    if (t == BITDROP_F32) {
        memcpy(&v, x, sizeof v);
        return v;
    }
    memcpy(&h, x, sizeof h);
    return oracle_widen(t, h);
}

static bool is_quiet_nan(float x)
{
    uint32_t u;

    memcpy(&u, &x, sizeof u);
    return isnan(x) && (u & 0x400000) != 0;
}

static bool neon_accepts(bitdrop_dtype t, const void *x, const void *wanted, const void *y)
{
    const float in = as_float(t, x), out = as_float(t, wanted), got = as_float(t, y);
    const bool denormal_in = fpclassify(in) == FP_SUBNORMAL;
    const bool denormal_out = fabsf(out) <= 0x1p-126F; /* or rounded up to the least that is not */

    if (isnan(out) || (denormal_in && isinf(out))) /* 0 times infinity */
        return is_quiet_nan(got);
    return (denormal_in || denormal_out) && got == 0 && !signbit(got) == !signbit(out);
}
#endif

bool oracle_accepts(bitdrop_isa isa, bitdrop_dtype t, const void *x, const void *wanted,
                    const void *y)
{
    if (memcmp(wanted, y, oracle_bytes(t)) == 0)
        return true;
#ifdef __arm__
    return isa == BITDROP_ISA_NEON && t != BITDROP_F64 && neon_accepts(t, x, wanted, y);
#else
    (void)isa;
    (void)x;
    return false;
#endif
}

uint64_t oracle_hash(const void *p, size_t n)
{
    const unsigned char *byte = p;
    uint64_t h = UINT64_C(0xCBF29CE484222325);

    for (size_t i = 0; i < n; i++)
        h = (h ^ byte[i]) * UINT64_C(0x100000001B3);
    return h;
}
