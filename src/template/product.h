/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The product of two matrices, in tiles of sums that stay in registers (Goto and van de Geijn,
 * "Anatomy of high-performance matrix multiplication", TOMS 34, 2008). Included once for each type
 * of numbers, by template/attention_kernels.h, which defines C; the includer of that has included
 * its vec_product.h.
 */

/*
 * `vectors` columns of `rows` rows. Both are constants after inlining, so that the sums are
 * registers.
 */
FORCE_INLINE void C(product_tile)(int rows, int vectors, const struct bitdrop_product *p,
                                  const unsigned char *a, const unsigned char *b, unsigned char *c)
{
    const size_t a_row = p->a_row, a_depth = p->a_depth, b_depth = p->b_depth, c_row = p->c_row;
    const bool add = p->add;
    C(vec) sum[PRODUCT_ROWS][PRODUCT_VECTORS];

#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            sum[i][v] = C(set1)(0);
    for (size_t k = p->depth; k > 0; k--) {
        C(vec) factor[PRODUCT_VECTORS];

#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            factor[v] = C(load)(b + (size_t)v * sizeof(C(vec)));
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            const C(vec) x = C(broadcast)(a + (size_t)i * a_row);

#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++)
                sum[i][v] = C(mul_add)(x, factor[v], sum[i][v]);
        }
        a += a_depth;
        b += b_depth;
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) {
            unsigned char *at = c + (size_t)i * c_row + (size_t)v * sizeof(C(vec));

            C(store)(at, add ? C(add)(C(load)(at), sum[i][v]) : sum[i][v]);
        }
}

/* `vectors` columns of all rows. */
FORCE_INLINE void C(product_columns)(int vectors, const struct bitdrop_product *p,
                                     const unsigned char *b, unsigned char *c)
{
    const unsigned char *a = p->a;
    size_t left = p->rows;

#define ROWS(n)                                                                                    \
    for (; PRODUCT_ROWS >= (n) && left >= (n); left -= (n)) {                                      \
        C(product_tile)((n), vectors, p, a, b, c);                                                 \
        a += (n)*p->a_row;                                                                         \
        c += (n)*p->c_row;                                                                         \
    }
    ROWS(8)
    ROWS(6)
    ROWS(4)
    ROWS(2)
    ROWS(1)
#undef ROWS
}

static inline void C(product)(const struct bitdrop_product *p)
{
    const size_t panel = PRODUCT_VECTORS * C(LANES);

    for (size_t col = 0; col < p->cols; col += panel) {
        const unsigned char *b = p->b + col / panel * p->b_panel;
        unsigned char *c = p->c + col * sizeof(C(number));
        const size_t left = p->cols - col;

        if (left > 3 * C(LANES) && PRODUCT_VECTORS >= 4)
            C(product_columns)(4, p, b, c);
        else if (left > 2 * C(LANES) && PRODUCT_VECTORS >= 3)
            C(product_columns)(3, p, b, c);
        else if (left > C(LANES) && PRODUCT_VECTORS >= 2)
            C(product_columns)(2, p, b, c);
        else
            C(product_columns)(1, p, b, c);
    }
}
