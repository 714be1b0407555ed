/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a library says of itself in a few lines: the hashes of masks and values that
 * bitdrop-selftest prints, for each ISA that it runs, and its default ISA. Not the hash of vector
 * math, which depends on SLEEF. For check_by_hand.sh and tools/check_cpus.sh, which compare
 * libraries and CPUs.
 */
#include <inttypes.h>
#include <stdio.h>

#include "check.h"
#include "isas.h"

int main(void)
{
    for (int i = BITDROP_ISA_AUTO + 1; i < BITDROP_ISA_COUNT; i++) {
        const bitdrop_isa isa = (bitdrop_isa)i;

        if (bitdrop_isa_supported(isa))
            printf("%s: mask hash %016" PRIx64 ", value hash %016" PRIx64 "\n",
                   bitdrop_isa_name(isa), check_hash_of_masks(isa), check_hash_of_values(isa));
    }
    printf("default ISA %s\n", bitdrop_isa_name(bitdrop_isa_default()));
    return 0;
}
