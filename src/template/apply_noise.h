/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Part of template/apply.h, which has defined T, C, BYTES and T(VECTOR_BYTES): the loop over
 * elements of one row for bodies of noise.
 */
#if !defined(T) || !defined(C) || !defined(BYTES)
#error "include template/apply.h"
#endif

typedef T(packed) T(noise_body)(T(vec) x, T(vec) noise, const C(vec) * p);

/*
 * Applies n <= LANES elements. The other lanes repeat the first element and its number, so they
 * raise no floating-point exception of their own.
 */
FORCE_INLINE void T(noise_partial)(T(noise_body) * body, const unsigned char *x, unsigned char *y,
                                   size_t n, const unsigned char *noise, size_t step,
                                   const C(vec) * p)
{
    float buffer[T(LANES)];

    for (size_t i = 0; i < T(LANES); i++)
        memcpy(&buffer[i], noise + (i < n ? i : 0) * step, sizeof *buffer);
    T(store_partial)(y, body(T(load_partial)(x, n), T(load_f32)(buffer), p), n);
}

/* An apply_noise (template/noise.h), for one body. */
FORCE_INLINE void T(noise_strips)(T(noise_body) * body, const struct bitdrop_job *job, size_t row,
                                  size_t col, size_t n, const unsigned char *noise, size_t step)
{
    const C(vec) p[1] = {C(set1)(job->C(parameter)[0])};
    const unsigned char *x = operand_at(&job->in[0], row, col);
    unsigned char *y = job->out.at + row * job->out.row_bytes + col * BYTES;
    const bool streaming = job->streaming;
    /* elements in front of the first aligned vector of the output */
    const size_t lead = streaming ? smaller(n, -(uintptr_t)y % T(VECTOR_BYTES) / BYTES) : 0;
    size_t i = lead;

    if (lead > 0)
        T(noise_partial)(body, x, y, lead, noise, step, p);
    for (; n - i >= T(LANES); i += T(LANES)) {
        const T(packed) out = body(T(load)(x + i * BYTES), T(load_f32)(noise + i * step), p);

        if (streaming)
            T(stream)(y + i * BYTES, out);
        else
            T(store)(y + i * BYTES, out);
    }
    if (i < n)
        T(noise_partial)(body, x + i * BYTES, y + i * BYTES, n - i, noise + i * step, step, p);
}
