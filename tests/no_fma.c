/* SPDX-License-Identifier: Apache-2.0 */
/* Checks scalar on a CPU without FMA, which qemu emulates. There it takes vector math from libm. */
#include <stdio.h>

#include "check.h"

int main(void)
{
    struct check c = {.isa = BITDROP_ISA_SCALAR, .thin = 16, .random = 1, .seed = 1};

#ifdef __x86_64__
    if (__builtin_cpu_supports("fma")) {
        fputs("this CPU has FMA: run it by qemu-x86_64 -cpu Nehalem\n", stderr);
        return 1;
    }
#endif
    check_activations(&c);
    check_gaussian(&c);
    check_value_hash(&c);
    printf("%zu cases, %zu failures\n", c.cases, c.failures);
    return c.failures > 0 || c.cases == 0;
}
