/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The product of two matrices (struct bitdrop_product), in tiles of sums that stay in registers
 * (Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", TOMS 34, 2008).
 * Included once for each type of factors, after an ISA's vec.h and vec_product.h, attention.h and
 * template/work.h, with
 *
 *   C(name)  f32_<name>, f64_<name> or pair_<name>: the names of the type
 *
 * which it leaves defined. It defines C(product). vec_product.h says how large a tile is, at most 8
 * rows of 4 vectors.
 */
#if !defined(BITDROP_VEC_H) || !defined(BITDROP_ATTENTION_H) || !defined(BITDROP_TEMPLATE_WORK_H)
#error "include the vec.h of an ISA, attention.h and template/work.h first"
#endif
#ifndef C
#error "define C"
#endif

/*
 * Computes a tile of c: `rows` rows of `vectors` vectors. Both are constants after inlining, so
 * that the sums are registers.
 */
FORCE_INLINE void C(product_tile)(int rows, int vectors, const struct bitdrop_product *p)
{
    const unsigned char *a = p->a, *b = p->b;
    const size_t a_row = p->a_row, a_depth = p->a_depth, b_depth = p->b_depth, c_row = p->c_row;
    const bool add = p->add;
    C(vec) sum[PRODUCT_ROWS][PRODUCT_VECTORS];

#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            sum[i][v] = C(set1)(0);
    for (size_t k = p->depth; k > 0; k--) {
        C(vec) b_row[PRODUCT_VECTORS];

#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            b_row[v] = C(load)(b + (size_t)v * sizeof(C(vec)));
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            const C(vec) x = C(broadcast)(a + (size_t)i * a_row);

#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++)
                sum[i][v] = C(mul_add)(x, b_row[v], sum[i][v]);
        }
        a += a_depth;
        b += b_depth;
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) {
            unsigned char *at = p->c + (size_t)i * c_row + (size_t)v * sizeof(C(vec));

            C(store)(at, add ? C(add)(C(load)(at), sum[i][v]) : sum[i][v]);
        }
}

/* Computes tiles of `rows` rows while so many are left, and moves p past them. */
FORCE_INLINE void C(product_rows)(int rows, int vectors, struct bitdrop_product *p)
{
    for (; PRODUCT_ROWS >= rows && p->rows >= (size_t)rows; p->rows -= (size_t)rows) {
        C(product_tile)(rows, vectors, p);
        p->a += (size_t)rows * p->a_row;
        p->c += (size_t)rows * p->c_row;
    }
}

/* Computes `vectors` vectors of all rows. */
FORCE_INLINE void C(product_columns)(int vectors, struct bitdrop_product p)
{
    C(product_rows)(8, vectors, &p);
    C(product_rows)(6, vectors, &p);
    C(product_rows)(4, vectors, &p);
    C(product_rows)(2, vectors, &p);
    C(product_rows)(1, vectors, &p);
}

/* Computes c, one panel of b after the other. */
static inline void C(product)(const struct bitdrop_product *p)
{
    const size_t panel = PRODUCT_VECTORS * C(LANES);

    for (size_t col = 0; col < p->cols; col += panel) {
        struct bitdrop_product columns = *p;
        const size_t left = p->cols - col;

        columns.b += col / panel * p->b_panel;
        columns.c += col * sizeof(C(number));
        if (left > 3 * C(LANES) && PRODUCT_VECTORS >= 4)
            C(product_columns)(4, columns);
        else if (left > 2 * C(LANES) && PRODUCT_VECTORS >= 3)
            C(product_columns)(3, columns);
        else if (left > C(LANES) && PRODUCT_VECTORS >= 2)
            C(product_columns)(2, columns);
        else
            C(product_columns)(1, columns);
    }
}
