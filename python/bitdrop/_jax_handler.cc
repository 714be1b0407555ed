// SPDX-License-Identifier: Apache-2.0

// The XLA custom call behind bitdrop.jax. jax.py compiles it on first import, against the headers
// of the jaxlib at hand, since XLA promises no C++ ABI. It links against nothing: jax.py hands it
// the functions of libbitdrop, so that there is one copy of the library in a process.

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

// bitdrop_parallel and bitdrop_config of bitdrop.h 0.2, which an installed Python package need not
// have beside it. _library.py refuses a library of another version.
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

// Whoever comes takes tasks while there are any, the caller too, so that nobody waits for a thread
// of the pool that has not begun. One that comes late finds none, and the loop that it shares
// alive.
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

// True if the middle of y has no page: it was never touched. Where it is swapped out the answer is
// wrong, which costs speed only.
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

// How to write all of y. XLA allocates results of this size anew for each call, as pages that the
// OS zeroes at their first touch. Such a page is in the cache then, and streaming stores would take
// it to memory twice. With huge pages the first touches take a third of the time.
Stores stores_to(const void *address, size_t bytes)
{
    const auto y = reinterpret_cast<uintptr_t>(address);

    if (bytes < LARGE)
        return STORES_AUTO;
    if (!untouched(y, bytes))
        return STORES_STREAMING;
#ifdef __linux__
    const uintptr_t begin = (y + HUGE_PAGE - 1) & -HUGE_PAGE, end = (y + bytes) & -HUGE_PAGE;
    madvise(reinterpret_cast<void *>(begin), end - begin, MADV_HUGEPAGE); // where it fails, slower
#endif
    return STORES_CACHED;
}

// x is [batch..., element...] and words [batch..., 4]: the seed and the offset of each member of
// the batch, either as high word, low word. Every member is a call of its own, so vmap has the bits
// of the calls that it stands for.
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
    // A thread of XLA takes 25 us to wake, and 2^18 elements of f32 75. It has none without a pool.
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
