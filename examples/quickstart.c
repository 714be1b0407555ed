/* SPDX-License-Identifier: Apache-2.0 */
#include <bitdrop/bitdrop.h>
#include <stdio.h>

int main(void)
{
    const bitdrop_config cfg = {.p = 0.5, .seed = 42}; /* another stream for each layer */
    const float x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, dy[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    float y[8], dx[8];
    uint8_t mask[1]; /* 1 bit per element: bitdrop_mask_bytes(8) */

    bitdrop_status status = bitdrop_forward(&cfg, BITDROP_F32, 8, x, y, mask);
    if (status == BITDROP_OK)
        status = bitdrop_backward(&cfg, BITDROP_F32, 8, dy, dx, mask);
    printf("%s:", bitdrop_status_string(status));
    for (int i = 0; status == BITDROP_OK && i < 8; i++)
        printf(" %g", y[i]);
    puts("");
    return status;
}
