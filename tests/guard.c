/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard_pages.h"

struct guard guard_new(size_t size)
{
    const size_t page = guard_page();
    struct guard g = {.size = (size + page - 1) / page * page};

    g.base = guard_map(g.size);
    g.shadow = malloc(g.size);
    if (g.shadow == NULL) {
        perror("guard_new");
        exit(2);
    }
    return g;
}

void guard_free(struct guard *g)
{
    guard_unmap(g->base, g->size);
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
