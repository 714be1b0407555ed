/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of bodies and the list of operations. Argument checks, tables of kernels, tests and
 * benchmarks follow them, and the Python package is tested against them.
 */
#ifndef BITDROP_OPERATIONS_H
#define BITDROP_OPERATIONS_H

/*
 * A body is what is done to one vector: X(name, inputs, generator, marks). Its function is
 * T(op_<name>) in a file of src/op.
 *
 * inputs: the operands that it reads.
 *
 * generator: INTERLEAVED is one of its own, which applies a strip after each Philox round. It is
 * the fastest in cache, and 10 to 20 KiB of code for each dtype. SHARED is one for all bodies,
 * which applies some strips after each plane. INTERLEAVED_BUT_F64 leaves f64, which waits for
 * memory more than for Philox, to the shared one. TWO_PHASES is SHARED too, but the body is two
 * functions, with an exp of each element between them; but for f64, some strips go through the
 * first one, then through exp, then through the second one. WHOLE_ROWS is no generator: the body is
 * a function on a row, whose elements depend on one another, and makes the row's bits before it
 * applies them. NOISE has no keep bits but a number of Gaussian noise for each element, which the
 * body is given.
 *
 * marks: if 1, a stored mask holds the bits that the body makes, not those of the generator.
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
 * function: bitdrop_<function> is the call on rows and columns. arguments are those of that call,
 * made of cfg, t, shape, in[0] to in[2], y and mask, and for softmax of soft and prob.
 *
 * inputs: NONE, FIRST (a matrix with x_stride), THIRD (one with z_stride) or BIAS (cols elements,
 * the same for all rows). BIAS and THIRD_OR_NULL may be NULL, which stands for -0 everywhere: x +
 * -0 is x for every x. The output may be FIRST or THIRD. ROW_BIAS is soft->bias, a matrix of which
 * soft says who takes which row, and may be NULL. PROB is no input but another output, prob: a
 * matrix with z_stride, which may be FIRST, or NULL.
 *
 * bits: WRITTEN are made, and stored unless the mask is remade. READ come from the mask, or are
 * made if it is remade. MADE are made and never stored. NOISE is numbers in their place, which p =
 * 1 would make infinite. With NONE everything is kept.
 *
 * body is what is done, NONE for a mask alone. stored_body is the same where the bits are READ from
 * a stored mask; it looks at as many inputs as it has.
 *
 * parameters: <parameters>_parameters in src/op makes the numbers that the body finds in p[].
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

/* The operations that have a flat call too: X(name, (arguments)). */
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

/* A row of the list as data: {BITDROP_OPERATIONS(BITDROP_OPERATION_ROW)} is the whole. */
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
