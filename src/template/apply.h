/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applies keep bits to data: the loops over strips for each body and one dtype, and the kernels
 * that are made of them. A strip is 32 elements, which have one word of keep bits.
 *
 *   T(next)           applies the next strip of a struct work. T(strip) does its computation
 *   T(strips)         applies many strips
 *   T(partial_strip)  applies less than a strip
 *   T(rows)           applies short rows, each with T(strip) and then a partial strip
 *
 * template/apply_kernels.h makes the functions of each body from these. Its kernels call
 * template/job.h, and that calls these functions by pointers in struct work.
 *
 * This file is included once for each dtype, after template/job.h and template/noise.h, with
 *
 *   DTYPE    f32, f64, f16 or bf16: prefix of its names in vec.h
 *   COMPUTE  f32 or f64: the type of the computation
 *   BYTES    size of an element in memory
 *
 * which it undefines. It defines <dtype>_kernels, the array of the kernels of all bodies for this
 * dtype (`bodies` in struct bitdrop_kernels). The includer may also define
 *
 *   ROW      another name of this array. The array is then not static
 */
#if !defined(BITDROP_TEMPLATE_JOB_H) || !defined(BITDROP_TEMPLATE_NOISE_H)
#error "include template/job.h and template/noise.h first"
#endif
#if !defined(DTYPE) || !defined(COMPUTE) || !defined(BYTES)
#error "define DTYPE, COMPUTE and BYTES"
#endif

#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define T(name) PASTE(DTYPE, name)
#define C(name) PASTE(COMPUTE, name)

enum {
    T(VECTORS) = WORD_ELEMENTS / T(LANES), /* vectors in a strip */
    T(VECTOR_BYTES) = T(LANES) * BYTES,
    T(STRIP_BYTES) = WORD_ELEMENTS * BYTES,
    T(PAGE_STRIPS) = 4096 / T(STRIP_BYTES),
    T(TURN_STRIPS) = 512 / T(STRIP_BYTES) /* of one page before the turn of the next page */
};

#include "op/bodies.h"
#include "template/apply_noise.h"

/* The body: computes one vector. op/bodies.h says what its parameters are. */
typedef T(packed)
    T(body_function)(T(vec) * in, keep_bits keep, int v, const C(vec) * p, uint32_t *marks);

/* The operands of a body. After them come two results of the first phase, if the body has two
 * phases. */
enum { T(MAX_IN) = BITDROP_MAX_INPUTS + 2 };

/* Results of the first phase of several vectors, one C(vec) for each part of a T(vec). */
struct T(made) {
    C(vec) * first, *second;
};

/*
 * Loads vector v of the next strip from each of `inputs` operands. Without a loop over operands,
 * because compilers would keep `in` in memory. A second operand that is -0 everywhere is not
 * loaded, and compilers drop the body's addition of -0.
 */
FORCE_INLINE void T(load_operands)(int inputs, bool has_second, const struct work *work, int v,
                                   T(vec) * in)
{
    in[0] = T(load)(work->in[0] + v * T(VECTOR_BYTES));
    if (inputs > 1 && has_second)
        in[1] = T(load)(work->in[1] + v * T(VECTOR_BYTES));
    else
        for (int i = 0; i < T(PARTS); i++)
            *T(part)(&in[1], i) = C(set1)(-0.0);
    if (inputs > 2)
        in[2] = T(load)(work->in[2] + v * T(VECTOR_BYTES));
}

/*
 * Computes and stores the next strip, and returns its marks. made has the results of the first
 * phase, or is NULL.
 */
