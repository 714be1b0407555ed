/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hot loops of NEON, marked for llvm-mca. tools/mca.sh compiles this file to assembly. A region
 * is the body of a loop of the kernels, made of the functions of the templates. It has no branches,
 * because these are compile-time constants: the rounds, the bit of T, that there is a next strip,
 * and that strips neither stream nor prefetch. Each plane loads the keys, as in the kernels, where
 * stores to the output may change them.
 */
#include "neon/vec.h"

#define TABLE loops
#define ISA BITDROP_ISA_NEON
#include "template/table.h"

/* gcc assumes that asm without operands may write memory, so it moves no load or store across. */
#define BEGIN(region) __asm__ volatile("# LLVM-MCA-BEGIN " region)
#define END __asm__ volatile("# LLVM-MCA-END")

/* Two rounds of all chains. With one round the compiler would have to move registers. */
void loop_rounds(const uint32_t (*key)[2], const uint32_t (*end)[2], vec state[4 * CHAINS]);
void loop_rounds(const uint32_t (*key)[2], const uint32_t (*end)[2], vec state[4 * CHAINS])
{
    vec c[CHAINS][4];

#pragma GCC unroll 16
    for (int i = 0; i < 4 * CHAINS; i++)
        c[i / 4][i % 4] = state[i];
    for (; key < end; key += 2) {
        BEGIN("rounds");
        for (int i = 0; i < 2 * CHAINS; i++)
            philox_round(key[i / CHAINS], c[i % CHAINS]);
        END;
    }
#pragma GCC unroll 16
    for (int i = 0; i < 4 * CHAINS; i++)
        state[i] = c[i / 4][i % 4];
}

FORCE_INLINE struct work work_of(const struct bitdrop_job *job)
{
    return (struct work){
        .in = {job->in[0].at},
        .out = job->out.at,
        .bits = job->keep,
        .strips = job->cols,
        .f64_parameter = {job->f64_parameter[0]},
        .f32_parameter = {job->f32_parameter[0]},
    };
}

FORCE_INLINE void next_strip(struct work *work)
{
    if (work->strips == 0)
        __builtin_unreachable();
    f32_step_dropout(work);
}

typedef void plane_loop(const struct bitdrop_job *job, const struct philox_plane *plane, vec *out);

#define LOOP_PLANE(function, region, rounds, bit, step)                                            \
    plane_loop function;                                                                           \
    void function(const struct bitdrop_job *job, const struct philox_plane *plane, vec *out)       \
    {                                                                                              \
        const struct bitdrop_stream *s = job->stream;                                              \
        struct work work = work_of(job);                                                           \
        struct philox_lanes lanes[CHAINS];                                                         \
        vec k[CHAINS][VECS] = {{vec_set1(0)}}, o[CHAINS][VECS] = {{vec_set1(UINT32_MAX)}};         \
                                                                                                   \
        for (int i = 0; i < CHAINS; i++)                                                           \
            lanes[i] = philox_lanes(s, vec_blocks((uint32_t)(i * LANES)));                         \
        for (size_t n = job->rows; n > 0; n--, plane++) {                                          \
            BEGIN(region);                                                                         \
            early_plane(s, &(const unsigned){rounds}, s->key[(rounds)-1], lanes, plane, bit, k, o, \
                        step, &work);                                                              \
            END;                                                                                   \
        }                                                                                          \
        for (int i = 0; i < CHAINS * VECS; i++) {                                                  \
            out[i] = k[i / VECS][i % VECS];                                                        \
            out[CHAINS * VECS + i] = o[i / VECS][i % VECS];                                        \
        }                                                                                          \
    }

LOOP_PLANE(loop_plane_10_0, "plane-10-0", 10, false, no_hook)
LOOP_PLANE(loop_plane_10_1, "plane-10-1", 10, true, no_hook)
LOOP_PLANE(loop_plane_7_0, "plane-7-0", 7, false, no_hook)
LOOP_PLANE(loop_plane_7_1, "plane-7-1", 7, true, no_hook)
LOOP_PLANE(loop_plane_10_0_f32, "plane-10-0-f32", 10, false, next_strip)
LOOP_PLANE(loop_plane_10_1_f32, "plane-10-1-f32", 10, true, next_strip)
LOOP_PLANE(loop_plane_7_0_f32, "plane-7-0-f32", 7, false, next_strip)
LOOP_PLANE(loop_plane_7_1_f32, "plane-7-1-f32", 7, true, next_strip)

typedef void strip_loop(const struct bitdrop_job *job);

#define LOOP_STRIP(T)                                                                              \
    strip_loop loop_##T;                                                                           \
    void loop_##T(const struct bitdrop_job *job)                                                   \
    {                                                                                              \
        struct work work = work_of(job);                                                           \
                                                                                                   \
        for (size_t n = job->cols; n > 0; n--) {                                                   \
            BEGIN("strip-" #T);                                                                    \
            if (work.strips == 0)                                                                  \
                __builtin_unreachable();                                                           \
            T##_step_dropout(&work);                                                               \
            END;                                                                                   \
        }                                                                                          \
    }

LOOP_STRIP(f32)
LOOP_STRIP(f64)
LOOP_STRIP(f16)
LOOP_STRIP(bf16)
