/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All files of src/op. A file may have two parts, and is included for one of them at a time.
 * activation.h has no body: it has what the activations share.
 *
 * With BITDROP_PARAMETERS defined, once, by run_call.h: functions <name>_parameters(), which fill
 * p[] in double from the config. given: the bits are read from a stored mask, which is obeyed at
 * any p.
 *
 * Else once for each dtype, by template/apply.h: the body, a function on one vector.
 *
 *     T(packed) T(op_<name>)(T(vec) *in, keep_bits keep, int v, const C(vec) *p, uint32_t *marks)
 *
 * in holds vector v of a strip of each operand, and keep the strip's bits. It computes in C(vec),
 * which is f32 or f64, so one text serves all dtypes: T(PARTS) such vectors make a T(vec). p holds
 * the parameters in all lanes. A body that makes marks puts those of its elements into *marks, the
 * first in bit 0.
 *
 * A body in two phases is two functions. The first makes two vectors of the operands, and puts them
 * behind these into in. The second is like T(op_<name>), which is made of both, and finds exp of
 * the second vector in its place.
 *
 *     void T(first_<name>)(T(vec) *in)
 *     T(packed) T(second_<name>)(T(vec) *in, keep_bits keep, int v, const C(vec) *p,
 *                                uint32_t *marks)
 *
 * A body of whole rows is a function on several rows instead, T(rows_at_once) of them. The bits of
 * their elements are bits_of_row(), and buffer has T(ROW_VECTORS) vectors for anything.
 *
 *     void T(op_<name>)(const struct bitdrop_job *job, size_t row, size_t rows,
 *                       struct row_bits *bits, C(vec) *buffer)
 *
 * A body of noise has no keep bits: T(packed) T(op_<name>)(T(vec) x, T(vec) noise, const C(vec)
 * *p).
 */
#include "op/dropout.h" /* first: others use its parameters */

#include "op/activation.h" /* before those that are made of it */
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
