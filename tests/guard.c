/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE
#include "guard.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct guard guard_new(size_t size)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct guard g = {.size = (size + page - 1) / page * page};
    unsigned char *all =
        mmap(NULL, g.size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    g.base = all + page;
    g.shadow = malloc(g.size);
    if (all == MAP_FAILED || g.shadow == NULL ||
        mprotect(g.base, g.size, PROT_READ | PROT_WRITE) != 0) {
        perror("guard_new");
        exit(2);
    }
    return g;
}

void guard_free(struct guard *g)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);

    munmap(g->base - page, g->size + 2 * page);
    free(g->shadow);
}

void guard_reset(struct guard *g)
{
    memset(g->base, 0xA5, g->size);
    memset(g->shadow, 0xA5, g->size);
}

unsigned char *guard_front(const struct guard *g, size_t gap) { return g->base + gap; }

unsigned char *guard_back(const struct guard *g, size_t n, size_t gap)
{
    return g->base + g->size - n - gap;
}

unsigned char *guard_shadow(const struct guard *g, const unsigned char *p)
{
    return g->shadow + (p - g->base);
}

const unsigned char *guard_difference(const struct guard *g)
{
    if (memcmp(g->base, g->shadow, g->size) == 0)
        return NULL;
    for (size_t i = 0; i < g->size; i++)
        if (g->base[i] != g->shadow[i])
            return g->base + i;
    return NULL;
}
