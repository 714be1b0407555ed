/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dropout of one vector, and the kernels of one dtype built from it. Included once for each
 * dtype, with
 *
 *   DTYPE    f32, f64, f16 or bf16: names the vocabulary's loads and stores
 *   COMPUTE  f32 or f64: names its arithmetic. The load of a half type widens to f32 exactly, its
 *            store rounds once to nearest even.
 *   BYTES    of an element in memory
 *
 * and undefines them. The vocabulary provides, for COMPUTE, a vector type of <COMPUTE>_LANES
 * elements and _set1, _mul, _keep; for DTYPE, _load, _store, _stream.
 */
#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define T(name) PASTE(DTYPE, name)
#define C(name) PASTE(COMPUTE, name)

enum {
    T(VECTORS) = WORD_ELEMENTS / C(LANES), /* in a strip: the elements of one mask word */
    T(VECTOR_BYTES) = C(LANES) * BYTES
};

/* x * scale where kept and +0 elsewhere, for vector v of a strip. */
FORCE_INLINE C(vec) T(apply_vector)(C(vec) x, keep_bits keep, int v, C(vec) scale)
{
    return C(keep)(C(mul)(x, scale), keep, v);
}

FORCE_INLINE void T(apply_strip)(const unsigned char *x, unsigned char *y, uint32_t bits,
                                 C(vec) scale, bool streaming)
{
    const keep_bits keep = keep_bits_from(bits);

    for (int v = 0; v < T(VECTORS); v++) {
        const C(vec) out = T(apply_vector)(T(load)(x + v * T(VECTOR_BYTES)), keep, v, scale);

        if (streaming)
            T(stream)(y + v * T(VECTOR_BYTES), out);
        else
            T(store)(y + v * T(VECTOR_BYTES), out);
    }
}

/* Fewer elements than a strip, through a buffer: memory beyond them is not touched. */
static inline void T(apply_few)(const unsigned char *x, unsigned char *y, uint32_t bits,
                                C(vec) scale, size_t n)
{
    unsigned char strip[WORD_ELEMENTS * BYTES] = {0};

    memcpy(strip, x, n * BYTES);
    T(apply_strip)(strip, strip, bits, scale, false);
    memcpy(y, strip, n * BYTES);
}

/* bits == NULL keeps all. */
FORCE_INLINE void T(apply_run)(const unsigned char *x, unsigned char *y, const uint8_t *bits,
                               size_t i, size_t n, C(vec) scale, bool streaming)
{
    for (; n >= WORD_ELEMENTS; n -= WORD_ELEMENTS, i += WORD_ELEMENTS) {
        T(apply_strip)(x, y, bits == NULL ? UINT32_MAX : bits_32(bits, i), scale, streaming);
        x += WORD_ELEMENTS * BYTES;
        y += WORD_ELEMENTS * BYTES;
    }
    if (n > 0)
        T(apply_few)(x, y, bits == NULL ? UINT32_MAX : bits_few(bits, i, n), scale, n);
}

FORCE_INLINE void T(apply)(const struct bitdrop_job *job, const struct piece *piece)
{
    const C(vec) scale = C(set1)(sizeof(C(scalar)) == 8 ? job->scale : job->scale_f32);
    const unsigned char *x = job->x + piece->row * job->x_stride + piece->col * BYTES;
    unsigned char *y = job->y + piece->row * job->y_stride + piece->col * BYTES;
    const size_t lead = -(uintptr_t)y % T(VECTOR_BYTES); /* to the next whole vector of y */
    size_t n = piece->count, i = piece->first;

    if (!job->streaming || lead % BYTES != 0) {
        T(apply_run)(x, y, piece->bits, i, n, scale, false);
        return;
    }
    if (lead > 0) {
        const size_t few = n < lead / BYTES ? n : lead / BYTES;

        T(apply_run)(x, y, piece->bits, i, few, scale, false);
        x += few * BYTES;
        y += few * BYTES;
        i += few;
        n -= few;
    }
    T(apply_run)(x, y, piece->bits, i, n, scale, true);
}

FORCE_INLINE void T(forward_piece)(const struct bitdrop_job *job, const struct piece *piece)
{
    if (job->mask != NULL)
        store_mask(job, piece);
    T(apply)(job, piece);
}

FORCE_INLINE void T(multiply_piece)(const struct bitdrop_job *job, const struct piece *piece)
{
    const struct piece kept = {piece->row, piece->col, piece->count, NULL, 0};

    T(apply)(job, &kept);
}

static void T(kernel_forward)(const struct bitdrop_job *job)
{
    for_generated_pieces(job, T(forward_piece));
    stream_fence();
}

static void T(kernel_backward)(const struct bitdrop_job *job)
{
    for_rows(job, T(apply));
    stream_fence();
}

static void T(kernel_multiply)(const struct bitdrop_job *job)
{
    for_rows(job, T(multiply_piece));
    stream_fence();
}

#undef PASTE_
#undef PASTE
#undef T
#undef C
#undef DTYPE
#undef COMPUTE
#undef BYTES
