/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares two ways to compute attention with dropout: blocked, by one call that keeps no
 * probabilities, and unfused, by a call for each step of the formula, with masks in three formats.
 * Prints the time and the kept bytes of each. All drop the same elements, and must agree to within
 * the rounding of f32 with the blocked call in f64. Finite differences check the gradients of that.
 *
 * usage: attention [--batch=N] [--heads=N] [--tokens=N] [--dim=N] [--p=P] [--causal] [--runs=N]
 */
#define _XOPEN_SOURCE 700
#include "attention.h"

#include <cblas.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "must.h"
#include "seconds.h"

enum { DIMENSION_MAX = 4096, RUNS_MAX = 1000 };

/* Rounding errors are smaller, relative to the greatest value and to the gradient's length. */
static const double error_max = 1e-5, slope_error_max = 1e-7;

static size_t out_elements(const struct attention *a) { return a->batch * a->tokens * width_of(a); }
static size_t qkv_elements(const struct attention *a) { return 3 * out_elements(a); }

static struct tensors allocate_tensors(const struct attention *a, size_t size)
{
    const size_t qkv = qkv_elements(a), out = out_elements(a);

    return (struct tensors){allocate(qkv, size), allocate(out, size), allocate(out, size),
                            allocate(qkv, size)};
}

static void free_tensors(struct tensors *t)
{
    free(t->qkv);
    free(t->out);
    free(t->dout);
    free(t->dqkv);
}

/* Draws n numbers from U(-bound, bound), and stores them in f32 and in f64. */
static void fill(size_t n, double bound, unsigned short state[3], float *x, double *same)
{
    for (size_t i = 0; i < n; i++)
        same[i] = x[i] = (float)(bound * (2 * erand48(state) - 1));
}

/* The sum of out * dout. Its gradient with respect to out is dout. */
static double loss(const struct blocked *b, const struct attention *a, const struct tensors *t)
{
    const double *out = t->out, *dout = t->dout;
    double sum = 0;

    blocked_forward(b, t);
    for (size_t i = 0; i < out_elements(a); i++)
        sum += out[i] * dout[i];
    return sum;
}

/* x += step * direction. */
static void move(size_t n, double step, const double *direction, double *x)
{
    for (size_t i = 0; i < n; i++)
        x[i] += step * direction[i];
}

/*
 * Moves each element of q, k or v (third 0, 1 or 2) in a random direction, +1 or -1. Computes the
 * slope of the loss in this direction by the gradient, and by a central difference. Returns their
 * difference divided by the length of the gradient.
 */
static double slope_error(const struct blocked *b, const struct attention *a,
                          const struct tensors *t, size_t third, unsigned short state[3])
{
    const size_t n = qkv_elements(a);
    const double *gradient = t->dqkv, step = 1e-4;
    double *direction = allocate(n, sizeof *direction), slope = 0, squares = 0, difference, error;

    for (size_t i = 0; i < n; i++)
        if (i / width_of(a) % 3 == third) {
            direction[i] = erand48(state) < 0.5 ? -1 : 1;
            slope += gradient[i] * direction[i];
            squares += gradient[i] * gradient[i];
        }
    move(n, step, direction, t->qkv);
    difference = loss(b, a, t);
    move(n, -2 * step, direction, t->qkv);
    difference -= loss(b, a, t);
    move(n, step, direction, t->qkv);
    free(direction);
    error = fabs(difference / (2 * step) - slope);
    return error == 0 ? 0 : error / sqrt(squares);
}

