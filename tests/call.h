/* SPDX-License-Identifier: Apache-2.0 */
/* A call of the library as data, so that a test can loop over all of them. */
#ifndef BITDROP_TESTS_CALL_H
#define BITDROP_TESTS_CALL_H

#include <stdbool.h>

#include "bitdrop/bitdrop.h"

enum operation { MASK, FORWARD, BACKWARD, RECOMPUTE, INFER, OPERATIONS };

struct call {
    enum operation op;
    bool flat; /* with n; else with shape */
    const bitdrop_config *cfg;
    bitdrop_dtype dtype;
    size_t n;
    const bitdrop_2d *shape;
    const void *x;
    void *y;
    uint8_t *mask;
};

bitdrop_status call_run(const struct call *c);

const char *operation_name(enum operation op);
const char *dtype_name(bitdrop_dtype t);

#endif
