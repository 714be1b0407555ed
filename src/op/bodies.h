/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All files of src/op. Each has up to two parts, and is included for one part at a time.
 * activation.h has no body: it has the code that the activations share.
 *
 * run_call.h includes this file once, with BITDROP_PARAMETERS defined, for the functions
 *
 *     void <name>_parameters(const bitdrop_config *cfg, bool given, double *p)
 *
 * which compute the parameters p[] of a body from the config. `given` means that the keep bits come
 * from a stored mask, which the body follows at any p.
 *
 * template/apply.h includes this file once for each dtype, without BITDROP_PARAMETERS, for the
 * bodies. It has defined T, C and BYTES. Most bodies are a function on one vector:
 *
 *     T(packed) T(op_<name>)(T(vec) *in, keep_bits keep, int v, const C(vec) *p, uint32_t *marks)
 *
 * in[i] is vector v of a strip of operand i. keep has the bits of the strip. The body computes in
 * C(vec), of f32 or f64: T(PARTS) of them make a T(vec). So it is written once for all dtypes. p
 * has the parameters, in all lanes. A body that makes marks stores those of its elements in *marks,
 * the first in bit 0.
 *
 * A body in two phases is two functions. The first computes two vectors from the operands, and
 * stores them after the operands in `in`. The second is like the function above, but finds in `in`
 * the first vector and exp of the second one. template/apply_kernels.h makes T(op_<name>) from
 * both.
 *
 *     void T(first_<name>)(T(vec) *in)
 *     T(packed) T(second_<name>)(T(vec) *in, keep_bits keep, int v, const C(vec) *p,
 *                                uint32_t *marks)
 *
 * A body of whole rows is a function on all rows of a job. It gets keep bits from bits_of_row().
 * buffer is scratch memory of T(ROW_VECTORS) vectors.
 *
 *     void T(op_<name>)(const struct bitdrop_job *job, struct row_bits *bits, C(vec) *buffer)
 *
 * A body of noise is a function on one vector of x and one of noise. It has no keep bits.
 *
 *     T(packed) T(op_<name>)(T(vec) x, T(vec) noise, const C(vec) *p)
 *
 * In the comments of src/op, D(a) is a * p[0] where kept and +0 elsewhere, and D' is its
 * derivative: D'(g) is g * p[0] where kept and +0 elsewhere.
 */
#ifndef BITDROP_PARAMETERS
#if !defined(T) || !defined(C) || !defined(BYTES)
#error "include template/apply.h"
#endif
#endif

#include "op/dropout.h" /* first: others use its parameters */

#include "op/activation.h" /* before the activations, which use it */
#include "op/add.h"
#include "op/alpha.h"
#include "op/gaussian.h"
#include "op/gelu.h"
#include "op/gelu_tanh.h"
#include "op/relu.h"
#include "op/relu_grad.h"
#include "op/silu.h"
#include "op/softmax.h"
#include "op/softmax_grad.h"
