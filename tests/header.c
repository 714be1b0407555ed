/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing but the header, as C99, C11 and C++17: that it compiles is the test. */
#include <bitdrop/bitdrop.h>

typedef char config_is_64_bytes[sizeof(void *) != 8 || sizeof(bitdrop_config) == 64 ? 1 : -1];

extern config_is_64_bytes bitdrop_test_config;
size_t bitdrop_test_header(const bitdrop_config *cfg);

size_t bitdrop_test_header(const bitdrop_config *cfg)
{
    return cfg->p < 1 ? bitdrop_mask_bytes(BITDROP_VERSION_MAJOR) : 0;
}
