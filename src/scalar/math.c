/* SPDX-License-Identifier: Apache-2.0 */
/* Not among the kernels, because any CPU runs these: which function is called is decided here. */
#include "scalar/math.h"

#ifdef BITDROP_SLEEF
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "cpu/cpu.h"

float Sleef_finz_expf1_u10purecfma(float x);
double Sleef_finz_expd1_u10purecfma(double x);
double Sleef_finz_erfcd1_u15purecfma(double x);

/* Of x86; on AArch64 all have it. */
static bool has_fma(void)
{
#ifdef __x86_64__
    static _Atomic bitdrop_isa_set known; /* 0: not read yet, because every CPU runs scalar */
    bitdrop_isa_set isas = atomic_load_explicit(&known, memory_order_relaxed);

    if (isas == 0) {
        isas = bitdrop_cpu_isas();
        atomic_store_explicit(&known, isas, memory_order_relaxed);
    }
    return isas >> BITDROP_FMA & 1;
#else
    return true;
#endif
}

float bitdrop_exp_f32(float x) { return has_fma() ? Sleef_finz_expf1_u10purecfma(x) : expf(x); }

double bitdrop_exp_f64(double x) { return has_fma() ? Sleef_finz_expd1_u10purecfma(x) : exp(x); }

double bitdrop_erfc_f64(double x) { return has_fma() ? Sleef_finz_erfcd1_u15purecfma(x) : erfc(x); }
#endif
