/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the checks of check.h as Criterion tests, for the ISA that BITDROP_ISA names. If this
 * machine does not run that ISA, each test is skipped.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "check.h"

static bitdrop_isa isa_under_test(void)
{
    const char *name = getenv("BITDROP_ISA");

    cr_assert_not_null(name, "set BITDROP_ISA to the ISA to test");
    cr_assert_neq(check_isa_named(name), BITDROP_ISA_AUTO, "no such ISA: %s", name);
    return check_isa_named(name);
}

static uint64_t test_seed(void)
{
    const char *seed = getenv("BITDROP_TEST_SEED");

    return seed != NULL ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
}

/* `thin` of struct check. Slow builds set BITDROP_TEST_THIN. */
static unsigned test_thin(void)
{
    const char *thin = getenv("BITDROP_TEST_THIN");
    const unsigned long n = thin != NULL ? strtoul(thin, NULL, 10) : 1;

    return n > 0 && n < 100 ? (unsigned)n : 1;
}

static void run(void (*check)(struct check *))
{
    struct check c = {.isa = isa_under_test(), .thin = test_thin()};

    if (!bitdrop_isa_supported(c.isa))
        cr_skip_test("this machine does not run %s", bitdrop_isa_name(c.isa));
    cr_assert_eq(bitdrop_isa_default(), c.isa, "the default ISA is not BITDROP_ISA");
    c.random = c.seed = test_seed();
    fprintf(stderr, "BITDROP_TEST_SEED=%" PRIu64 "\n", c.seed);
    check(&c);
    cr_assert_gt(c.cases, 0, "nothing was compared");
    cr_assert_eq(c.failures, 0, "%zu failures, see above", c.failures);
}

#define SUITE_TEST(name, what)                                                                     \
    Test(isa, name, .description = what) { run(check_##name); }
CHECKS(SUITE_TEST)

/* AUTO must make the same masks as the ISA that BITDROP_ISA names. */
Test(isa, automatic)
{
    uint8_t by_default[128], forced[128];
    bitdrop_config cfg = {.p = 0.3, .seed = 1};
    const bitdrop_isa isa = isa_under_test();

    if (!bitdrop_isa_supported(isa))
        cr_skip_test("this machine does not run %s", bitdrop_isa_name(isa));
    cr_assert_eq(bitdrop_mask(&cfg, 1024, by_default), BITDROP_OK);
    cfg.isa = (uint8_t)isa;
    cr_assert_eq(bitdrop_mask(&cfg, 1024, forced), BITDROP_OK);
    cr_assert_arr_eq(by_default, forced, sizeof forced);
}

#define COUNT(name, what) +1
const size_t expected_tests = 1 CHECKS(COUNT);
