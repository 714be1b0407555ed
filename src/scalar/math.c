/* SPDX-License-Identifier: Apache-2.0 */
/* Vector math of the scalar ISA. It runs on any CPU, so it first asks whether the CPU has FMA. */
#include "exact.h"

#include "scalar/math.h"

#ifdef BITDROP_SLEEF
#include <math.h>
#include <stdbool.h>

#include "cpu/cpu.h"
#include "template/sinpi.h"

float Sleef_finz_expf1_u10purecfma(float x);
double Sleef_finz_expd1_u10purecfma(double x);
float Sleef_finz_logf1_u10purecfma(float x);
double Sleef_finz_logd1_u10purecfma(double x);
double Sleef_finz_erfcd1_u15purecfma(double x);
struct sine_cosine {
    float sine, cosine;
} Sleef_finz_sincospif1_u05purecfma(float x);

static bool has_fma(void)
{
#ifdef __x86_64__
    return bitdrop_known_isas() >> BITDROP_FMA & 1;
#else
    return true; /* each AArch64 CPU has it */
#endif
}

float bitdrop_exp_f32(float x) { return has_fma() ? Sleef_finz_expf1_u10purecfma(x) : expf(x); }

double bitdrop_exp_f64(double x) { return has_fma() ? Sleef_finz_expd1_u10purecfma(x) : exp(x); }

float bitdrop_log_f32(float x) { return has_fma() ? Sleef_finz_logf1_u10purecfma(x) : logf(x); }

double bitdrop_log_f64(double x) { return has_fma() ? Sleef_finz_logd1_u10purecfma(x) : log(x); }

double bitdrop_erfc_f64(double x) { return has_fma() ? Sleef_finz_erfcd1_u15purecfma(x) : erfc(x); }

void bitdrop_sincospi_f32(float x, float *sine, float *cosine)
{
    if (has_fma()) {
        const struct sine_cosine y = Sleef_finz_sincospif1_u05purecfma(x);

        *sine = y.sine;
        *cosine = y.cosine;
    } else {
        *sine = sinpi_by_libm(x);
        *cosine = cospi_by_libm(x);
    }
}
#endif
