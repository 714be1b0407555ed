/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guard_pages.h"

size_t guard_page(void) { return (size_t)sysconf(_SC_PAGESIZE); }

unsigned char *guard_map(size_t size)
{
    const size_t page = guard_page();
    unsigned char *all = mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (all == MAP_FAILED || mprotect(all + page, size, PROT_READ | PROT_WRITE) != 0) {
        perror("guard_map");
        exit(2);
    }
    return all + page;
}

void guard_unmap(unsigned char *base, size_t size)
{
    const size_t page = guard_page();

    munmap(base - page, size + 2 * page);
}
