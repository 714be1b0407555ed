/* SPDX-License-Identifier: Apache-2.0 */
/* Which bytes each task of a call writes: a bitdrop_parallel that looks. */
#ifndef BITDROP_TESTS_WATCH_H
#define BITDROP_TESTS_WATCH_H

#include <stdbool.h>
#include <stddef.h>

struct watched {
    unsigned char *at;
    unsigned char *owner; /* of each byte: the task that writes it, counted from 1, or 0 */
    size_t bytes;
    bool shared; /* two tasks write the same byte */
};

/* Two buffers, of which one may have no bytes. */
struct watch {
    struct watched buffer[2];
};

/* Nobody owns anything: to be called before a call that may run tasks. */
void watch_clear(struct watch *w);

/*
 * bitdrop_parallel.run with a struct watch as context. It runs each task twice, by itself, over
 * zeros and over ones, and so finds each byte that it writes. What the buffers hold in the end
 * makes no sense.
 */
void watch_run(void *context, size_t tasks, void (*task)(void *argument, size_t index),
               void *argument);

#endif
