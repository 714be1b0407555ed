/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the hashes of masks and values, as bitdrop-selftest does, for each ISA that the library
 * runs here, and the default ISA. It does not print the hash of vector math, which depends on
 * SLEEF. check_by_hand.sh and tools/check_cpus.sh compare this output between libraries and between
 * CPUs.
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