/* Computes out and dqkv in f64, and checks dqkv. */
static bool check_gradients(const struct attention *a, const struct tensors *exact)
{
    static const char names[] = {'q', 'k', 'v'};
    unsigned short state[3] = {0x330E, 7, 0};
    struct blocked b;
    bool right = true;

    blocked_init(&b, a, BITDROP_F64);
    blocked_forward(&b, exact);
    blocked_backward(&b, exact);
    printf("gradients in f64 and finite differences, error / length:");
    for (size_t i = 0; i < sizeof names; i++) {
        const double error = slope_error(&b, a, exact, i, state);

        right = right && error <= slope_error_max;
        printf("%s %c %.1e", i > 0 ? "," : "", names[i], error);
    }
    puts("");
    blocked_forward(&b, exact); /* again, because the differences have changed out */
    blocked_free(&b);
    return right;
}

enum { BLOCKED = MASK_FORMATS, WAYS };

struct ways {
    struct unfused unfused[MASK_FORMATS];
    struct blocked blocked;
};

static void ways_init(struct ways *w, const struct attention *a)
{
    for (int i = 0; i < MASK_FORMATS; i++)
        unfused_init(&w->unfused[i], a, (enum mask_format)i);
    blocked_init(&w->blocked, a, BITDROP_F32);
}

static void ways_free(struct ways *w)
{
    for (int i = 0; i < MASK_FORMATS; i++)
        unfused_free(&w->unfused[i]);
    blocked_free(&w->blocked);
}

/* Runs forward and backward. Returns the seconds that they took. */
static double run(const struct ways *w, int way, const struct tensors *t)
{
    const double start = seconds();

    if (way == BLOCKED) {
        blocked_forward(&w->blocked, t);
        blocked_backward(&w->blocked, t);
    } else {
        unfused_forward(&w->unfused[way], t);
        unfused_backward(&w->unfused[way], t);
    }
    return seconds() - start;
}

/* The greatest difference divided by the greatest value. If x has a NaN, it is NaN. */
static double error_of(size_t n, const float *x, const double *exact)
{
    double difference = 0, greatest = 0;

    for (size_t i = 0; i < n; i++) {
        if (isnan(x[i]))
            return NAN;
        difference = fmax(difference, fabs(x[i] - exact[i]));
        greatest = fmax(greatest, fabs(exact[i]));
    }
    return difference == 0 ? 0 : difference / greatest;
}

static int compare(const void *x, const void *y)
{
    const double a = *(const double *)x, b = *(const double *)y;

    return (a > b) - (a < b);
}

/* Prints the table. The ways take turns. Returns false if the error of one is too great. */
static bool print_ways(const struct attention *a, const struct tensors *t,
                       const struct tensors *exact, size_t runs)
{
    static const char *const names[WAYS] = {[FLOATS] = "unfused, mask of floats",
                                            [BYTES] = "unfused, mask of bytes",
                                            [BITS] = "unfused, mask of bits",
                                            [BLOCKED] = "blocked, no mask"};
    const size_t tensor_bytes = (qkv_elements(a) + out_elements(a)) * sizeof(float);
    const double probabilities =
        (double)(a->batch * a->heads) * (double)a->tokens * (double)a->tokens;
    double *took = allocate(WAYS * runs, sizeof *took), out_error[WAYS], gradient_error[WAYS];
    struct ways w;
    bool right = true;

    ways_init(&w, a);
    for (int way = 0; way < WAYS; way++) { /* not timed, because it touches memory first */
        run(&w, way, t);
        out_error[way] = error_of(out_elements(a), t->out, exact->out);
        gradient_error[way] = error_of(qkv_elements(a), t->dqkv, exact->dqkv);
        right = right && out_error[way] <= error_max && gradient_error[way] <= error_max;
    }
    for (size_t i = 0; i < runs; i++)
        for (int way = 0; way < WAYS; way++)
            took[way * runs + i] = run(&w, way, t);
    printf(
        "\nforward and backward in f32, one thread, medians of %zu; unfused products by OpenBLAS for "
        "%s;\nkept: q, k, v, out, and these bytes for each probability\n"
        "%-24s %9s %10s %14s %13s %13s\n",
        runs, openblas_get_corename(), "", "ms", "kept, KiB", "each prob.", "error of out",
        "of gradients");
    for (int way = 0; way < WAYS; way++) {
        const size_t bytes = way == BLOCKED ? w.blocked.kept_bytes : w.unfused[way].kept_bytes;

        qsort(took + way * runs, runs, sizeof *took, compare);
        printf("%-24s %9.2f %10.0f %8.3f bytes %13.1e %13.1e\n", names[way],
               1e3 * took[way * runs + runs / 2], (double)(tensor_bytes + bytes) / 1024,
               (double)bytes / probabilities, out_error[way], gradient_error[way]);
    }
    ways_free(&w);
    free(took);
    return right;
}

