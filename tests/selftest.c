/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bitdrop-selftest: all checks on each ISA of this machine, in one program without a test
 * framework. Exit status: 0 right, 1 wrong, 2 not understood, 77 not run by this machine.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"

static const struct {
    const char *name, *what;
    void (*run)(struct check *c);
} checks[] = {
#define ENTRY(name, what) {#name, what, check_##name},
    CHECKS(ENTRY)};

static int usage(void)
{
    fputs("usage: bitdrop-selftest [--quick] [--seed=N] [scalar|avx2|avx512|neon ...]\n"
          "Checks every kernel of the ISAs named, or of all that this machine runs.\n",
          stderr);
    return 2;
}

static bool check_isa(bitdrop_isa isa, uint64_t seed, unsigned thin)
{
    size_t failures = 0;

    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        struct check c = {.isa = isa, .random = seed, .seed = seed, .thin = thin};

        checks[i].run(&c);
        printf("%-7s %-18s %s, %zu cases: %s\n", bitdrop_isa_name(isa), checks[i].name,
               c.failures == 0 ? "ok" : "FAILED", c.cases, checks[i].what);
        fflush(stdout);
        failures += c.failures + (c.cases == 0); /* a check that compared nothing shows nothing */
    }
    return failures == 0;
}

int main(int argc, char **argv)
{
    uint64_t seed = (uint64_t)time(NULL);
    unsigned thin = 1, wanted = 0;
    bool right = true;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) {
            thin = 10;
            continue;
        }
        if (strncmp(argv[i], "--seed=", 7) == 0) {
            seed = strtoull(argv[i] + 7, NULL, 0);
            continue;
        }
        const bitdrop_isa isa = check_isa_named(argv[i]);
        if (isa == BITDROP_ISA_AUTO)
            return usage();
        if (!bitdrop_isa_supported(isa)) {
            fprintf(stderr, "bitdrop-selftest: this machine does not run %s\n", argv[i]);
            return 77;
        }
        wanted |= 1U << isa;
    }
    printf("bitdrop %s, default ISA %s, seed %" PRIu64 "\n", bitdrop_version(),
           bitdrop_isa_name(bitdrop_isa_default()), seed);
    for (bitdrop_isa isa = BITDROP_ISA_SCALAR; isa <= BITDROP_ISA_NEON; isa++) {
        if (wanted != 0 ? !(wanted >> isa & 1) : !bitdrop_isa_supported(isa))
            printf("%-7s skipped: %s\n", bitdrop_isa_name(isa),
                   bitdrop_isa_supported(isa) ? "not asked for" : "this machine does not run it");
        else
            right &= check_isa(isa, seed, thin);
    }
    puts(right ? "bitdrop-selftest: all right" : "bitdrop-selftest: WRONG");
    return right ? 0 : 1;
}