FORCE_INLINE uint32_t T(strip)(T(body_function) * body, int inputs, bool has_second, keep_bits keep,
                               const struct work *work, const struct T(made) * made)
{
    const C(vec)
        p[BITDROP_MAX_PARAMETERS] = {C(set1)(work->C(parameter)[0]), C(set1)(work->C(parameter)[1]),
                                     C(set1)(work->C(parameter)[2])};
    uint32_t marks = 0;

    for (int v = 0; v < T(VECTORS); v++) {
        T(vec) in[T(MAX_IN)];
        T(packed) out;
        uint32_t vector_marks = 0;

        T(load_operands)(inputs, has_second, work, v, in);
        for (int i = 0; made != NULL && i < T(PARTS); i++) {
            *T(part)(&in[inputs], i) = made->first[v * T(PARTS) + i];
            *T(part)(&in[inputs + 1], i) = made->second[v * T(PARTS) + i];
        }
        out = body(in, keep, v, p, &vector_marks);
        /*
         * Each vector moves the marks of those before it down. To shift its marks up by a number
         * that depends on v, clang would convert floats, which raises FE_INVALID.
         */
        marks = marks >> T(LANES) % WORD_ELEMENTS |
                vector_marks << (WORD_ELEMENTS - T(LANES)) % WORD_ELEMENTS;
        if (work->how & WORK_STREAMING)
            T(stream)(work->out + v * T(VECTOR_BYTES), out);
        else
            T(store)(work->out + v * T(VECTOR_BYTES), out);
    }
    return marks;
}

/* Prefetches the strip that begins at p + ahead, which may lie beyond the operand. */
FORCE_INLINE void T(prefetch)(const unsigned char *p, unsigned ahead)
{
    prefetch_lines((uintptr_t)p + ahead, T(STRIP_BYTES));
}

FORCE_INLINE void T(prefetch_strip)(int inputs, bool has_second, const struct work *work)
{
    if (work->how & WORK_PREFETCH_INPUTS) {
        T(prefetch)(work->in[0], work->prefetch_ahead);
        if (has_second)
            T(prefetch)(work->in[1], work->prefetch_ahead);
        if (inputs > 2)
            T(prefetch)(work->in[2], work->prefetch_ahead);
    }
    if (work->how & WORK_PREFETCH_OUTPUT)
        T(prefetch)(work->out, work->prefetch_ahead);
}

/*
 * Moves the pointers to the next strip. If inputs > 1, it may be in the next row. Bodies with one
 * input have no pieces of many rows.
 */
FORCE_INLINE void T(advance)(int inputs, bool has_second, struct work *work)
{
    work->in[0] += T(STRIP_BYTES);
    if (inputs > 1)
        work->in[1] += has_second ? T(STRIP_BYTES) : 0;
    if (inputs > 2)
        work->in[2] += work->third_step;
    work->out += T(STRIP_BYTES);
    if (inputs > 1 && --work->row_strips_left == 0) {
        work->in[0] += work->in_gap[0];
        work->in[1] += work->in_gap[1];
        if (inputs > 2)
            work->in[2] += work->in_gap[2];
        work->out += work->out_gap;
        work->row_strips_left = work->strips_of_row;
    }
}

/* Applies the next strip. work->strips must not be 0. */
FORCE_INLINE void T(next)(T(body_function) * body, int inputs, bool makes_marks, struct work *work,
                          const struct T(made) * made)
{
    const bool has_second = inputs > 1 && work->how & WORK_SECOND_INPUT;
    uint32_t marks;

    if (__builtin_expect(work->how & (WORK_PREFETCH_INPUTS | WORK_PREFETCH_OUTPUT), 0))
        T(prefetch_strip)(inputs, has_second, work);
    if (has_second)
        marks = T(strip)(body, inputs, true, keep_bits_load(work->bits), work, made);
    else
        marks = T(strip)(body, inputs, false, keep_bits_load(work->bits), work, made);
    if (makes_marks)
        store_le32(work->marks, marks);
    work->bits += WORD_ELEMENTS / 8;
    work->marks += makes_marks ? WORD_ELEMENTS / 8 : 0;
    work->strips--;
    T(advance)(inputs, has_second, work);
}

