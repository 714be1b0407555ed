/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop over the elements of a piece for one body and one dtype, and the kernels made of it. It
 * owns tails, streaming stores and their fence. Included once for each dtype, with
 *
 *   DTYPE    f32, f64, f16 or bf16: names what the vocabulary has for it
 *   COMPUTE  f32 or f64: what it is computed in
 *   BYTES    of an element in memory
 *
 * and undefines them. The vocabulary provides for COMPUTE _vec and _set1, and for DTYPE
 * _LANES and _load, _mul, _kept, _store, _stream.
 */
#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define T(name) PASTE(DTYPE, name)
#define C(name) PASTE(COMPUTE, name)

#include "template/body_apply.h"

enum {
    T(VECTORS) = WORD_ELEMENTS / T(LANES), /* in a strip: the elements of one mask word */
    T(VECTOR_BYTES) = T(LANES) * BYTES,
    T(STRIP_BYTES) = WORD_ELEMENTS * BYTES
};

FORCE_INLINE void T(strip)(const unsigned char *x, unsigned char *y, const uint8_t *bits,
                           C(vec) scale, bool streaming)
{
    const keep_bits keep = keep_bits_load(bits);

    for (int v = 0; v < T(VECTORS); v++) {
        const T(packed) out = T(body_apply)(T(load)(x + v * T(VECTOR_BYTES)), keep, v, scale);

        if (streaming)
            T(stream)(y + v * T(VECTOR_BYTES), out);
        else
            T(store)(y + v * T(VECTOR_BYTES), out);
    }
}

/*
 * The n < WORD_ELEMENTS elements of a piece from its i-th on, through a buffer: memory beyond them
 * is not touched. The rest of the strip repeats an element, so that it raises nothing that the data
 * does not.
 */
static inline void T(few)(const struct bitdrop_job *job, const struct piece *piece, size_t i,
                          size_t n)
{
    const size_t col = (piece->col + i) * BYTES;
    const unsigned char *x = job->x + piece->row * job->x_stride + col;
    unsigned char *y = job->y + piece->row * job->y_stride + col;
    unsigned char strip[T(STRIP_BYTES)];
    uint8_t bits[WORD_ELEMENTS / 8];

    if (n == 0)
        return;
    store_le32(bits, piece->bits == NULL ? UINT32_MAX : bits_few(piece->bits, piece->first + i, n));
    memcpy(strip, x, n * BYTES);
    for (size_t k = n; k < WORD_ELEMENTS; k++)
        memcpy(strip + k * BYTES, strip, BYTES);
    T(strip)(strip, strip, bits, C(set1)(C(scale)(job)), false);
    memcpy(y, strip, n * BYTES);
}

/* Applies the next strip, if there is one. */
FORCE_INLINE void T(step)(struct work *work)
{
    if (work->strips == 0)
        return;
    if (work->prefetch)
        for (int b = 0; b < T(STRIP_BYTES); b += CACHE_LINE)
            __builtin_prefetch((const void *)((uintptr_t)(work->streaming ? work->x : work->y) +
                                              PREFETCH_AHEAD + (unsigned)b));
    T(strip)(work->x, work->y, work->bits, C(set1)(work->scale), work->streaming);
    work->x += T(STRIP_BYTES);
    work->y += T(STRIP_BYTES);
    work->bits += WORD_ELEMENTS / 8;
    work->strips--;
}

FORCE_INLINE void T(finish)(struct work *work)
{
    while (work->strips > 0)
        T(step)(work);
}

/* Finishes the work at hand, and makes it the whole strips of a piece, whose ends are applied. */
FORCE_INLINE void T(take)(const struct piece *piece, struct work *work)
{
    const struct bitdrop_job *job = work->job;
    const unsigned char *x = job->x + piece->row * job->x_stride + piece->col * BYTES;
    unsigned char *y = job->y + piece->row * job->y_stride + piece->col * BYTES;
    size_t lead = 0, tail;

    T(finish)(work);
    if (work->streaming) /* from the first whole vector of y on */
        lead = -(uintptr_t)y % T(VECTOR_BYTES) / BYTES;
    if (lead > piece->count)
        lead = piece->count;
    tail = (piece->count - lead) % WORD_ELEMENTS;
    T(few)(job, piece, 0, lead);
    T(few)(job, piece, piece->count - tail, tail);
    work->x = x + lead * BYTES;
    work->y = y + lead * BYTES;
    work->strips = (piece->count - lead) / WORD_ELEMENTS;
    work->bits =
        bits_at_byte(piece->bits, piece->first + lead, work->strips * WORD_ELEMENTS, work->shifted);
}

FORCE_INLINE void T(run)(const struct bitdrop_job *job, bool generated)
{
    struct tile tile;
    uint8_t shifted[TILE_BYTES];
    struct work work = {.job = job,
                        .scale = C(scale)(job),
                        .streaming = job->streaming,
                        .prefetch = job->prefetch,
                        .shifted = shifted};

    if (generated)
        for_generated_pieces(&tile, T(take), T(step), &work);
    else
        for_given_pieces(T(take), &work);
    T(finish)(&work);
    if (job->streaming)
        stream_fence();
}

static void T(kernel_forward)(const struct bitdrop_job *job) { T(run)(job, true); }

static void T(kernel_backward)(const struct bitdrop_job *job) { T(run)(job, false); }

#undef PASTE_
#undef PASTE
#undef T
#undef C
#undef DTYPE
#undef COMPUTE
#undef BYTES
