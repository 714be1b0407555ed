/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First calls from many threads at once, forced and by default. A program of its own, because
 * ThreadSanitizer and the test framework do not go together.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "bitdrop/bitdrop.h"

enum { THREADS = 32, MASK_BYTES = 512 };

static pthread_barrier_t start;
static uint8_t masks[THREADS][MASK_BYTES];
static bitdrop_status statuses[THREADS];
static bitdrop_isa defaults[THREADS];

static void *first_call(void *index)
{
    const size_t i = *(const size_t *)index;
    const bitdrop_config cfg = {.p = 0.1, .seed = 1, .isa = i % 2 ? BITDROP_ISA_SCALAR : 0};

    pthread_barrier_wait(&start);
    statuses[i] = bitdrop_mask(&cfg, 8 * MASK_BYTES, masks[i]);
    defaults[i] = bitdrop_isa_default();
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    size_t index[THREADS];
    bool right = true;

    pthread_barrier_init(&start, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++) {
        index[i] = i;
        if (pthread_create(&threads[i], NULL, first_call, &index[i]) != 0) {
            perror("pthread_create");
            return 2;
        }
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < THREADS; i++) {
        if (statuses[i] != BITDROP_OK || defaults[i] != defaults[0] ||
            memcmp(masks[i], masks[0], MASK_BYTES) != 0) {
            fprintf(stderr, "thread %zu: status %d, default %s, thread 0: %s\n", i, statuses[i],
                    bitdrop_isa_name(defaults[i]), bitdrop_isa_name(defaults[0]));
            right = false;
        }
    }
    return right ? 0 : 1;
}
