/* SPDX-License-Identifier: Apache-2.0 */
/* One forward pass, by the calling thread alone and on an engine's own threads. */
#define _POSIX_C_SOURCE 200809L
#include <bitdrop/bitdrop.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../seconds.h"
#include "threads.h"

enum { N = 1 << 24, REPEATS = 10, TASKS = 4 };

static float x[N], y[2][N];
static uint8_t mask[2][N / 8];

static double fastest(const bitdrop_config *cfg, float *out, uint8_t *bits)
{
    double best = 1e9;

    for (int i = 0; i < REPEATS; i++) {
        const double start = seconds();
        const bitdrop_status status = bitdrop_forward(cfg, BITDROP_F32, N, x, out, bits);
        const double took = seconds() - start;

        if (status != BITDROP_OK) {
            fprintf(stderr, "bitdrop: %s\n", bitdrop_status_string(status));
            exit(1);
        }
        best = took < best ? took : best;
    }
    return best;
}

int main(void)
{
    const bitdrop_parallel parallel = {.run = run_tasks, .tasks = TASKS};
    bitdrop_config cfg = {.p = 0.1, .seed = 42};
    bool same = false;

    for (size_t i = 0; i < N; i++)
        x[i] = (float)(i % 1000);
    printf("alone        %6.2f ms\n", 1e3 * fastest(&cfg, y[0], mask[0]));
    cfg.parallel = &parallel;
    printf("in %d tasks   %6.2f ms\n", TASKS, 1e3 * fastest(&cfg, y[1], mask[1]));
    same = memcmp(y[0], y[1], sizeof y[0]) == 0 && memcmp(mask[0], mask[1], sizeof mask[0]) == 0;
    puts(same ? "the same bytes" : "OTHER BYTES");
    return same ? 0 : 1;
}
