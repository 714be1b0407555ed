/* SPDX-License-Identifier: Apache-2.0 */
/* Checks that need no operation of the list: names, versions, sizes, and activations that do not
 * exist. */
#include <stdio.h>
#include <string.h>

#include "check.h"

static void expect_strings(struct check *c)
{
    char version[32];

    snprintf(version, sizeof version, "%d.%d.%d", BITDROP_VERSION_MAJOR, BITDROP_VERSION_MINOR,
             BITDROP_VERSION_PATCH);
    if (strcmp(bitdrop_version(), version) != 0)
        check_fail(c, "version %s, the header says %s", bitdrop_version(), version);
    for (int i = 0; i <= BITDROP_ERR_OVERLAP + 1; i++)
        for (int j = 0; j < i; j++)
            if (strcmp(bitdrop_status_string((bitdrop_status)i),
                       bitdrop_status_string((bitdrop_status)j)) == 0)
                check_fail(c, "statuses %d and %d have the same string", i, j);
    if (strcmp(bitdrop_math(), "libm") != 0 && strncmp(bitdrop_math(), "sleef 3.", 8) != 0)
        check_fail(c, "math by %s", bitdrop_math());
    if (bitdrop_version_number() !=
        BITDROP_VERSION_MAJOR * 10000 + BITDROP_VERSION_MINOR * 100 + BITDROP_VERSION_PATCH)
        check_fail(c, "version number %d", bitdrop_version_number());
}

static void expect_size(struct check *c, const char *what, size_t got, size_t size, size_t wanted)
{
    if (got != size || (sizeof(void *) == 8 && size != wanted))
        check_fail(c, "%s has %zu bytes, the library says %zu", what, size, got);
    c->cases++;
}

/* An activation that does not exist is ERR_CONFIG. Pointers that GELU needs are checked first. */
static void expect_no_activation(struct check *c, bitdrop_activation act)
{
    static float in[3][8], y[8];
    static uint8_t mask[1];
    const bitdrop_2d shape = {.rows = 1, .cols = 8};
    bitdrop_config cfg = {.p = 0.5, .isa = (uint8_t)c->isa};
    bitdrop_status got[11];
    static const bitdrop_status wanted[] = {
        BITDROP_ERR_CONFIG, BITDROP_ERR_CONFIG, BITDROP_ERR_NULL,       BITDROP_ERR_NULL,
        BITDROP_ERR_CONFIG, BITDROP_ERR_CONFIG, BITDROP_ERR_NULL,       BITDROP_ERR_NULL,
        BITDROP_ERR_NULL,   BITDROP_ERR_CONFIG, BITDROP_ERR_PROBABILITY};
    const bitdrop_dtype f32 = BITDROP_F32;

    got[0] = bitdrop_forward_act(&cfg, f32, &shape, act, in[0], in[1], y, mask);
    got[1] = bitdrop_forward_act(&cfg, f32, &shape, act, in[0], NULL, y, mask);
    got[2] = bitdrop_forward_act(&cfg, f32, &shape, act, NULL, NULL, y, mask);
    got[3] = bitdrop_forward_act(&cfg, f32, &shape, act, in[0], NULL, y, NULL);
    got[4] = bitdrop_backward_act(&cfg, f32, &shape, act, in[0], in[1], in[2], y, mask);
    got[5] = bitdrop_backward_act(&cfg, f32, &shape, act, in[0], in[1], NULL, y, mask);
    got[6] = bitdrop_backward_act(&cfg, f32, &shape, act, in[0], NULL, NULL, y, mask);
    got[7] = bitdrop_backward_act(&cfg, f32, &shape, act, NULL, in[1], NULL, y, mask);
    got[8] = bitdrop_backward_act(&cfg, f32, &shape, act, in[0], in[1], NULL, y, NULL);
    cfg.mask_use = BITDROP_MASK_REMADE;
    got[9] = bitdrop_backward_act(&cfg, f32, &shape, act, in[0], in[1], NULL, y, NULL);
    cfg.p = 2;
    got[10] = bitdrop_forward_act(&cfg, f32, &shape, act, in[0], NULL, y, NULL);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (got[i] != wanted[i])
            check_fail(c, "activation %d, case %zu: status %d, not %d", (int)act, i, got[i],
                       wanted[i]);
    c->cases++;
}

void check_library(struct check *c)
{
    static const int unknown[] = {0, 5, 6, 257, -1};

    expect_strings(c);
    expect_size(c, "bitdrop_config", bitdrop_sizeof_config(), sizeof(bitdrop_config), 64);
    expect_size(c, "bitdrop_2d", bitdrop_sizeof_2d(), sizeof(bitdrop_2d), 104);
    expect_size(c, "bitdrop_softmax", bitdrop_sizeof_softmax(), sizeof(bitdrop_softmax), 80);
    expect_size(c, "bitdrop_parallel", bitdrop_sizeof_parallel(), sizeof(bitdrop_parallel), 40);
    expect_size(c, "bitdrop_attention", bitdrop_sizeof_attention(), sizeof(bitdrop_attention), 264);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        expect_no_activation(c, (bitdrop_activation)unknown[i]);
}
