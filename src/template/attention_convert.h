/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention: converts elements to the numbers that it computes with, and back. Included once for
 * each dtype, after an ISA's vec.h and vec_product.h, attention.h and template/number.h, with
 *
 *   DTYPE          f32, f64, f16 or bf16: prefix of its names in vec.h
 *   COMPUTE        f64 for f64, f32 for the others: the type of the computation
 *   BYTES          size of an element in memory
 *   LOAD_NUMBERS   loads a <dtype>_vec from numbers of COMPUTE: f32_load, f64_load, f16_load_f32 or
 *                  bf16_load_f32
 *   STORE_NUMBERS  stores it as such numbers: f32_store, f64_store, f16_store_f32 or bf16_store_f32
 *
 * which it undefines. It defines <dtype>_widen_rows and <dtype>_narrow_rows.
 */
#if !defined(BITDROP_VEC_H) || !defined(BITDROP_ATTENTION_H) || !defined(BITDROP_TEMPLATE_NUMBER_H)
#error "include the vec.h of an ISA, attention.h and template/number.h first"
#endif
#if !defined(DTYPE) || !defined(COMPUTE) || !defined(BYTES)
#error "define DTYPE, COMPUTE and BYTES"
#endif
#if !defined(LOAD_NUMBERS) || !defined(STORE_NUMBERS)
#error "define LOAD_NUMBERS and STORE_NUMBERS"
#endif

#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define T(name) PASTE(DTYPE, name)
#define C(name) PASTE(COMPUTE, name)

/* Converts n elements to numbers, and pads them with +0 to a whole C(vec). */
static inline void T(widen_row)(unsigned char *to, const void *from, size_t n)
{
    const unsigned char *x = from;
    C(number) last[T(LANES)];
    size_t i;

    for (i = 0; i + T(LANES) <= n; i += T(LANES))
        STORE_NUMBERS(to + i * sizeof(C(number)), T(load)(x + i * BYTES));
    if (i == n)
        return;
    STORE_NUMBERS((unsigned char *)last, T(load_partial)(x + i * BYTES, n - i));
    for (size_t k = n - i; k < T(LANES); k++)
        last[k] = 0;
    n = (n - i + C(LANES) - 1) / C(LANES) * C(LANES);
    memcpy(to + i * sizeof(C(number)), last, n * sizeof(C(number)));
}

static void T(widen_rows)(const struct bitdrop_copied_rows *c)
{
    for (size_t r = 0; r < c->rows; r++)
        T(widen_row)(c->to + r * c->to_stride, c->from + r * c->stride, c->n);
}

/* Multiplies n numbers by row_scale and rounds them to elements. */
static inline void T(narrow_row)(unsigned char *to, const unsigned char *from, size_t n,
                                 C(number) row_scale)
{
    const C(vec) scale = C(set1)(row_scale);
    C(number) last[T(LANES)] = {0};
    size_t i;

    for (i = 0; i + T(LANES) <= n; i += T(LANES))
        T(store)
    (to + i * BYTES, T(round)(T(mul)(LOAD_NUMBERS(from + i * sizeof(C(number))), scale)));
    if (i == n)
        return;
    memcpy(last, from + i * sizeof *last, (n - i) * sizeof *last);
    T(store_partial)
    (to + i * BYTES, T(round)(T(mul)(LOAD_NUMBERS((unsigned char *)last), scale)), n - i);
}

static void T(narrow_rows)(const struct bitdrop_copied_rows *c)
{
    C(number) row_scale = 1;

    for (size_t r = 0; r < c->rows; r++) {
        if (c->row_scales != NULL)
            memcpy(&row_scale, c->row_scales + r * sizeof row_scale, sizeof row_scale);
        T(narrow_row)(c->to + r * c->to_stride, c->from + r * c->stride, c->n, row_scale);
    }
}

#undef PASTE_
#undef PASTE
#undef T
#undef C
#undef DTYPE
#undef COMPUTE
#undef BYTES
#undef LOAD_NUMBERS
#undef STORE_NUMBERS
