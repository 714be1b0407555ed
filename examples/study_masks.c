/* SPDX-License-Identifier: Apache-2.0 */
/* Prints masks: dropout of elements, of whole channels and of blocks. */
#include <stdio.h>

#include "must.h"
#include "study.h"

enum { CHANNELS = 7, SIDE = 8, CHANNEL = SIDE * SIDE, BLOCK = 3, ELEMENTS = CHANNELS * CHANNEL };

/* Prints the channels side by side. kept[i] is 1 if element i is kept, else 0. */
static void print_channels(const char *name, const uint8_t kept[ELEMENTS])
{
    int ones = 0;

    for (int i = 0; i < ELEMENTS; i++)
        ones += kept[i];
    printf("\n   %s: %.0f %% dropped\n\n", name, 100 - 100.0 * ones / (double)ELEMENTS);
    for (int row = 0; row < SIDE; row++) {
        for (int channel = 0; channel < CHANNELS; channel++) {
            fputs("   ", stdout);
            for (int column = 0; column < SIDE; column++)
                putchar(kept[channel * CHANNEL + row * SIDE + column] ? '#' : '.');
        }
        putchar('\n');
    }
}

void print_masks(void)
{
    const bitdrop_config cfg = {.p = 0.25, .seed = 13};
    const bitdrop_2d channels = {.rows = CHANNELS, .cols = CHANNEL, .unit = BITDROP_EACH_ROW};
    uint8_t mask[ELEMENTS / 8], decision[CHANNELS];
    uint8_t kept[ELEMENTS];

    printf("\n5. What is dropped together: masks of %d channels of %d x %d, p = %g\n\n"
           "   # is kept, . is dropped. The masks are the same on every machine.\n",
           CHANNELS, SIDE, SIDE, cfg.p);
    must(bitdrop_mask(&cfg, ELEMENTS, mask));
    must(bitdrop_mask_unpack(ELEMENTS, mask, kept));
    print_channels("each element by itself (bitdrop_mask)", kept);

    must(bitdrop_mask_2d(&cfg, &channels, mask)); /* one bit for each channel */
    must(bitdrop_mask_unpack(CHANNELS, mask, decision));
    for (int i = 0; i < ELEMENTS; i++)
        kept[i] = decision[i / CHANNEL];
    print_channels("whole channels (BITDROP_EACH_ROW)", kept);

    must(bitdrop_mask_dropblock(&cfg, CHANNELS, SIDE, SIDE, BLOCK, mask, NULL));
    must(bitdrop_mask_unpack(ELEMENTS, mask, kept)); /* a row of 8 bits is exactly one byte */
    print_channels("blocks of 3 x 3 (bitdrop_mask_dropblock)", kept);
}
