/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vector math alone, compiled once for each ISA. VEC_H is the vec.h of the ISA. EXP and NOISE are
 * the names of the two functions.
 */
#include <stddef.h>
#include <stdint.h>

#include "loops.h"

#include VEC_H

void EXP(const struct loop_arguments *a);
void NOISE(const struct loop_arguments *a);

/* Of whole vectors; a part of one at the end is left out. */
void EXP(const struct loop_arguments *a)
{
    for (size_t i = 0; i + f32_LANES <= a->n; i += f32_LANES)
        f32_store(a->y + i, f32_exp(f32_load(a->x + i)));
}

/* The vector math of Gaussian noise: one log, one sine and one cosine for two elements. */
void NOISE(const struct loop_arguments *a)
{
    const size_t half = a->n / 2;

    for (size_t i = 0; i + f32_LANES <= half; i += f32_LANES) {
        const f32_vec log = f32_log(f32_load(a->x + i));
        const f32_sine_cosine angle = f32_sincospi(f32_load(a->x + half + i));

        f32_store(a->y + i, f32_add(log, angle.sine));
        f32_store(a->y + half + i, angle.cosine);
    }
}

#include "template/target_end.h"
