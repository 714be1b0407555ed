/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links the six files of tools/amalgamate.py and the library itself into one program. The six
 * files, and the files of this directory that call them, are compiled with -DBITDROP_PREFIX. The
 * copy must run on every ISA that is built and that this CPU has, and must have the right hashes.
 */
#include <inttypes.h>
#include <stdio.h>

#include "check.h"
#include "cpu/cpu.h"

#ifndef BITDROP_PREFIX
#error "without -DBITDROP_PREFIX this tests the library instead of the copy"
#endif

static bool check_isa(bitdrop_isa isa)
{
    struct check c = {.isa = isa, .random = 1, .seed = 1, .thin = 10};
    const bool wanted = check_isa_built(isa) && (bitdrop_cpu_isas() >> isa & 1);

    if ((bitdrop_isa_supported(isa) != 0) != wanted) {
        printf("%s: %s\n", bitdrop_isa_name(isa),
               wanted ? "must be supported" : "must not be supported");
        return false;
    }
    if (!wanted)
        return true;
    printf("%-7s mask hash %016" PRIx64 ", value hash %016" PRIx64 "\n", bitdrop_isa_name(isa),
           check_hash_of_masks(isa), check_hash_of_values(isa));
    fflush(stdout);
    check_mask_hash(&c);
    check_value_hash(&c);
    check_attention(&c);
    return c.failures == 0 && c.cases > 0;
}

int main(void)
{
    bool right = true;

    for (int isa = BITDROP_ISA_AUTO + 1; isa < BITDROP_ISA_COUNT; isa++)
        right &= check_isa((bitdrop_isa)isa);
    return right ? 0 : 1;
}
