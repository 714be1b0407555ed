/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Part of template/apply.h, which has defined T, C and the loops over strips: the loop over strips
 * for bodies in two phases, with an exp of each element between the phases.
 *
 * If the body were one function, each call of SLEEF's exp would wait for the operations in front of
 * it, and it preserves no vector register. So the loop computes the first phase of some strips into
 * an array, then all their exps, then their second phase. The exps do not wait for one another, and
 * no vector register has to be saved around them.
 */
#if !defined(T) || !defined(C) || !defined(BYTES)
#error "include template/apply.h"
#endif

/*
 * The first phase: computes two results from the operands, and stores them after the operands in
 * `in`. The second phase finds exp of the second result in its place.
 */
typedef void T(first_function)(T(vec) * in);

enum {
    T(PHASE_STRIPS) = 4, /* strips that go through a phase together */
    T(STRIP_PARTS) = T(VECTORS) * T(PARTS),
    T(PHASE_PARTS) = T(PHASE_STRIPS) * T(STRIP_PARTS)
};

FORCE_INLINE void T(exp_parts)(T(vec) * a)
{
    for (int i = 0; i < T(PARTS); i++)
        *T(part)(a, i) = C(exp)(*T(part)(a, i));
}

/* Computes the first phase of the next strip, to *made. */
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

/*
 * T(strips) for a body in two phases. `ahead` and `local` are copies of *work: the first phase
 * moves on in `ahead`, the second in `local`.
 */
FORCE_INLINE void T(strips_two_phases)(T(first_function) * first, T(body_function) * second,
                                       int inputs, bool makes_marks, struct work *work,
                                       size_t count)
{
    const bool has_second = inputs > 1 && work->how & WORK_SECOND_INPUT;
    C(vec) a[T(PHASE_PARTS)], b[T(PHASE_PARTS)];
    struct work local, ahead;

    work_copy(&local, work);
    for (size_t strips; count > 0; count -= strips) {
        strips = smaller(count, T(PHASE_STRIPS));
        work_copy_place(&ahead, &local);
        for (size_t i = 0; i < strips * T(STRIP_PARTS); i += T(STRIP_PARTS)) {
            const struct T(made) made = {a + i, b + i};

            if (has_second)
                T(strip_first)(first, inputs, true, &ahead, &made);
            else
                T(strip_first)(first, inputs, false, &ahead, &made);
            T(advance)(inputs, has_second, &ahead);
        }
        for (size_t i = 0; i < strips * T(STRIP_PARTS); i++)
            b[i] = C(exp)(b[i]);
        for (size_t i = 0; i < strips * T(STRIP_PARTS); i += T(STRIP_PARTS)) {
            const struct T(made) made = {a + i, b + i};

            T(next)(second, inputs, makes_marks, &local, &made);
        }
    }
    work_return(work, &local);
}