static int usage(void)
{
    fputs("usage: attention [--batch=N] [--heads=N] [--tokens=N] [--dim=N] [--p=P] [--causal]"
          " [--runs=N]\n",
          stderr);
    return 2;
}

/* The number in text, or NAN if text is anything else. */
static double parse(const char *text)
{
    char *end;
    const double value = strtod(text, &end);

    return end != text && *end == '\0' ? value : NAN;
}

/* The integer from 1 to `most` in text, or 0 if text is anything else. */
static size_t parse_size(const char *text, size_t most)
{
    const double value = parse(text);

    return value >= 1 && value <= (double)most && value == floor(value) ? (size_t)value : 0;
}

/* Returns false if the options are wrong. */
static bool read_options(int argc, char **argv, struct attention *a, size_t *runs)
{
    static const struct option options[] = {
        {"batch", required_argument, NULL, 'b'},  {"heads", required_argument, NULL, 'h'},
        {"tokens", required_argument, NULL, 't'}, {"dim", required_argument, NULL, 'd'},
        {"p", required_argument, NULL, 'p'},      {"causal", no_argument, NULL, 'c'},
        {"runs", required_argument, NULL, 'r'},   {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (option) {
        case 'b':
            a->batch = parse_size(optarg, DIMENSION_MAX);
            break;
        case 'h':
            a->heads = parse_size(optarg, DIMENSION_MAX);
            break;
        case 't':
            a->tokens = parse_size(optarg, DIMENSION_MAX);
            break;
        case 'd':
            a->dim = parse_size(optarg, DIMENSION_MAX);
            break;
        case 'p':
            a->p = parse(optarg);
            break;
        case 'c':
            a->causal = true;
            break;
        case 'r':
            *runs = parse_size(optarg, RUNS_MAX);
            break;
        default:
            return false;
        }
    return optind == argc && a->batch > 0 && a->heads > 0 && a->dim > 0 && *runs > 0 &&
           a->tokens > 1 && /* a single token has probability 1, for any q and k */
           a->p >= 0 && a->p < 1;
}

int main(int argc, char **argv)
{
    struct attention a = {.batch = 2, .heads = 12, .tokens = 512, .dim = 64, .p = 0.1};
    unsigned short state[3] = {0x330E, 42, 0};
    size_t runs = 5;

    if (!read_options(argc, argv, &a, &runs))
        return usage();
    if (bitdrop_isa_default() == BITDROP_ISA_AUTO)
        must(BITDROP_ERR_ISA);
    openblas_set_num_threads(1); /* as the other calls */

    struct tensors t = allocate_tensors(&a, sizeof(float));
    struct tensors exact = allocate_tensors(&a, sizeof(double));
    fill(qkv_elements(&a), 2, state, t.qkv, exact.qkv);
    fill(out_elements(&a), 1, state, t.dout, exact.dout);
    printf("%zu sequences of %zu tokens, %zu heads of %zu, p = %g%s\n", a.batch, a.tokens, a.heads,
           a.dim, a.p, a.causal ? ", causal" : "");
    const bool gradients_right = check_gradients(&a, &exact);
    const bool ways_right = print_ways(&a, &t, &exact, runs);
    printf("all agree: %s\n", gradients_right && ways_right ? "yes" : "NO");
    free_tensors(&t);
    free_tensors(&exact);
    return gradients_right && ways_right ? 0 : 1;
}
