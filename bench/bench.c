/* SPDX-License-Identifier: Apache-2.0 */
/* Each operation on each ISA of this machine, beside y = a * x: one thread, data in L2, p = 0.1. */
#include <bitdrop/bitdrop.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels.h"
#include "shim.h"

enum { N = 1 << 16, NAME_MAX_BYTES = 64 };

/* x and y of the widest dtype, and a mask. */
static _Alignas(64) unsigned char x[N * 8], y[N * 8];
static _Alignas(64) uint8_t mask[N / 8];

struct bench_case {
    enum operation { MASK, FORWARD, BACKWARD, RECOMPUTE, INFER } op;
    bitdrop_dtype dtype;
    bitdrop_config cfg;
};

static void run_case(void *argument)
{
    const struct bench_case *c = argument;
    bitdrop_status status = BITDROP_OK;

    switch (c->op) {
    case MASK:
        status = bitdrop_mask(&c->cfg, N, mask);
        break;
    case FORWARD:
        status = bitdrop_forward(&c->cfg, c->dtype, N, x, y, mask);
        break;
    case BACKWARD:
        status = bitdrop_backward(&c->cfg, c->dtype, N, x, y, mask);
        break;
    case RECOMPUTE:
        status = bitdrop_recompute(&c->cfg, c->dtype, N, x, y);
        break;
    case INFER:
        status = bitdrop_infer(&c->cfg, c->dtype, N, x, y);
        break;
    }
    if (status != BITDROP_OK) {
        fprintf(stderr, "bitdrop-bench: %s\n", bitdrop_status_string(status));
        exit(1);
    }
}

static void register_case(enum operation op, bitdrop_dtype t, bitdrop_isa isa, unsigned rounds)
{
    static const char *const operations[] = {"mask", "forward", "backward", "recompute", "infer"};
#define DTYPE_NAME(name, bytes) #name,
#define DTYPE_BYTES(name, bytes) bytes,
    static const char *const dtypes[] = {BITDROP_DTYPES(DTYPE_NAME)};
    static const size_t dtype_bytes[] = {BITDROP_DTYPES(DTYPE_BYTES)};
    struct bench_case *c = malloc(sizeof *c); /* lives as long as the program */
    char name[NAME_MAX_BYTES];
    size_t bytes = 0;

    if (c == NULL)
        abort();
    *c = (struct bench_case){
        op, t, {.p = 0.1, .seed = 1, .rounds = (uint8_t)rounds, .isa = (uint8_t)isa}};
    c->cfg.scaling = op == INFER ? BITDROP_SCALE_INFER : BITDROP_SCALE_TRAIN;
    if (op != MASK)
        bytes += 2 * N * dtype_bytes[t];
    if (op == MASK || op == FORWARD || op == BACKWARD)
        bytes += bitdrop_mask_bytes(N);
    snprintf(name, sizeof name, "%s/%s/%s/rounds:%u", bitdrop_isa_name(isa), operations[op],
             op == MASK ? "-" : dtypes[t], rounds);
    bench_register(name, run_case, c, N, bytes);
}

/* Of the loops below the fastest is the limit. */
void limit_baseline(size_t n, float a, const float *x, float *y);
void limit_avx2(size_t n, float a, const float *x, float *y);
void limit_avx512(size_t n, float a, const float *x, float *y);

typedef void limit_function(size_t n, float a, const float *x, float *y);

static void run_limit(void *argument)
{
    limit_function *const *limit = argument;

    (*limit)(N, 1.1F, (const float *)(const void *)x, (float *)(void *)y);
}

static void register_limits(void)
{
    static limit_function *baseline = limit_baseline;

    bench_register("limit/y=ax/baseline", run_limit, &baseline, N, 8 * N);
#ifdef BITDROP_HAVE_AVX2
    static limit_function *avx2 = limit_avx2;
    if (bitdrop_isa_supported(BITDROP_ISA_AVX2))
        bench_register("limit/y=ax/avx2", run_limit, &avx2, N, 8 * N);
#endif
#ifdef BITDROP_HAVE_AVX512
    static limit_function *avx512 = limit_avx512;
    if (bitdrop_isa_supported(BITDROP_ISA_AVX512))
        bench_register("limit/y=ax/avx512", run_limit, &avx512, N, 8 * N);
#endif
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < N; i++)
        ((float *)(void *)x)[i] = (float)i;
    register_limits();
    for (bitdrop_isa isa = BITDROP_ISA_NEON; isa >= BITDROP_ISA_SCALAR; isa--) {
        if (!bitdrop_isa_supported(isa))
            continue;
        register_case(MASK, BITDROP_F32, isa, 10);
        register_case(MASK, BITDROP_F32, isa, 7);
        for (int t = BITDROP_F32; t <= BITDROP_BF16; t++)
            for (int op = FORWARD; op <= INFER; op++)
                register_case((enum operation)op, (bitdrop_dtype)t, isa, 10);
    }
    return bench_run(argc, argv);
}
