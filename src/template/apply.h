/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop over the elements of a piece for one body and one dtype, and the kernels made of it. It
 * owns tails, streaming stores and their fence. Included once for each dtype, with
 *
 *   DTYPE    f32, f64, f16 or bf16: names the vocabulary's loads and stores
 *   COMPUTE  f32 or f64: names its arithmetic and the body
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
    T(VECTOR_BYTES) = C(LANES) * BYTES,
    T(STRIP_BYTES) = WORD_ELEMENTS * BYTES
};

FORCE_INLINE void T(strip)(const unsigned char *x, unsigned char *y, uint32_t bits, C(vec) scale,
                           bool streaming)
{
    const keep_bits keep = keep_bits_from(bits);

    for (int v = 0; v < T(VECTORS); v++) {
        const C(vec) in = T(load)(x + v * T(VECTOR_BYTES));
        const C(vec) out = C(body_apply)(in, keep, v, scale);

        if (streaming)
            T(stream)(y + v * T(VECTOR_BYTES), out);
        else
            T(store)(y + v * T(VECTOR_BYTES), out);
    }
}

/*
 * 0 < n < a strip's elements, through a buffer: memory beyond them is not touched. The rest of the
 * strip repeats an element, so that it raises nothing that the data does not.
 */
static inline void T(few)(const unsigned char *x, unsigned char *y, uint32_t bits, C(vec) scale,
                          size_t n)
{
    unsigned char strip[T(STRIP_BYTES)];

    memcpy(strip, x, n * BYTES);
    for (size_t i = n; i < WORD_ELEMENTS; i++)
        memcpy(strip + i * BYTES, strip, BYTES);
    T(strip)(strip, strip, bits, scale, false);
    memcpy(y, strip, n * BYTES);
}

/* n elements from x to y, with the bits from i on; bits == NULL keeps all. */
FORCE_INLINE void T(run)(const unsigned char *x, unsigned char *y, const uint8_t *bits, size_t i,
                         size_t n, C(vec) scale, bool streaming)
{
    for (; n >= WORD_ELEMENTS; n -= WORD_ELEMENTS, i += WORD_ELEMENTS) {
        T(strip)(x, y, bits == NULL ? UINT32_MAX : bits_32(bits, i), scale, streaming);
        x += T(STRIP_BYTES);
        y += T(STRIP_BYTES);
    }
    if (n > 0)
        T(few)(x, y, bits == NULL ? UINT32_MAX : bits_few(bits, i, n), scale, n);
}

FORCE_INLINE void T(apply)(const struct bitdrop_job *job, const struct piece *piece)
{
    const C(vec) scale = C(set1)(sizeof(C(scalar)) == 8 ? job->scale : job->scale_f32);
    const unsigned char *x = job->x + piece->row * job->x_stride + piece->col * BYTES;
    unsigned char *y = job->y + piece->row * job->y_stride + piece->col * BYTES;
    const size_t lead = -(uintptr_t)y % T(VECTOR_BYTES); /* bytes to the next whole vector of y */
    const size_t few = lead / BYTES < piece->count ? lead / BYTES : piece->count;

    if (!job->streaming || lead % BYTES != 0) {
        T(run)(x, y, piece->bits, piece->first, piece->count, scale, false);
        return;
    }
    T(run)(x, y, piece->bits, piece->first, few, scale, false);
    x += few * BYTES;
    y += few * BYTES;
    T(run)(x, y, piece->bits, piece->first + few, piece->count - few, scale, true);
}

FORCE_INLINE void T(store_mask_and_apply)(const struct bitdrop_job *job, const struct piece *piece)
{
    if (job->mask != NULL)
        store_mask(job, piece);
    T(apply)(job, piece);
}

FORCE_INLINE void T(apply_to_all)(const struct bitdrop_job *job, const struct piece *piece)
{
    T(apply)(job, &(struct piece){piece->row, piece->col, piece->count, NULL, 0});
}

static void T(kernel_forward)(const struct bitdrop_job *job)
{
    for_generated_pieces(job, T(store_mask_and_apply));
    if (job->streaming)
        stream_fence();
}

static void T(kernel_backward)(const struct bitdrop_job *job)
{
    for_rows(job, T(apply));
    if (job->streaming)
        stream_fence();
}

static void T(kernel_multiply)(const struct bitdrop_job *job)
{
    for_rows(job, T(apply_to_all));
    if (job->streaming)
        stream_fence();
}

#undef PASTE_
#undef PASTE
#undef T
#undef C
#undef DTYPE
#undef COMPUTE
#undef BYTES
