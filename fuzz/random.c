/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A main() that replaces libFuzzer's, for every compiler and machine. Its options have the same
 * names: -runs=N makes N inputs of random bytes, and -seed=N is the seed of the first one. Each
 * following input has the next seed. Other arguments are files, each of which is one input.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#ifdef FUZZ_SANITIZER
#include <sanitizer/common_interface_defs.h>
#endif

enum { MOST_BYTES = 1 << 16, RANDOM_BYTES = 400 };

static uint64_t seed = 1, runs = 10000;
static uint8_t bytes[MOST_BYTES];

/* Called only when the program has failed already. NOLINTNEXTLINE(bugprone-signal-handler) */
static void say_seed(void) { fprintf(stderr, "to repeat: -runs=1 -seed=%" PRIu64 "\n", seed); }

static void on_signal(int number)
{
    say_seed();
    signal(number, SIG_DFL);
    raise(number);
}

static bool run_random(void)
{
    struct check random = {.random = seed};

    for (size_t i = 0; i < RANDOM_BYTES; i++)
        bytes[i] = (uint8_t)check_random(&random);
    return fuzz_one(&(struct fuzz_input){bytes, RANDOM_BYTES});
}

static void run_file(const char *name)
{
    FILE *f = fopen(name, "rb");

    if (f == NULL) {
        perror(name);
        exit(2);
    }
    const size_t size = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    fuzz_one(&(struct fuzz_input){bytes, size});
    printf("%s: no fault\n", name);
}

int main(int argc, char **argv)
{
    uint64_t calls = 0;
    bool files = false;

    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "-runs=", 6) == 0)
            runs = strtoull(argv[i] + 6, NULL, 10);
        else if (strncmp(argv[i], "-seed=", 6) == 0)
            seed = strtoull(argv[i] + 6, NULL, 10);
        else {
            run_file(argv[i]);
            files = true;
        }
    }
    if (files)
        return 0;
    signal(SIGABRT, on_signal);
#ifdef FUZZ_SANITIZER
    __sanitizer_set_death_callback(say_seed);
#else
    signal(SIGSEGV, on_signal);
#endif
    for (uint64_t i = 0; i < runs; i++, seed++)
        calls += run_random();
    printf("%" PRIu64 " inputs, of which %" PRIu64 " were calls: no fault\n", runs, calls);
    return calls == 0; /* nothing was tested */
}
