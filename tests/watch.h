/* SPDX-License-Identifier: Apache-2.0 */
/* A callback for bitdrop_parallel that finds which bytes each task of a call writes. */
#ifndef BITDROP_TESTS_WATCH_H
#define BITDROP_TESTS_WATCH_H

#include <stdbool.h>
#include <stddef.h>

struct watched {
    unsigned char *at;
    unsigned char *owner; /* the task that writes each byte, counted from 1; 0 if none does */
    size_t bytes;
    bool shared; /* two tasks write the same byte */
};

/* Two buffers, of which one may have no bytes. */
struct watch {
    struct watched buffer[2];
};

/* Forgets all owners. Must be called before each call that is watched. */
void watch_clear(struct watch *w);

/*
 * bitdrop_parallel.run, with a struct watch as context. It runs each task twice: after all bytes of
 * the buffers are set to 0x00, and after they are set to 0xFF. So it finds each byte that the task
 * writes. The final contents of the buffers are not the results of the call.
 */
void watch_run(void *context, size_t tasks, void (*task)(void *argument, size_t index),
               void *argument);

#endif
