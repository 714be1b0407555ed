// SPDX-License-Identifier: Apache-2.0
// The only C++ of the project, built with the baseline flags.
#include "shim.h"

#include <benchmark/benchmark.h>

#include <vector>

namespace
{
// Prints nothing, because the bodies print their rows themselves.
class Silent : public benchmark::BenchmarkReporter
{
  public:
    bool ReportContext(const Context &) override { return true; }
    void ReportRuns(const std::vector<Run> &) override {}
};

void run(benchmark::State &state, shim_body *body, void *argument)
{
    shim_result r{};

    // One iteration, because the body repeats its calls itself. So cpu_time in the JSON is that of
    // all calls.
    for (auto _ : state) {
        r = body(argument);
        state.SetIterationTime(r.seconds);
    }
    state.SetItemsProcessed(static_cast<int64_t>(r.elements));
    state.SetBytesProcessed(static_cast<int64_t>(r.bytes));
    state.counters["mask_bytes"] = static_cast<double>(r.mask_bytes);
    if (r.limit_seconds > 0) {
        state.counters["limit_seconds"] = r.limit_seconds;
        state.counters["limit_ratio"] = r.seconds / r.limit_seconds;
    }
}
} // namespace

void shim_register(const char *name, shim_body *body, void *argument)
{
    benchmark::RegisterBenchmark(name, run, body, argument)->Iterations(1)->UseManualTime();
}

void shim_context(const char *key, const char *value) { benchmark::AddCustomContext(key, value); }

int shim_run(int argc, char **argv)
{
    Silent silent;

    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 2;
    benchmark::RunSpecifiedBenchmarks(&silent);
    benchmark::Shutdown();
    return 0;
}
