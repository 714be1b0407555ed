/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elements to the numbers that are computed with, and back. Included once for each dtype, by
 * template/attention_table.h, with DTYPE, COMPUTE and BYTES as template/apply.h has them, and
 *
 *   LOAD_NUMBERS, STORE_NUMBERS  a vector from and to numbers in memory
 */
#if !defined(DTYPE) || !defined(COMPUTE) || !defined(BYTES)
#error "define DTYPE, COMPUTE and BYTES"
#endif

#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define T(name) PASTE(DTYPE, name)
#define C(name) PASTE(COMPUTE, name)

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

static inline void T(narrow_row)(unsigned char *to, const unsigned char *from, size_t n,
                                 C(number) factor)
{
    const C(vec) scale = C(set1)(factor);
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
    C(number) factor = 1;

    for (size_t r = 0; r < c->rows; r++) {
        if (c->factor != NULL)
            memcpy(&factor, c->factor + r * sizeof factor, sizeof factor);
        T(narrow_row)(c->to + r * c->to_stride, c->from + r * c->stride, c->n, factor);
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
