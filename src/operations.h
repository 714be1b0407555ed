/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of bodies and the list of operations. Argument checks, tables of kernels, tests and
 * benchmarks are made from them, and the Python package is tested against them.
 */
#ifndef BITDROP_OPERATIONS_H
#define BITDROP_OPERATIONS_H

/*
 * A body computes one vector of the output, or whole rows: X(name, inputs, generator, marks). Its
 * function is T(op_<name>) in a file of src/op.
 *
 * inputs: the number of its operands.
 *
 * generator: where its keep bits come from, and when it is applied.
 * - INTERLEAVED: it has a generator of its own, which applies a strip after every STEP_ROUNDS
 *   rounds of Philox. This is the fastest in cache, and the most code.
 * - SHARED: all bodies share one generator, which applies some strips after each plane.
 * - INTERLEAVED_BUT_F64: f64 is SHARED, because it waits for memory more than for Philox. The other
 *   dtypes are INTERLEAVED.
 * - TWO_PHASES: SHARED, and the body is two functions, with an exp of each element between them.
 *   Some strips go through the first function, then through exp, then through the second function.
 *   In f64 each vector goes through all three.
 * - WHOLE_ROWS: no generator. The body is a function on a row, whose elements depend on one
 *   another. It makes the bits of the row before it applies them.
 * - NOISE: no keep bits. Instead, the body has a number of Gaussian noise for each element.
 *
 * marks: 1 if a stored mask holds bits that the body computes (marks), not those of the generator.
 */
#define BITDROP_BODIES(X)                                                                          \
    X(dropout, 1, INTERLEAVED, 0)                                                                  \
    X(add, 3, INTERLEAVED_BUT_F64, 0)                                                              \
    X(relu, 2, INTERLEAVED_BUT_F64, 1)                                                             \
    X(relu_grad, 3, SHARED, 0)                                                                     \
    X(gelu, 2, TWO_PHASES, 0)                                                                      \
    X(gelu_grad, 3, TWO_PHASES, 0)                                                                 \
    X(gelu_tanh, 2, TWO_PHASES, 0)                                                                 \
    X(gelu_tanh_grad, 3, TWO_PHASES, 0)                                                            \
    X(silu, 2, TWO_PHASES, 0)                                                                      \
    X(silu_grad, 3, TWO_PHASES, 0)                                                                 \
    X(alpha, 1, SHARED, 0)                                                                         \
    X(softmax, 3, WHOLE_ROWS, 0)                                                                   \
    X(softmax_grad, 2, WHOLE_ROWS, 0)                                                              \
    X(gaussian, 1, NOISE, 0)

/*
 * X(name, function, (arguments), (inputs), bits, body, stored_body, parameters)
 *
 * function: bitdrop_<function> is the call on rows and columns.
 *
 * arguments: those of this call, as cfg, t, shape, in[0] to in[2], y and mask, and for softmax also
 * soft and prob.
 *
 * inputs: what each operand of the body is.
 * - FIRST: a matrix with x_stride. The output may be the same buffer.
 * - THIRD: a matrix with z_stride. The output may be the same buffer.
 * - THIRD_OR_NULL: the same, or NULL. NULL stands for -0 everywhere: x + -0 is x for every x.
 * - BIAS: cols elements, the same for all rows, or NULL, which also stands for -0.
 * - ROW_BIAS: soft->bias, a matrix or NULL. soft says which row uses which row of it.
 * - PROB: a second output, prob: a matrix with z_stride, or NULL. It may be the same buffer as
 *   FIRST.
 * - NONE: no buffer. If the body has this operand, it is -0 everywhere.
 *
 * bits:
 * - WRITTEN: they are made, and stored unless the mask is remade.
 * - READ: they come from the mask, or are made if the mask is remade.
 * - MADE: they are made, and never stored.
 * - NOISE: there are numbers of noise instead. At p = 1 these would be infinite.
 * - NONE: all elements are kept.
 *
 * body: NONE if the call makes a mask alone. stored_body: the body if the bits are READ from a
 * stored mask. It may have fewer operands than body, and then has the first of them.
 *
 * parameters: <parameters>_parameters in src/op computes the numbers p[] that the body reads.
 */
