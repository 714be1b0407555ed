/* SPDX-License-Identifier: Apache-2.0 */
#include "limit.h"

#include "fail.h"
#include "loops.h"
#include "measure.h"

#define LOOP_SECONDS 0.1 /* for each loop */

static unsigned fastest(struct bench_case limit)
{
    struct bench_case cases[MEASURE_MAX] = {limit};
    struct body bodies[MEASURE_MAX] = {{0}};
    double time[MEASURE_MAX];
    unsigned count = 0, best = 0;

    for (unsigned i = 0; i < limit_loop_count && count < MEASURE_MAX; i++)
        if (bitdrop_isa_supported(limit_loops[i].isa)) {
            cases[count] = limit;
            cases[count].loop = i;
            bodies[count] = (struct body){case_repeat, &cases[count], limit.threads};
            count++;
        }
    measure(bodies, count, LOOP_SECONDS, time);
    for (unsigned i = 1; i < count; i++)
        if (time[i] < time[best])
            best = i;
    return cases[best].loop;
}

struct bench_case limit_of(const struct bench_case *c)
{
    static struct bench_case known[256];
    static size_t known_count;
    const bool no_data = c->kind == OPERATION && !operation_has_data(c->op);
    const size_t bytes = c->n * (no_data ? sizeof(float) : dtype_bytes(c->dtype));
    struct bench_case limit = {.kind = LIMIT, .n = bytes / sizeof(float), .threads = c->threads};

    for (size_t i = 0; i < known_count; i++)
        if (known[i].n == limit.n && known[i].threads == limit.threads)
            return known[i];
    if (known_count == sizeof known / sizeof *known)
        fail("more sizes than limit.c can store");
    limit.loop = fastest(limit);
    known[known_count++] = limit;
    return limit;
}

struct timing limit_time(struct bench_case *c, double seconds)
{
    struct bench_case limit;
    double time[2];

    case_prepare(c);
    limit = limit_of(c);
    measure((struct body[]){{case_repeat, c, c->threads}, {case_repeat, &limit, limit.threads}}, 2,
            seconds, time);
    return (struct timing){.call = time[0], .limit = time[1]};
}
