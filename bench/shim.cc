// SPDX-License-Identifier: Apache-2.0
// The only C++ of the project, built with the baseline flags.
#include "shim.h"

#include <benchmark/benchmark.h>

void bench_register(const char *name, bench_body *body, void *argument, size_t elements,
                    size_t bytes)
{
    benchmark::RegisterBenchmark(name, [=](benchmark::State &state) {
        for (auto _ : state) {
            body(argument);
            benchmark::ClobberMemory();
        }
        const auto calls = static_cast<int64_t>(state.iterations());
        state.SetItemsProcessed(calls * static_cast<int64_t>(elements));
        state.SetBytesProcessed(calls * static_cast<int64_t>(bytes));
    });
}

int bench_run(int argc, char **argv)
{
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 2;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
