// SPDX-License-Identifier: Apache-2.0

// The XLA custom call of bitdrop.jax. jax.py compiles this file on the first import, with the
// headers of the installed jaxlib, because XLA has no stable C++ ABI. It does not link with
// libbitdrop: jax.py passes it the functions, so that a process has one copy of the library.

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace
{

// bitdrop_parallel and bitdrop_config of bitdrop.h 0.2, because an installed Python package may be
// without bitdrop.h. _library.py refuses a library of another version.
using Task = void(void *argument, size_t index);

struct Parallel {
    void (*run)(void *context, size_t tasks, Task *task, void *argument);
    void *context;
    size_t tasks;
    uint64_t reserved[2];
};

struct Config {
    double p;
    uint64_t seed;
    uint32_t stream, reserved32;
    uint64_t offset;
    uint8_t rounds, scaling, stores, isa, mask_use, reserved8[3];
    const Parallel *parallel;
    uint64_t reserved[2];
};
static_assert(offsetof(Config, stream) == 16 && offsetof(Config, offset) == 24 &&
              offsetof(Config, rounds) == 32 && offsetof(Config, parallel) == 40 &&
              offsetof(Config, reserved) == 48 && sizeof(Config) == 64);
static_assert(offsetof(Parallel, reserved) == 24 && sizeof(Parallel) == 40);

using Recompute = int(const Config *, int dtype, size_t n, const void *x, void *y);
using StatusString = const char *(int);

Recompute *recompute;
StatusString *status_string;

ffi::Error invalid(const std::string &message)
{
    return ffi::Error(ffi::ErrorCode::kInvalidArgument, "bitdrop: " + message);
}

// The tasks of one call. The calling thread and threads of the pool run tasks until none is left.
// So the caller does not wait for a pool thread that has not started. A pool thread that starts
// late finds no task: it shares ownership of the Loop, which therefore still exists.
struct Loop {
    Loop(Task *function, void *data, size_t count) : task(function), argument(data), tasks(count) {}

    void take_tasks()
    {
        size_t taken = 0;
        for (size_t i; (i = next.fetch_add(1)) < tasks; taken++)
            task(argument, i);
        const std::lock_guard<std::mutex> lock(mutex);
        done += taken;
        if (done == tasks)
            finished.notify_all();
    }

    void wait()
    {
        std::unique_lock<std::mutex> lock(mutex);
        finished.wait(lock, [this] { return done == tasks; });
    }

    Task *const task;
    void *const argument;
    const size_t tasks;
    std::atomic<size_t> next{0};
    size_t done = 0;
    std::mutex mutex;
    std::condition_variable finished;
};

void run_on_pool(void *context, size_t tasks, Task *task, void *argument)
{
    auto *pool = static_cast<ffi::ThreadPool *>(context);
    const auto loop = std::make_shared<Loop>(task, argument, tasks);

    for (size_t i = 1; i < tasks; i++)
        pool->Schedule([loop] { loop->take_tasks(); });
    loop->take_tasks();
    loop->wait();
}

enum Stores : uint8_t { STORES_AUTO, STORES_CACHED, STORES_STREAMING };

constexpr size_t LARGE = 8 << 20; // bytes from which streaming pays in a model
constexpr uintptr_t HUGE_PAGE = 2 << 20;

// True if the page in the middle of y is not in memory: y was never touched. A page that is swapped
// out gives a wrong answer, which costs only speed.
bool untouched([[maybe_unused]] uintptr_t y, [[maybe_unused]] size_t bytes)
{
#ifdef __linux__
    const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    unsigned char resident = 0;
    return mincore(reinterpret_cast<void *>((y + bytes / 2) & -page), 1, &resident) == 0 &&
           !(resident & 1);
#else
    return false;
#endif
}

// How to write all of y. XLA allocates large results anew for each call, as pages that the OS
// zeroes when they are first touched. Zeroing brings a page into the cache, so with streaming
// stores it would be written to memory twice. With huge pages, the first touches need a third of
// the time.
Stores stores_to(const void *address, size_t bytes)
{
    const auto y = reinterpret_cast<uintptr_t>(address);

    if (bytes < LARGE)
        return STORES_AUTO;
    if (!untouched(y, bytes))
        return STORES_STREAMING;
#ifdef __linux__
    const uintptr_t begin = (y + HUGE_PAGE - 1) & -HUGE_PAGE, end = (y + bytes) & -HUGE_PAGE;
    madvise(reinterpret_cast<void *>(begin), end - begin, MADV_HUGEPAGE); // may fail: only slower
#endif
    return STORES_CACHED;
}

// x is [batch..., element...]. words is [batch..., 4]: for each member of the batch, the high and
// the low word of the seed, and the high and the low word of the offset. Each member is a call of
// its own, so that it has the same bits under vmap as without.
ffi::Error dropout(ffi::ThreadPool pool, ffi::Buffer<ffi::U32> words, ffi::AnyBuffer x,
                   ffi::Result<ffi::AnyBuffer> y, double p, uint32_t stream, uint8_t rounds)
{
    int dtype;
    switch (x.element_type()) {
    case ffi::F32:
        dtype = 0;
        break;
    case ffi::F64:
        dtype = 1;
        break;
    case ffi::F16:
        dtype = 2;
        break;
    case ffi::BF16:
        dtype = 3;
        break;
    default:
        return invalid("x must be float32, float64, float16 or bfloat16");
    }
    const size_t batch = words.element_count() / 4;
    if (batch == 0)
        return ffi::Error::Success();
    if (words.element_count() % 4 != 0 || x.element_count() % batch != 0 ||
        y->size_bytes() != x.size_bytes())
        return invalid("the shapes of words, x and y do not fit");

    const size_t n = x.element_count() / batch, bytes = x.size_bytes() / batch;
    // XLA needs 25 us to wake a thread, and 2^18 elements of f32 need 75 us. Without a pool there
    // are no threads.
    const size_t tasks = std::min<size_t>(pool.num_threads(), n >> 18);
    const Parallel parallel = {run_on_pool, &pool, tasks, {}};
    const uint32_t *word = words.typed_data();
    const char *from = static_cast<const char *>(x.untyped_data());
    char *to = static_cast<char *>(y->untyped_data());
    const Stores stores = stores_to(to, y->size_bytes());
    for (size_t i = 0; i < batch; i++, word += 4, from += bytes, to += bytes) {
        Config config = {};
        config.p = p;
        config.seed = uint64_t{word[0]} << 32 | word[1];
        config.offset = uint64_t{word[2]} << 32 | word[3];
        config.stream = stream;
        config.rounds = rounds;
        config.stores = stores;
        config.parallel = tasks > 1 ? &parallel : nullptr;
        if (const int status = recompute(&config, dtype, n, from, to))
            return invalid(status_string(status));
    }
    return ffi::Error::Success();
}

} // namespace

extern "C" void bitdrop_jax_init(Recompute *recompute_function,
                                 StatusString *status_string_function)
{
    recompute = recompute_function;
    status_string = status_string_function;
}

XLA_FFI_DEFINE_HANDLER_SYMBOL(bitdrop_jax_dropout, dropout,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::Buffer<ffi::U32>>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Ret<ffi::AnyBuffer>()
                                  .Attr<double>("p")
                                  .Attr<uint32_t>("stream")
                                  .Attr<uint8_t>("rounds"));
