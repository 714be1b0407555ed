/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include <string.h>

static void mark_owner(struct watched *w, unsigned char fill, size_t task)
{
    unsigned char untouched[64];

    memset(untouched, fill, sizeof untouched);
    for (size_t i = 0; i < w->bytes; i++) {
        while (i + 64 < w->bytes && memcmp(w->at + i, untouched, 64) == 0)
            i += 64;
        if (w->at[i] == fill)
            continue;
        w->shared |= w->owner[i] != 0 && w->owner[i] != task + 1;
        w->owner[i] = (unsigned char)(task + 1);
    }
}

void watch_clear(struct watch *w)
{
    for (int b = 0; b < 2; b++) {
        memset(w->buffer[b].owner, 0, w->buffer[b].bytes);
        w->buffer[b].shared = false;
    }
}

void watch_run(void *context, size_t tasks, void (*task)(void *argument, size_t index),
               void *argument)
{
    struct watch *w = context;

    for (size_t i = 0; i < tasks; i++)
        for (int fill = 0; fill < 256; fill += 255) {
            for (int b = 0; b < 2; b++)
                memset(w->buffer[b].at, fill, w->buffer[b].bytes);
            task(argument, i);
            for (int b = 0; b < 2; b++)
                mark_owner(&w->buffer[b], (unsigned char)fill, i);
        }
}
