/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

#include "guard_pages.h"

size_t guard_page(void)
{
    SYSTEM_INFO info;

    GetSystemInfo(&info);
    return info.dwPageSize;
}

/* Pages that are reserved but not committed fault. */
unsigned char *guard_map(size_t size)
{
    const size_t page = guard_page();
    unsigned char *all = VirtualAlloc(NULL, size + 2 * page, MEM_RESERVE, PAGE_NOACCESS);

    if (all == NULL || VirtualAlloc(all + page, size, MEM_COMMIT, PAGE_READWRITE) == NULL) {
        fprintf(stderr, "guard_map: error %lu\n", GetLastError());
        exit(2);
    }
    return all + page;
}

void guard_unmap(unsigned char *base, size_t size)
{
    (void)size;
    VirtualFree(base - guard_page(), 0, MEM_RELEASE);
}
