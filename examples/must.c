/* SPDX-License-Identifier: Apache-2.0 */
#include "must.h"

#include <stdio.h>
#include <stdlib.h>

void must(bitdrop_status status)
{
    if (status != BITDROP_OK) {
        fprintf(stderr, PROGRAM ": %s\n", bitdrop_status_string(status));
        exit(1);
    }
}

void *allocate(size_t count, size_t size)
{
    void *p = calloc(count, size);

    if (p == NULL) {
        fputs(PROGRAM ": out of memory\n", stderr);
        exit(1);
    }
    return p;
}
