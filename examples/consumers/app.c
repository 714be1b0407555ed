/* SPDX-License-Identifier: Apache-2.0 */

/* The program that the projects in these folders build. Checks a forward and a backward call. */
#include <bitdrop/bitdrop.h>
#include <stdio.h>

int main(void)
{
    const bitdrop_config cfg = {.p = 0.5, .seed = 42};
    const float x[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    float y[8], dx[8];
    uint8_t mask[1];

    bitdrop_status status = bitdrop_forward(&cfg, BITDROP_F32, 8, x, y, mask);
    if (status == BITDROP_OK)
        status = bitdrop_backward(&cfg, BITDROP_F32, 8, x, dx, mask);
    if (status != BITDROP_OK) {
        fprintf(stderr, "%s\n", bitdrop_status_string(status));
        return 1;
    }
    int wrong = mask[0] != 0x53; /* on every machine */
    for (int i = 0; i < 8; i++) {
        const float expected = mask[0] >> i & 1 ? 2 * x[i] : 0;
        wrong |= y[i] != expected || dx[i] != expected;
    }
    printf("bitdrop %s on %s: %s\n", bitdrop_version(), bitdrop_isa_name(bitdrop_isa_default()),
           wrong ? "wrong" : "right");
    return wrong;
}
