/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elements to the numbers that are computed with, and back. Included once for each dtype, by
 * template/attention_table.h, with DTYPE, COMPUTE and BYTES as template/apply.h has them, and
 *
 *   LOAD_NUMBERS, STORE_NUMBERS  a vector from and to numbers in memory
 */
#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define T(name) PASTE(DTYPE, name)
#define C(name) PASTE(COMPUTE, name)

static void T(widen_row)(unsigned char *to, const void *from, size_t n)
{
    const unsigned char *x = from;
    C(number) last[T(LANES)];
    size_t i;

    for (i = 0; i + T(LANES) <= n; i += T(LANES))
        STORE_NUMBERS(to + i * sizeof(C(number)), T(load)(x + i * BYTES));
    if (i == n)
        return;
    STORE_NUMBERS((unsigned char *)last, T(load_few)(x + i * BYTES, n - i));
    for (size_t k = n - i; k < T(LANES); k++)
        last[k] = 0;
    n = (n - i + C(LANES) - 1) / C(LANES) * C(LANES);
    memcpy(to + i * sizeof(C(number)), last, n * sizeof(C(number)));
}

static void T(narrow_row)(void *to, const unsigned char *from, size_t n,
                          const unsigned char *factor)
{
    unsigned char *y = to;
    C(number) x;

    memcpy(&x, factor, sizeof x);
    const C(vec) scale = C(set1)(x);
    for (size_t i = 0; i < n; i += T(LANES)) {
        const T(packed) out = T(round)(T(mul)(LOAD_NUMBERS(from + i * sizeof(C(number))), scale));

        if (n - i >= T(LANES))
            T(store)(y + i * BYTES, out);
        else
            T(store_few)(y + i * BYTES, out, n - i);
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
