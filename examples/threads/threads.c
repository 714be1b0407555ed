/* SPDX-License-Identifier: Apache-2.0 */
/* One forward pass, by the calling thread alone and shared out among an engine's own threads. */
#define _POSIX_C_SOURCE 200809L
#include <bitdrop/bitdrop.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../seconds.h"
#include "threads.h"

enum { N = 1 << 24, REPEATS = 10, TASKS = 4 };

static double fastest(const bitdrop_config *cfg, const float *x, float *y, uint8_t *mask)
{
    double best = 1e9;

    for (int i = 0; i < REPEATS; i++) {
        const double start = seconds();
        const bitdrop_status status = bitdrop_forward(cfg, BITDROP_F32, N, x, y, mask);
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
    float *x = calloc(N, sizeof *x), *y[2] = {calloc(N, sizeof *x), calloc(N, sizeof *x)};
    uint8_t *mask[2] = {calloc(N / 8, 1), calloc(N / 8, 1)};
    bool same = false;

    if (x == NULL || y[0] == NULL || y[1] == NULL || mask[0] == NULL || mask[1] == NULL) {
        fputs("no memory\n", stderr);
        return 1;
    }
    for (size_t i = 0; i < N; i++)
        x[i] = (float)(i % 1000);
    printf("alone        %6.2f ms\n", 1e3 * fastest(&cfg, x, y[0], mask[0]));
    cfg.parallel = &parallel;
    printf("in %d tasks   %6.2f ms\n", TASKS, 1e3 * fastest(&cfg, x, y[1], mask[1]));
    same = memcmp(y[0], y[1], N * sizeof *x) == 0 && memcmp(mask[0], mask[1], N / 8) == 0;
    puts(same ? "the same bytes" : "OTHER BYTES");
    free(x);
    for (int i = 0; i < 2; i++) {
        free(y[i]);
        free(mask[i]);
    }
    return same ? 0 : 1;
}
