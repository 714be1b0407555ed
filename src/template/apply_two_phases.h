/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop over strips of a body in two phases, with an exp of each element between them. A part of
 * apply.h.
 *
 * In a body that is one function a call of SLEEF is one link of a long chain, and it leaves no
 * vector register as it was. So the first phase of some strips is computed into an array, then
 * their exps, whose calls wait for nothing and have nothing to keep, and then their second phase.
 */

/* From the operands to the two behind them; exp is taken of the second. */
typedef void T(first_function)(T(vec) * in);

enum {
    T(BATCH_STRIPS) = 4, /* whose first phase is computed at once */
    T(STRIP_PARTS) = T(VECTORS) * T(PARTS),
    T(BATCH_PARTS) = T(BATCH_STRIPS) * T(STRIP_PARTS)
};

FORCE_INLINE void T(exp_parts)(T(vec) * a)
{
    for (int i = 0; i < T(PARTS); i++)
        *T(part)(a, i) = C(exp)(*T(part)(a, i));
}

/* The first phase of the next strip. */
FORCE_INLINE void T(strip_first)(T(first_function) * first, int inputs, bool has_second,
                                 const struct work *work, const struct T(made) * made)
{
    for (int v = 0; v < T(VECTORS); v++) {
        T(vec) in[T(MAX_IN)];

        T(load_operands)(inputs, has_second, work, v, in);
        first(in);
        for (int i = 0; i < T(PARTS); i++) {
            made->first[v * T(PARTS) + i] = *T(part)(&in[inputs], i);
            made->second[v * T(PARTS) + i] = *T(part)(&in[inputs + 1], i);
        }
    }
}

/* T(strips) of a body in two phases. */
FORCE_INLINE void T(strips_two_phases)(T(first_function) * first, T(body_function) * second,
                                       int inputs, bool makes_marks, struct work *work,
                                       size_t count)
{
    const bool has_second = inputs > 1 && work->how & WORK_SECOND_INPUT;
    C(vec) a[T(BATCH_PARTS)], b[T(BATCH_PARTS)];
    struct work local, ahead;

    work_copy(&local, work);
    for (size_t batch; count > 0; count -= batch) {
        batch = smaller(count, T(BATCH_STRIPS));
        work_copy_place(&ahead, &local);
        for (size_t i = 0; i < batch * T(STRIP_PARTS); i += T(STRIP_PARTS)) {
            const struct T(made) made = {a + i, b + i};

            if (has_second)
                T(strip_first)(first, inputs, true, &ahead, &made);
            else
                T(strip_first)(first, inputs, false, &ahead, &made);
            T(advance)(inputs, has_second, &ahead);
        }
        for (size_t i = 0; i < batch * T(STRIP_PARTS); i++)
            b[i] = C(exp)(b[i]);
        for (size_t i = 0; i < batch * T(STRIP_PARTS); i += T(STRIP_PARTS)) {
            const struct T(made) made = {a + i, b + i};

            T(next)(second, inputs, makes_marks, &local, &made);
        }
    }
    work_return(work, &local);
}
