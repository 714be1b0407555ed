/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Part of template/apply.h, which has defined T, C, BYTES and the loops over strips: the kernels of
 * all bodies for one dtype, and the array of these kernels (ROW or <dtype>_kernels).
 */
#if !defined(T) || !defined(C) || !defined(BYTES)
#error "include template/apply.h"
#endif

/* The functions of a body that is applied strip by strip, and the kernel that uses them. */
#define STRIP_KERNEL(name, inputs, generator, marks)                                               \
    FORCE_INLINE void T(step_##name)(struct work * work)                                           \
    {                                                                                              \
        if (work->strips > 0)                                                                      \
            T(next)(T(op_##name), inputs, marks, work, NULL);                                      \
    }                                                                                              \
    NOINLINE void T(strips_##name)(struct work * work, size_t count)                               \
    {                                                                                              \
        STRIPS_##generator(name, inputs, marks, work, count);                                      \
    }                                                                                              \
    NOINLINE uint32_t T(partial_##name)(const struct work *work, size_t row, size_t col, size_t n, \
                                        uint32_t keep)                                             \
    {                                                                                              \
        if (inputs > 1 && work->how & WORK_SECOND_INPUT)                                           \
            return T(partial_strip)(T(op_##name), inputs, true, work, row, col, n, keep);          \
        return T(partial_strip)(T(op_##name), inputs, false, work, row, col, n, keep);             \
    }                                                                                              \
    NOINLINE void T(rows_##name)(struct work * work, size_t goal)                                  \
    {                                                                                              \
        T(rows)(T(op_##name), inputs, marks, T(partial_##name), work, goal);                       \
    }                                                                                              \
    MAKE_SEGMENTS_##generator(name) static void T(kernel_##name)(const struct bitdrop_job *job)    \
    {                                                                                              \
        static const struct body body = {                                                          \
            .apply = T(strips_##name),                                                             \
            .partial = T(partial_##name),                                                          \
            .rows = T(LANES) == 1 ? NULL : T(rows_##name),                                         \
            .most_cols = GENERATOR_##generator == GENERATOR_TWO_PHASES && BYTES < 8                \
                             ? MOST_COLS_TWO_PHASES                                                \
                             : MOST_COLS,                                                          \
            .segments = SEGMENTS_##generator(name),                                                \
            .vector_bytes = T(VECTOR_BYTES),                                                       \
            .many_rows = inputs > 1,                                                               \
        };                                                                                         \
                                                                                                   \
        run_job(job, &body);                                                                       \
    }

/*
 * For each generator: SEGMENTS_ is the make_segments_function of a body, and MAKE_SEGMENTS_ defines
 * it if it belongs to one body.
 */
#define SEGMENTS_SHARED(name) make_segments_shared
#define MAKE_SEGMENTS_SHARED(name)
#define SEGMENTS_INTERLEAVED(name) T(segments_##name)
#define MAKE_SEGMENTS_INTERLEAVED(name)                                                            \
    NOINLINE void T(segments_##name)(const struct bitdrop_stream *s, const struct blocks *blocks,  \
                                     size_t bytes, uint8_t *keep, struct work *work)               \
    {                                                                                              \
        make_segments_interleaved(s, blocks, bytes, keep, T(step_##name), work);                   \
    }
#define SEGMENTS_TWO_PHASES(name) SEGMENTS_SHARED(name)
#define MAKE_SEGMENTS_TWO_PHASES(name) MAKE_SEGMENTS_SHARED(name)
#if BYTES == 8
#define SEGMENTS_INTERLEAVED_BUT_F64(name) SEGMENTS_SHARED(name)
#define MAKE_SEGMENTS_INTERLEAVED_BUT_F64(name) MAKE_SEGMENTS_SHARED(name)
#else
#define SEGMENTS_INTERLEAVED_BUT_F64(name) SEGMENTS_INTERLEAVED(name)
#define MAKE_SEGMENTS_INTERLEAVED_BUT_F64(name) MAKE_SEGMENTS_INTERLEAVED(name)
#endif

/* For each generator: STRIPS_ applies some strips of a body. */
#define STRIPS_SHARED(name, ...) T(strips)(T(op_##name), __VA_ARGS__)
#define STRIPS_INTERLEAVED STRIPS_SHARED
#define STRIPS_INTERLEAVED_BUT_F64 STRIPS_SHARED
#if BYTES == 8
#define STRIPS_TWO_PHASES STRIPS_SHARED
#else
#define STRIPS_TWO_PHASES(name, ...)                                                               \
    T(strips_two_phases)(T(first_##name), T(second_##name), __VA_ARGS__)
#endif

/* All functions of a body. Bodies of whole rows and of noise have neither strips nor segments. */
#define KERNEL(name, inputs, generator, marks) KERNEL_##generator(name, inputs, generator, marks)
#define KERNEL_SHARED STRIP_KERNEL
#define KERNEL_INTERLEAVED STRIP_KERNEL
#define KERNEL_INTERLEAVED_BUT_F64 STRIP_KERNEL
#define KERNEL_TWO_PHASES(name, inputs, generator, marks)                                          \
    FORCE_INLINE T(packed) T(op_##name)(T(vec) * in, keep_bits keep, int v, const C(vec) * p,      \
                                        uint32_t * vector_marks)                                   \
    {                                                                                              \
        T(first_##name)(in);                                                                       \
        T(exp_parts)(&in[inputs + 1]);                                                             \
        return T(second_##name)(in, keep, v, p, vector_marks);                                     \
    }                                                                                              \
    STRIP_KERNEL(name, inputs, generator, marks)
#define KERNEL_WHOLE_ROWS(name, inputs, generator, marks)                                          \
    static void T(kernel_##name)(const struct bitdrop_job *job)                                    \
    {                                                                                              \
        struct row_bits bits;                                                                      \
        C(vec) buffer[T(ROW_VECTORS)];                                                             \
                                                                                                   \
        row_bits_init(&bits, job);                                                                 \
        T(op_##name)(job, &bits, buffer);                                                          \
        if (job->streaming)                                                                        \
            stream_fence();                                                                        \
    }
#define KERNEL_NOISE(name, ...)                                                                    \
    NOINLINE void T(noise_##name)(const struct bitdrop_job *job, size_t row, size_t col, size_t n, \
                                  const unsigned char *noise, size_t step)                         \
    {                                                                                              \
        T(noise_strips)(T(op_##name), job, row, col, n, noise, step);                              \
    }                                                                                              \
    static void T(kernel_##name)(const struct bitdrop_job *job) { run_noise(job, T(noise_##name)); }
BITDROP_BODIES(KERNEL)

#define SLOT(name, inputs, generator, marks) T(kernel_##name),
#ifdef ROW
bitdrop_kernel *const ROW[BITDROP_BODY_COUNT] = {BITDROP_BODIES(SLOT)};
#undef ROW
#else
static bitdrop_kernel *const T(kernels)[BITDROP_BODY_COUNT] = {BITDROP_BODIES(SLOT)};
#endif

#undef STRIP_KERNEL
#undef KERNEL
#undef KERNEL_SHARED
#undef KERNEL_INTERLEAVED
#undef KERNEL_INTERLEAVED_BUT_F64
#undef KERNEL_WHOLE_ROWS
#undef KERNEL_NOISE
#undef KERNEL_TWO_PHASES
#undef SLOT
#undef STRIPS_SHARED
#undef STRIPS_INTERLEAVED
#undef STRIPS_INTERLEAVED_BUT_F64
#undef STRIPS_TWO_PHASES
#undef SEGMENTS_TWO_PHASES
#undef MAKE_SEGMENTS_TWO_PHASES
#undef SEGMENTS_SHARED
#undef MAKE_SEGMENTS_SHARED
#undef SEGMENTS_INTERLEAVED
#undef MAKE_SEGMENTS_INTERLEAVED
#undef SEGMENTS_INTERLEAVED_BUT_F64
#undef MAKE_SEGMENTS_INTERLEAVED_BUT_F64