/* Moves the pointers by `strips` strips, back if it is negative. For bodies with one input. */
FORCE_INLINE void T(pass_over)(bool makes_marks, struct work *work, ptrdiff_t strips)
{
    work->in[0] += strips * T(STRIP_BYTES);
    work->out += strips * T(STRIP_BYTES);
    work->bits += strips * (WORD_ELEMENTS / 8);
    work->marks += makes_marks ? strips * (WORD_ELEMENTS / 8) : 0;
}

/*
 * Applies `count` strips, four stretches of 4 KiB at a time: 512 bytes of each stretch in turn.
 * Returns how many strips are left, which are less than four stretches. Memory is faster this way
 * than if inputs are prefetched (docs/experiments.md). So inputs are not prefetched here.
 */
FORCE_INLINE size_t T(pages_in_turn)(T(body_function) * body, bool makes_marks, struct work *work,
                                     size_t count)
{
    enum { PAGES = 4, PAGE = T(PAGE_STRIPS), TURN = T(TURN_STRIPS) };
    const unsigned how = work->how;

    work->how &= ~(unsigned)WORK_PREFETCH_INPUTS;
    for (; count >= PAGES * PAGE; count -= PAGES * PAGE) {
        for (int done = 0; done < PAGE; done += TURN) {
            for (int page = 0; page < PAGES; page++) {
                for (int i = 0; i < TURN; i++)
                    T(next)(body, 1, makes_marks, work, NULL);
                T(pass_over)(makes_marks, work, PAGE - TURN);
            }
            T(pass_over)(makes_marks, work, TURN - PAGES * PAGE);
        }
        T(pass_over)(makes_marks, work, (PAGES - 1) * PAGE);
    }
    work->how = how;
    return count;
}

/*
 * Applies `count` strips. It works on a copy of *work: compilers know that stores to the output
 * cannot change the copy, and keep it in registers.
 */
FORCE_INLINE void T(strips)(T(body_function) * body, int inputs, bool makes_marks,
                            struct work *work, size_t count)
{
    struct work local;

    work_copy(&local, work);
    if (inputs == 1 && work->how & WORK_PAGES_IN_TURN)
        count = T(pages_in_turn)(body, makes_marks, &local, count);
    for (; count > 0; count--)
        T(next)(body, inputs, makes_marks, &local, NULL);
    work_return(work, &local);
}

/*
 * Applies 0 < n < 32 elements, as apply_partial in work.h says, vector by vector. The lanes after
 * the last element repeat another element, so they raise no floating-point exception of their own.
 */
FORCE_INLINE uint32_t T(partial_strip)(T(body_function) * body, int inputs, bool has_second,
                                       const struct work *work, size_t row, size_t col, size_t n,
                                       uint32_t keep)
{
    const struct bitdrop_job *job = work->job;
    const C(vec)
        p[BITDROP_MAX_PARAMETERS] = {C(set1)(job->C(parameter)[0]), C(set1)(job->C(parameter)[1]),
                                     C(set1)(job->C(parameter)[2])};
    const unsigned char *at[BITDROP_MAX_INPUTS];
    unsigned char *const out = job->out.at + row * job->out.row_bytes + col * BYTES;
    uint32_t marks = 0;
    size_t i;

    for (int k = 0; k < inputs; k++)
        at[k] = operand_at(&job->in[k], row, col);
    for (i = 0; i < n; i += T(LANES)) {
        T(vec) in[T(MAX_IN)];
        uint8_t bits[WORD_ELEMENTS / 8];
        uint32_t vector_marks = 0;

        for (int k = 0; k < inputs; k++)
            if (k != 1 || has_second)
                in[k] = T(load_partial)(at[k] + i * BYTES, n - i);
            else
                for (int part = 0; part < T(PARTS); part++)
                    *T(part)(&in[k], part) = C(set1)(-0.0);
        store_le32(bits, keep >> i);
        T(store_partial)
        (out + i * BYTES, body(in, keep_bits_load(bits), 0, p, &vector_marks), n - i);
        marks = marks >> T(LANES) % WORD_ELEMENTS |
                vector_marks << (WORD_ELEMENTS - T(LANES)) % WORD_ELEMENTS;
    }
    return marks >> (WORD_ELEMENTS - i);
}

