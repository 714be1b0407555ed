/* SPDX-License-Identifier: Apache-2.0 */
/* Runs Criterion's tests, and counts them: it finds them in a linker section, which may get lost
 * without any message. */
#include <criterion/criterion.h>
#include <stdio.h>

extern const size_t expected_tests;

int main(int argc, char **argv)
{
    struct criterion_test_set *tests = criterion_initialize();
    int failed = 0;

    if (criterion_handle_args(argc, argv, true))
        failed = !criterion_run_all_tests(tests);
    if (tests->tests != expected_tests) {
        fprintf(stderr, "%zu tests were linked, not %zu\n", tests->tests, expected_tests);
        failed = 1;
    }
    criterion_finalize(tests);
    return failed;
}