#define BITDROP_OPERATIONS(X)                                                                      \
    X(mask, mask_2d, (cfg, shape, mask), (NONE, NONE, NONE), WRITTEN, NONE, NONE, scale)           \
    X(forward, forward_2d, (cfg, t, shape, in[0], y, mask), (FIRST, NONE, NONE), WRITTEN, dropout, \
      dropout, scale)                                                                              \
    X(backward, backward_2d, (cfg, t, shape, in[0], y, mask), (FIRST, NONE, NONE), READ, dropout,  \
      dropout, scale)                                                                              \
    X(recompute, recompute_2d, (cfg, t, shape, in[0], y), (FIRST, NONE, NONE), MADE, dropout,      \
      dropout, scale)                                                                              \
    X(infer, infer_2d, (cfg, t, shape, in[0], y), (FIRST, NONE, NONE), NONE, dropout, dropout,     \
      infer)                                                                                       \
    X(forward_add, forward_add, (cfg, t, shape, in[0], in[1], in[2], y, mask),                     \
      (FIRST, BIAS, THIRD_OR_NULL), WRITTEN, add, add, scale)                                      \
    X(backward_add, backward_add, (cfg, t, shape, in[0], in[2], y, mask),                          \
      (FIRST, NONE, THIRD_OR_NULL), READ, add, add, scale)                                         \
    X(forward_relu, forward_act, (cfg, t, shape, BITDROP_RELU, in[0], in[1], y, mask),             \
      (FIRST, BIAS, NONE), WRITTEN, relu, relu, scale)                                             \
    X(backward_relu, backward_act, (cfg, t, shape, BITDROP_RELU, in[0], in[1], in[2], y, mask),    \
      (FIRST, THIRD, BIAS), READ, relu_grad, dropout, scale)                                       \
    X(forward_gelu, forward_act, (cfg, t, shape, BITDROP_GELU, in[0], in[1], y, mask),             \
      (FIRST, BIAS, NONE), WRITTEN, gelu, gelu, scale)                                             \
    X(backward_gelu, backward_act, (cfg, t, shape, BITDROP_GELU, in[0], in[1], in[2], y, mask),    \
      (FIRST, THIRD, BIAS), READ, gelu_grad, gelu_grad, scale)                                     \
    X(forward_gelu_tanh, forward_act, (cfg, t, shape, BITDROP_GELU_TANH, in[0], in[1], y, mask),   \
      (FIRST, BIAS, NONE), WRITTEN, gelu_tanh, gelu_tanh, scale)                                   \
    X(backward_gelu_tanh, backward_act,                                                            \
      (cfg, t, shape, BITDROP_GELU_TANH, in[0], in[1], in[2], y, mask), (FIRST, THIRD, BIAS),      \
      READ, gelu_tanh_grad, gelu_tanh_grad, scale)                                                 \
    X(forward_silu, forward_act, (cfg, t, shape, BITDROP_SILU, in[0], in[1], y, mask),             \
      (FIRST, BIAS, NONE), WRITTEN, silu, silu, scale)                                             \
    X(backward_silu, backward_act, (cfg, t, shape, BITDROP_SILU, in[0], in[1], in[2], y, mask),    \
      (FIRST, THIRD, BIAS), READ, silu_grad, silu_grad, scale)                                     \
    X(forward_alpha, forward_alpha, (cfg, t, shape, in[0], y, mask), (FIRST, NONE, NONE), WRITTEN, \
      alpha, alpha, alpha)                                                                         \
    X(backward_alpha, backward_alpha, (cfg, t, shape, in[0], y, mask), (FIRST, NONE, NONE), READ,  \
      dropout, dropout, alpha)                                                                     \
    X(forward_softmax, forward_softmax, (cfg, t, shape, soft, in[0], prob, y, mask),               \
      (FIRST, ROW_BIAS, PROB), WRITTEN, softmax, softmax, scale)                                   \
    X(backward_softmax, backward_softmax, (cfg, t, shape, soft, in[0], in[1], y, mask),            \
      (FIRST, THIRD, NONE), READ, softmax_grad, softmax_grad, scale)                               \
    X(gaussian, gaussian, (cfg, t, shape, in[0], y), (FIRST, NONE, NONE), NOISE, gaussian,         \
      gaussian, gaussian)

/*
 * X(ACTIVATION, name): BITDROP_<ACTIVATION> makes forward_act and backward_act the operations
 * forward_<name> and backward_<name>.
 */
#define BITDROP_ACTIVATIONS(X) X(RELU, relu) X(GELU, gelu) X(GELU_TANH, gelu_tanh) X(SILU, silu)

/* The operations that also have a flat call: X(name, (arguments)). */
#define BITDROP_FLAT_OPERATIONS(X)                                                                 \
    X(mask, (cfg, n, mask))                                                                        \
    X(forward, (cfg, t, n, in[0], y, mask))                                                        \
    X(backward, (cfg, t, n, in[0], y, mask))                                                       \
    X(recompute, (cfg, t, n, in[0], y))                                                            \
    X(infer, (cfg, t, n, in[0], y))

enum { BITDROP_MAX_INPUTS = 3 };
enum bitdrop_generator {
    GENERATOR_INTERLEAVED,
    GENERATOR_INTERLEAVED_BUT_F64,
    GENERATOR_SHARED,
    GENERATOR_TWO_PHASES,
    GENERATOR_WHOLE_ROWS,
    GENERATOR_NOISE
};
enum bitdrop_input { IN_NONE, IN_FIRST, IN_THIRD, IN_THIRD_OR_NULL, IN_BIAS, IN_ROW_BIAS, IN_PROB };
enum bitdrop_bits { BITS_WRITTEN, BITS_READ, BITS_MADE, BITS_NOISE, BITS_NONE };

#define BITDROP_BODY_ENUM(name, inputs, generator, marks) BODY_##name,
enum bitdrop_body { BITDROP_BODIES(BITDROP_BODY_ENUM) BODY_NONE };
enum { BITDROP_BODY_COUNT = BODY_NONE };

#define BITDROP_OPERATION_ENUM(name, ...) OP_##name,
enum bitdrop_operation { BITDROP_OPERATIONS(BITDROP_OPERATION_ENUM) BITDROP_OPERATION_COUNT };

/* An operation as data. {BITDROP_OPERATIONS(BITDROP_OPERATION_ROW)} initialises an array of all. */
struct bitdrop_operation_row {
    const char *name;
    enum bitdrop_input in[BITDROP_MAX_INPUTS];
    enum bitdrop_bits bits;
    enum bitdrop_body body, stored_body;
};

#define BITDROP_INPUTS(a, b, c)                                                                    \
    {                                                                                              \
        IN_##a, IN_##b, IN_##c                                                                     \
    }
#define BITDROP_OPERATION_ROW(name, function, arguments, inputs, bits, body, stored_body,          \
                              parameters)                                                          \
    {#name, BITDROP_INPUTS inputs, BITS_##bits, BODY_##body, BODY_##stored_body},

#endif