/*
 * Applies the next `count` elements of the batch, which lie in one row, and stores their part of
 * the mask or their marks. work is a copy. `partial` applies the tail, and gets the original: if
 * another function had the address of the copy, compilers would not keep it in registers.
 */
FORCE_INLINE void T(row)(T(body_function) * body, int inputs, bool makes_marks,
                         apply_partial *partial, struct work *work, size_t count)
{
    const bool has_second = inputs > 1 && work->how & WORK_SECOND_INPUT;
    const struct bitdrop_job *job = work->job;
    uint8_t *mask = makes_marks ? job->marks : job->mask;
    const uint8_t *bits = work->keep + work->first / 8;
    const size_t phase = work->first % 8, tail = count % WORD_ELEMENTS;
    size_t col = work->col;

    mask = mask == NULL ? NULL : mask + work->row * job->mask_stride;
    work->in[0] = operand_at(&job->in[0], work->row, col);
    if (inputs > 1)
        work->in[1] = operand_at(&job->in[1], work->row, col);
    if (inputs > 2)
        work->in[2] = operand_at(&job->in[2], work->row, col);
    work->out = job->out.at + work->row * job->out.row_bytes + col * BYTES;
    for (const size_t end = col + count - tail; col < end; col += WORD_ELEMENTS) {
        uint8_t shifted[WORD_ELEMENTS / 8];
        const uint8_t *word = bits;
        uint32_t marks;

        if (phase != 0) {
            store_le32(shifted, bits_32(bits, phase));
            word = shifted;
        }
        if (has_second)
            marks = T(strip)(body, inputs, true, keep_bits_load(word), work, NULL);
        else
            marks = T(strip)(body, inputs, false, keep_bits_load(word), work, NULL);
        if (mask != NULL)
            bits_append_word(mask, col, makes_marks ? marks : load_le32(word));
        work->in[0] += T(STRIP_BYTES);
        if (inputs > 1)
            work->in[1] += has_second ? T(STRIP_BYTES) : 0;
        if (inputs > 2)
            work->in[2] += work->third_step;
        work->out += T(STRIP_BYTES);
        bits += WORD_ELEMENTS / 8;
    }
    if (tail > 0) {
        const uint32_t keep = bits_word(bits, phase, tail);
        const uint32_t marks = partial(work->original, work->row, col, tail, keep);

        if (mask != NULL)
            bits_append_partial(mask, col, makes_marks ? marks : keep, tail);
    }
}

/*
 * Applies rows of the batch, as apply_batch_rows in work.h says, on a copy as T(strips) does. Short
 * rows are neither streamed nor prefetched.
 */
FORCE_INLINE void T(rows)(T(body_function) * body, int inputs, bool makes_marks,
                          apply_partial *partial, struct work *work, size_t goal)
{
    struct work local;

    work_copy(&local, work);
    work_copy_batch(&local, work);
    local.how = work->how & WORK_SECOND_INPUT;
    local.original = work;
    while (local.left > goal) {
        const size_t in_row = local.job->cols - local.col;
        const size_t count = local.left < in_row ? local.left : in_row;

        T(row)(body, inputs, makes_marks, partial, &local, count);
        work_advance(&local, count);
    }
    work_copy_batch(work, &local);
}

#include "template/apply_two_phases.h" /* defines a loop that the kernels use */

#include "template/apply_kernels.h"

#undef ACTIVATION
#undef PASTE_
#undef PASTE
#undef T
#undef C
#undef DTYPE
#undef COMPUTE
#undef BYTES
