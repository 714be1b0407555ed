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

/* Bit b_j of U(e), by the table of "One uniform for each element" in docs/stream.md. */
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
    return true; /* U(e) is equal to the threshold, so it is not below it */
}

double oracle_noise(const bitdrop_config *cfg, uint64_t e)
{
    const double pi = 3.14159265358979323846;
    const uint64_t block = e / 64 * 16 + e % 16;
    const unsigned quarter = e % 64 / 16;
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), 256, cfg->stream};
    const uint32_t key[2] = {(uint32_t)cfg->seed, (uint32_t)(cfg->seed >> 32)};
    uint32_t out[4];

    oracle_philox(counter, key, cfg->rounds == 7 ? 7 : 10, out);
    const uint32_t *w = out + quarter / 2 * 2;
    const float u = (float)((float)(w[0] >> 1) * 0x1p-31 + 0x1p-32);
    const double t = (float)(int32_t)w[1] * 0x1p-31, r = sqrt(-2 * log((double)u));

    /* Calls sin with arguments near 0 where the result is near 0, so that relative errors are
     * small. */
    if (quarter % 2 == 0)
        return r * sin(pi * (0.5 - fabs(t)));
    return r * copysign(sin(pi * (fabs(t) > 0.5 ? 1 - fabs(t) : fabs(t))), t);
}

/* How many bits the fraction has, and the exponents of the least and greatest normal numbers. */
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
    /* A carry out of the fraction, or out of the denormals, increments the exponent. */
    const int encoded = units + (exponent - f.least) * (1 << f.fraction);
    if (encoded >= top << f.fraction)
        return (uint16_t)(sign | top << f.fraction);
    return (uint16_t)(sign | encoded);
}

/* The bits of an element. *infinity gets the bits of its dtype's infinity. */
static uint64_t bits_of(bitdrop_dtype t, const void *x, uint64_t *infinity)
{
    uint64_t u64;
    uint32_t u32;
    uint16_t u16;

    if (t == BITDROP_F64) {
        memcpy(&u64, x, sizeof u64);
        *infinity = UINT64_C(0x7FF) << 52;
        return u64;
    }
    if (t == BITDROP_F32) {
        memcpy(&u32, x, sizeof u32);
        *infinity = UINT32_C(0xFF) << 23;
        return u32;
    }
    memcpy(&u16, x, sizeof u16);
    *infinity = t == BITDROP_F16 ? 0x7C00 : 0x7F80;
    return u16;
}

/* Not (float)(a + b) with a and b in double: gcc 12.2 at -O3 leaves out some of those roundings. */
double oracle_sum(bitdrop_dtype t, double a, double b)
{
    const float a_32 = (float)a, b_32 = (float)b;

    return t == BITDROP_F64 ? a + b : a_32 + b_32;
}

double oracle_number(bitdrop_dtype t, const void *x)
{
    double f64;
    float f32;
    uint16_t half;

    if (t == BITDROP_F64) {
        memcpy(&f64, x, sizeof f64);
        return f64;
    }
    if (t == BITDROP_F32) {
        memcpy(&f32, x, sizeof f32);
        return f32;
    }
    memcpy(&half, x, sizeof half);
    return oracle_widen(t, half);
}

void oracle_put(bitdrop_dtype t, double number, void *x)
{
    const float f32 = (float)number;

    if (t == BITDROP_F64)
        memcpy(x, &number, sizeof number);
    else if (t == BITDROP_F32)
        memcpy(x, &f32, sizeof f32);
    else
        memcpy(x, &(uint16_t){oracle_narrow(t, f32)}, sizeof(uint16_t));
}

uint64_t oracle_bits(bitdrop_dtype t, const void *x)
{
    uint64_t infinity;

    return bits_of(t, x, &infinity);
}

bool oracle_is_nan(bitdrop_dtype t, const void *x)
{
    uint64_t infinity;
    const uint64_t bits = bits_of(t, x, &infinity);
    const uint64_t fraction = (infinity & -infinity) - 1;

    return (bits & (infinity | fraction)) > infinity;
}

/* MIPS had floats before IEEE 754-2008 said which value of this bit is quiet. */
#if defined(__mips__) && !defined(__mips_nan2008)
enum { NATIVE_QUIET_BIT = 0 };
#else
enum { NATIVE_QUIET_BIT = 1 };
#endif

bool oracle_is_quiet_nan(bitdrop_dtype t, const void *x)
{
    const bool is_native = t == BITDROP_F32 || t == BITDROP_F64;
    uint64_t infinity;
    const uint64_t bits = bits_of(t, x, &infinity);
    const uint64_t quiet = (infinity & -infinity) >> 1; /* the highest bit of the fraction */

    return oracle_is_nan(t, x) && ((bits & quiet) != 0) == (is_native ? NATIVE_QUIET_BIT : 1);
}

bool oracle_same(bitdrop_dtype t, const void *a, const void *b)
{
    return oracle_bits(t, a) == oracle_bits(t, b) || (oracle_is_nan(t, a) && oracle_is_nan(t, b));
}

uint64_t oracle_hash(const void *p, size_t n)
{
    const unsigned char *byte = p;
    uint64_t h = UINT64_C(0xCBF29CE484222325);

    for (size_t i = 0; i < n; i++)
        h = (h ^ byte[i]) * UINT64_C(0x100000001B3);
    return h;
}
