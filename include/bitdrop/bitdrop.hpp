// SPDX-License-Identifier: Apache-2.0

// bitdrop for C++17 and later: the calls of bitdrop.h with types, sizes and exceptions. bitdrop_X
// is bitdrop::X here. Header only. It allocates nothing, except the text of an exception.
// docs/cxx.md is the guide, and bitdrop.h the contract.
//
//     std::vector<float> x = ..., y(x.size());
//     std::vector<std::uint8_t> mask(bitdrop::mask_bytes(x.size()));
//     bitdrop::forward({.p = 0.1, .seed = 42}, x, y, mask); // C++20; in C++17 bitdrop::make()
//
// A buffer is any object with data() and size(): a vector, an array, a std::span, or
// bitdrop::span(pointer, size). The first one decides the dtype. The others must have the same
// element type, or the call does not compile. nullptr leaves out a buffer that may be NULL in C.
//
// Sizes are checked before everything else. In flat calls all buffers must have as many elements as
// the first. In other calls they must have at least the elements that the shape and its strides
// reach. A mask must have at least as many bytes as in C. A bias and lse are arguments of a call,
// so that their sizes are checked too. The members of that name in bitdrop_softmax and
// bitdrop_attention must then be NULL.
//
// On an error a call writes nothing and throws bitdrop::error. The last argument may change that.
// With std::nothrow the call returns a bitdrop::status. Any other callable is called with the
// status, BITDROP_OK too, and the call returns what the callable returns.
#ifndef BITDROP_HPP
#define BITDROP_HPP

#if (defined(_MSVC_LANG) ? _MSVC_LANG : __cplusplus) < 201703L
#error "bitdrop.hpp needs C++17 or later"
#endif

#include <bitdrop/bitdrop.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#if defined(__STDCPP_FLOAT16_T__) || defined(__STDCPP_BFLOAT16_T__)
#include <stdfloat>
#endif

namespace bitdrop
{
inline namespace v0_2 // so that two versions of this header have different symbols
{

// ---- Elements.

struct f16 { // raw words of IEEE 754 binary16
    std::uint16_t bits;
};
struct bf16 { // raw words of bfloat16
    std::uint16_t bits;
};

// The dtype of an element type. Specialise it for half types of your own:
// template <> struct bitdrop::dtype_of<my::half> : bitdrop::dtype_constant<BITDROP_F16> {};
template <bitdrop_dtype T> using dtype_constant = std::integral_constant<bitdrop_dtype, T>;
template <class T> struct dtype_of {
};
template <> struct dtype_of<float> : dtype_constant<BITDROP_F32> {
};
template <> struct dtype_of<double> : dtype_constant<BITDROP_F64> {
};
template <> struct dtype_of<f16> : dtype_constant<BITDROP_F16> {
};
template <> struct dtype_of<bf16> : dtype_constant<BITDROP_BF16> {
};
#if defined(__STDCPP_FLOAT16_T__)
template <> struct dtype_of<std::float16_t> : dtype_constant<BITDROP_F16> {
};
#elif defined(__FLT16_MANT_DIG__) &&                                                               \
    (defined(__clang__) || __GNUC__ >= 13) // gcc 12 has it on x86 alone
template <> struct dtype_of<_Float16> : dtype_constant<BITDROP_F16> {
};
#endif
#if defined(__STDCPP_BFLOAT16_T__)
template <> struct dtype_of<std::bfloat16_t> : dtype_constant<BITDROP_BF16> {
};
#elif defined(__BFLT16_MANT_DIG__) || (defined(__clang_major__) && __clang_major__ >= 17 &&        \
                                       (defined(__SSE2__) || defined(__aarch64__)))
template <> struct dtype_of<__bf16> : dtype_constant<BITDROP_BF16> {
};
#endif

// ---- Buffers.

namespace detail
{
template <class C> using pointer_to = decltype(std::data(std::declval<C &>()));
template <class C, class T, class = void> inline constexpr bool is_buffer = false;
template <class C, class T> // the only conversion of elements is to const
inline constexpr bool
    is_buffer<C, T, std::void_t<pointer_to<C>, decltype(std::size(std::declval<C &>()))>> =
        std::is_convertible_v<std::remove_pointer_t<pointer_to<C>> (*)[], T (*)[]>;
} // namespace detail

// A pointer and a size, made from any buffer. It is one type in all standards, so that object files
// of C++17 and of C++20 can be linked.
template <class T> class span
{
  public:
    constexpr span() noexcept = default;
    constexpr span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
    template <class C, std::enable_if_t<detail::is_buffer<std::remove_reference_t<C>, T>, int> = 0>
    constexpr span(C &&buffer)
        : data_(std::data(buffer)), size_(static_cast<std::size_t>(std::size(buffer)))
    {
    }
    constexpr T *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }

  private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

// A buffer that may be left out, by nullptr. An empty buffer is not left out.
template <class T> class optional_span : public span<T>
{
    template <class C> static std::true_type is_optional(const optional_span<C> *);
    static std::false_type is_optional(const void *);

  public:
    constexpr optional_span(std::nullptr_t = nullptr) noexcept {}
    template <class C, class B = std::remove_reference_t<C>,
              std::enable_if_t<detail::is_buffer<B, T> &&
                                   !decltype(is_optional(static_cast<B *>(nullptr)))::value,
                               int> = 0>
    constexpr optional_span(C &&buffer) : span<T>(buffer), given_(true)
    {
    }
    template <class U, std::enable_if_t<detail::is_buffer<span<U>, T>, int> = 0>
    constexpr optional_span(const optional_span<U> &other) : span<T>(other), given_(other.given())
    {
    }
    constexpr bool given() const noexcept { return given_; }

  private:
    bool given_ = false;
};

namespace detail
{
template <class Half, class C> auto words_as(C &words) noexcept
{
    using word = std::remove_pointer_t<pointer_to<C>>;
    using half = std::conditional_t<std::is_const_v<word>, const Half, Half>;
    static_assert(std::is_same_v<std::remove_const_t<word>, std::uint16_t>);
    return span<half>(reinterpret_cast<half *>(std::data(words)),
                      static_cast<std::size_t>(std::size(words)));
}
} // namespace detail

// The element type of the first buffer X of a call, and the types of the other buffers.
template <class X> using element = std::remove_cv_t<std::remove_pointer_t<detail::pointer_to<X>>>;
template <class X> using input = span<const element<X>>;
template <class X> using output = span<element<X>>;
template <class X> using optional_input = optional_span<const element<X>>;
template <class X> using optional_output = optional_span<element<X>>;
template <class T>
using lse_element = std::conditional_t<dtype_of<T>::value == BITDROP_F64, double, float>;
template <class X> using lse_input = span<const lse_element<element<X>>>;
template <class X> using lse_output = optional_span<lse_element<element<X>>>;
using mask_input = optional_span<const std::uint8_t>; // nullptr with BITDROP_MASK_REMADE
using mask_output = optional_span<std::uint8_t>;

// A buffer of raw std::uint16_t words, seen as elements:
// bitdrop::forward(cfg, as_bf16(x), as_bf16(y), ...)
template <class C> auto as_f16(C &&words) noexcept { return detail::words_as<f16>(words); }
template <class C> auto as_bf16(C &&words) noexcept { return detail::words_as<bf16>(words); }

// ---- Errors.

class [[nodiscard]] status
{
  public:
    constexpr status(bitdrop_status code = BITDROP_OK, const char *message = nullptr) noexcept
        : code_(code), message_(message)
    {
    }
    constexpr bool ok() const noexcept { return code_ == BITDROP_OK; }
    constexpr bitdrop_status code() const noexcept { return code_; } // a wrong size: ERR_RANGE
    const char *message() const noexcept
    {
        return message_ ? message_ : bitdrop_status_string(code_);
    }

  private:
    bitdrop_status code_;
    const char *message_;
};

class error : public std::invalid_argument
{
  public:
    explicit error(bitdrop::status what)
        : invalid_argument(std::string("bitdrop: ") + what.message()), status_(what)
    {
    }
    bitdrop::status status() const noexcept { return status_; }

  private:
    bitdrop::status status_;
};

// The default of the last argument of each call.
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
struct throw_error {
    void operator()(status result) const
    {
        if (!result.ok())
            throw error(result);
    }
};
using default_report = throw_error;
#else // calls return the status
using default_report = std::nothrow_t;
#endif

// ---- Structures.

// Makes a structure of bitdrop.h, for C++17, which has no designated initialisers:
//
//     constexpr auto cfg = bitdrop::make<bitdrop_config>([](auto &c) {
//         c.p = 0.1;
//         c.seed = 42;
//     });
template <class Structure, class Set> constexpr Structure make(Set set)
{
    Structure structure{};
    set(structure);
    return structure;
}

// The tasks of a call: task(i) runs the one with index i.
class task
{
  public:
    task(void (*function)(void *argument, std::size_t index), void *argument) noexcept
        : function_(function), argument_(argument)
    {
    }
    void operator()(std::size_t index) const { function_(argument_, index); }

  private:
    void (*function_)(void *argument, std::size_t index);
    void *argument_;
};

// A bitdrop_parallel made from a callable, run(std::size_t tasks, bitdrop::task task). bitdrop.h
// says what run must do:
//
//     auto run = [&](std::size_t tasks, bitdrop::task task) { pool.for_each(tasks, task); };
//     const bitdrop::parallel threads(8, run);
//     cfg.parallel = threads;
//
// The object must outlive the calls. An exception that leaves run ends the program by
// std::terminate, like one that leaves the function of a std::thread. Exceptions cannot pass the C
// library, and a part of the output would be missing.
template <class Run> class parallel
{
  public:
    parallel(std::size_t tasks, Run run)
        : run_(std::move(run)), parallel_{&call, this, tasks, {0, 0}}
    {
    }
    parallel(const parallel &) = delete;
    parallel &operator=(const parallel &) = delete;
    operator const bitdrop_parallel *() const &noexcept { return &parallel_; }
    operator const bitdrop_parallel *() const && = delete;

  private:
    static void call(void *self, std::size_t tasks, void (*function)(void *, std::size_t),
                     void *argument) noexcept
    {
        static_cast<const parallel *>(self)->run_(tasks, task(function, argument));
    }

    mutable Run run_;
    bitdrop_parallel parallel_;
};

// ---- Sizes, and checks of them.

inline std::size_t mask_bytes(std::size_t n) noexcept { return bitdrop_mask_bytes(n); }
inline std::size_t mask_2d_bytes(const bitdrop_2d &shape) noexcept
{
    return bitdrop_mask_2d_bytes(&shape);
}

namespace detail
{
template <class X> constexpr bitdrop_dtype dtype() noexcept
{
    constexpr bitdrop_dtype value = dtype_of<element<X>>::value;
    constexpr std::size_t size = value == BITDROP_F64 ? 8 : value == BITDROP_F32 ? 4 : 2;
    static_assert(sizeof(element<X>) == size, "dtype_of names a dtype of another size");
    return value;
}

// Sums and products that do not wrap: they stop at the greatest number, which no buffer has as
// size.
inline constexpr std::size_t greatest = static_cast<std::size_t>(-1);
constexpr std::size_t add(std::size_t a, std::size_t b) noexcept
{
    return a > greatest - b ? greatest : a + b;
}
constexpr std::size_t multiply(std::size_t a, std::size_t b) noexcept
{
    return b != 0 && a > greatest / b ? greatest : a * b;
}
constexpr std::size_t or_else(std::size_t value, std::size_t otherwise) noexcept
{
    return value ? value : otherwise;
}
constexpr std::size_t bytes(std::size_t bits) noexcept { return bits / 8 + (bits % 8 != 0); }

// From the beginning of the first row to the end of the last one.
constexpr std::size_t extent(std::size_t rows, std::size_t cols, std::size_t stride) noexcept
{
    return rows == 0 || cols == 0 ? 0 : add(multiply(rows - 1, or_else(stride, cols)), cols);
}

// Rows that the bias of a softmax must have: up to the last that a row of the shape uses. rows > 0.
constexpr std::size_t bias_rows(const bitdrop_2d &shape, const bitdrop_softmax &soft) noexcept
{
    if (soft.bias_block == 0)
        return shape.rows;
    const std::uint64_t block = soft.bias_block,
                        period = multiply(soft.bias_block, or_else(soft.bias_repeat, 1));
    const std::uint64_t first = shape.first_row, last = first + (shape.rows - 1);
    if (last < first) // the call refuses it
        return greatest;
    const std::uint64_t group = last / period; // it may begin before the first row of the shape
    const std::uint64_t begin = first > group * period ? first : group * period;
    const std::uint64_t in_block = last / block != begin / block ? block - 1 : last % block;
    const std::uint64_t rows = group * block + in_block + 1;
    return rows < greatest ? static_cast<std::size_t>(rows) : greatest;
}

// Checks of buffers, with the names that the arguments have in bitdrop.h. They return OK, or what
// is wrong.
template <class T> status needs(span<T> buffer, std::size_t size, const char *message) noexcept
{
    return buffer.size() >= size ? status() : status(BITDROP_ERR_RANGE, message);
}
template <class T>
status needs(optional_span<T> buffer, std::size_t size, const char *message) noexcept
{
    return buffer.given() ? needs(static_cast<span<T>>(buffer), size, message) : status();
}
inline status null(const void *member, const char *message) noexcept
{
    return member ? status(BITDROP_ERR_CONFIG, message) : status();
}

template <class T> status same(std::size_t n, span<T> buffer) noexcept
{
    return buffer.size() == n
               ? status()
               : status(BITDROP_ERR_RANGE,
                        "the buffers of a flat call must have as many elements as the first");
}
template <class Mask> status flat_mask(std::size_t n, Mask mask) noexcept
{
    return needs(mask, mask_bytes(n), "the mask is shorter than mask_bytes() of the elements");
}

template <class T> status x(const bitdrop_2d &shape, span<T> buffer) noexcept
{
    return needs(buffer, extent(shape.rows, shape.cols, shape.x_stride),
                 "x or dy is too short for rows, cols and x_stride of the shape");
}
template <class T> status y(const bitdrop_2d &shape, span<T> buffer) noexcept
{
    return needs(buffer, extent(shape.rows, shape.cols, shape.y_stride),
                 "y or dx is too short for rows, cols and y_stride of the shape");
}
template <class Z> status z(const bitdrop_2d &shape, Z buffer) noexcept
{
    return needs(
        buffer, extent(shape.rows, shape.cols, shape.z_stride),
        "residual, prob or the x of backward_act is too short for rows, cols and z_stride of the shape");
}
template <class T> status bias(const bitdrop_2d &shape, optional_span<T> buffer) noexcept
{
    return needs(buffer, shape.rows == 0 ? 0 : shape.cols,
                 "the bias is shorter than cols of the shape");
}
template <class Mask> status mask_2d(const bitdrop_2d &shape, Mask mask) noexcept
{
    return needs(mask, mask_2d_bytes(shape),
                 "the mask is shorter than mask_2d_bytes() of the shape");
}
template <class Mask>
status act_mask(const bitdrop_2d &shape, bitdrop_activation act, Mask mask) noexcept
{
    if (act != BITDROP_RELU)
        return mask_2d(shape, mask);
    return needs(
        mask, extent(shape.rows, bytes(shape.cols), shape.mask_stride),
        "the mask is too short: that of BITDROP_RELU has ceil(cols/8) bytes for each row, mask_stride apart");
}

template <class T>
status softmax_bias(const bitdrop_2d &shape, const bitdrop_softmax &soft,
                    optional_span<T> buffer) noexcept
{
    const std::size_t rows = shape.rows == 0 ? 0 : bias_rows(shape, soft);
    return needs(
        buffer, extent(rows, shape.cols, soft.bias_stride),
        "the bias is too short for the shape and bias_stride, bias_block and bias_repeat of the softmax");
}
template <class T> status softmax_lse(const bitdrop_2d &shape, optional_span<T> buffer) noexcept
{
    return needs(buffer, shape.cols == 0 ? 0 : shape.rows, "lse is shorter than rows of the shape");
}

// Elements that each tensor of an attention call must have, and bytes of its mask. If the call has
// no elements, all are 0.
struct attention_sizes {
    std::size_t q = 0, k = 0, v = 0, out = 0, bias = 0, lse = 0, mask = 0;

    explicit attention_sizes(const bitdrop_attention &a) noexcept
    {
        if (a.batch == 0 || a.heads == 0 || a.queries == 0 || a.keys == 0 || a.dim == 0)
            return;
        const std::size_t kv_heads = or_else(a.kv_heads, a.heads), v_dim = or_else(a.v_dim, a.dim);
        q = tensor(a.q_strides, {a.batch, a.heads, a.queries, a.dim});
        k = tensor(a.k_strides, {a.batch, kv_heads, a.keys, a.dim});
        v = tensor(a.v_strides, {a.batch, kv_heads, a.keys, v_dim});
        out = tensor(a.out_strides, {a.batch, a.heads, a.queries, v_dim});
        bias = strided(a.bias_strides, {a.batch, a.heads, a.queries, a.keys});
        lse = multiply(multiply(a.batch, a.heads), a.queries);
        mask = multiply(lse, bytes(a.keys));
    }

  private:
    struct sizes {
        std::size_t batch, heads, rows, length;
    };
    static std::size_t strided(const std::size_t *strides, sizes n) noexcept
    {
        return add(add(multiply(n.batch - 1, strides[0]), multiply(n.heads - 1, strides[1])),
                   add(multiply(n.rows - 1, strides[2]), n.length));
    }
    static std::size_t tensor(const std::size_t *strides, sizes n) noexcept
    {
        const bool dense = strides[0] == 0 && strides[1] == 0 && strides[2] == 0;
        return dense ? multiply(multiply(n.batch, n.heads), multiply(n.rows, n.length))
                     : strided(strides, n);
    }
};
inline constexpr const char *short_tensor =
    "a tensor of attention is too short for its sizes and strides: q, k, v, out, one of their gradients, or the bias";
inline constexpr const char *short_lse = "lse is shorter than batch * heads * queries";
inline constexpr const char *short_mask =
    "the mask is shorter than batch * heads * queries * ceil(keys/8)";
inline constexpr const char *short_scratch =
    "scratch is shorter than attention_scratch_bytes() with the same bias";
inline constexpr const char *lse_member =
    "lse is an argument in C++: set the member of the structure to NULL";
inline constexpr const char *bias_member =
    "the bias is an argument in C++: set the member of the structure to NULL";

template <class T>
bitdrop_attention with_bias(const bitdrop_attention &a, optional_span<const T> bias) noexcept
{
    bitdrop_attention given = a;
    given.bias = bias.data();
    return given;
}

// Makes the call if all checks are OK. Passes the status to report, the last argument of each call.
template <class Report, class... Parameters, class... Arguments>
decltype(auto) call(Report &report, std::initializer_list<status> checks,
                    bitdrop_status (*function)(Parameters...), Arguments... arguments)
{
    status result;
    for (const status &check : checks)
        if (result.ok())
            result = check;
    if (result.ok())
        result = function(arguments...);
    if constexpr (std::is_same_v<Report, std::nothrow_t>)
        return status(result);
    else
        return report(result);
}

// Calls with one input and one output, with a mask or without one.
template <class Report, class Function, class T, class... Mask>
decltype(auto) flat(Report &report, Function *function, const bitdrop_config &cfg, span<const T> in,
                    span<T> out, Mask... mask)
{
    return call(report, {same(in.size(), out), flat_mask(in.size(), mask)...}, function, &cfg,
                dtype<span<T>>(), in.size(), in.data(), out.data(), mask.data()...);
}
template <class Report, class Function, class T, class... Mask>
decltype(auto) on_rows(Report &report, Function *function, const bitdrop_config &cfg,
                       const bitdrop_2d &shape, span<const T> in, span<T> out, Mask... mask)
{
    return call(report, {x(shape, in), y(shape, out), mask_2d(shape, mask)...}, function, &cfg,
                dtype<span<T>>(), &shape, in.data(), out.data(), mask.data()...);
}

// Checks the tensors that both attention calls have. out and lse are outputs of the forward call,
// and inputs of the backward call.
template <class T, class Out, class Lse>
status attention_tensors(const attention_sizes &sizes, span<const T> q, span<const T> k,
                         span<const T> v, optional_span<const T> bias, Out out, Lse lse) noexcept
{
    for (const status &check :
         {needs(q, sizes.q, short_tensor), needs(k, sizes.k, short_tensor),
          needs(v, sizes.v, short_tensor), needs(bias, sizes.bias, short_tensor),
          needs(out, sizes.out, short_tensor), needs(lse, sizes.lse, short_lse)})
        if (!check.ok())
            return check;
    return status();
}
} // namespace detail

// ---- Calls.

template <class Report = default_report>
auto mask(const bitdrop_config &cfg, std::size_t n, span<std::uint8_t> mask,
          Report report = Report())
{
    return detail::call(report, {detail::flat_mask(n, mask)}, bitdrop_mask, &cfg, n, mask.data());
}

template <class X, class Report = default_report>
auto forward(const bitdrop_config &cfg, const X &x, output<X> y, mask_output mask,
             Report report = Report())
{
    return detail::flat(report, bitdrop_forward, cfg, input<X>(x), y, mask);
}

template <class X, class Report = default_report>
auto backward(const bitdrop_config &cfg, const X &dy, output<X> dx, mask_input mask,
              Report report = Report())
{
    return detail::flat(report, bitdrop_backward, cfg, input<X>(dy), dx, mask);
}

template <class X, class Report = default_report>
auto recompute(const bitdrop_config &cfg, const X &x, output<X> y, Report report = Report())
{
    return detail::flat(report, bitdrop_recompute, cfg, input<X>(x), y);
}

template <class X, class Report = default_report>
auto infer(const bitdrop_config &cfg, const X &x, output<X> y, Report report = Report())
{
    return detail::flat(report, bitdrop_infer, cfg, input<X>(x), y);
}

template <class Report = default_report>
auto mask_2d(const bitdrop_config &cfg, const bitdrop_2d &shape, span<std::uint8_t> mask,
             Report report = Report())
{
    return detail::call(report, {detail::mask_2d(shape, mask)}, bitdrop_mask_2d, &cfg, &shape,
                        mask.data());
}

template <class X, class Report = default_report>
auto forward_2d(const bitdrop_config &cfg, const bitdrop_2d &shape, const X &x, output<X> y,
                mask_output mask, Report report = Report())
{
    return detail::on_rows(report, bitdrop_forward_2d, cfg, shape, input<X>(x), y, mask);
}

template <class X, class Report = default_report>
auto backward_2d(const bitdrop_config &cfg, const bitdrop_2d &shape, const X &dy, output<X> dx,
                 mask_input mask, Report report = Report())
{
    return detail::on_rows(report, bitdrop_backward_2d, cfg, shape, input<X>(dy), dx, mask);
}

template <class X, class Report = default_report>
auto recompute_2d(const bitdrop_config &cfg, const bitdrop_2d &shape, const X &x, output<X> y,
                  Report report = Report())
{
    return detail::on_rows(report, bitdrop_recompute_2d, cfg, shape, input<X>(x), y);
}

template <class X, class Report = default_report>
auto infer_2d(const bitdrop_config &cfg, const bitdrop_2d &shape, const X &x, output<X> y,
              Report report = Report())
{
    return detail::on_rows(report, bitdrop_infer_2d, cfg, shape, input<X>(x), y);
}

template <class X, class Report = default_report>
auto forward_add(const bitdrop_config &cfg, const bitdrop_2d &shape, const X &x,
                 optional_input<X> bias, optional_input<X> residual, output<X> y, mask_output mask,
                 Report report = Report())
{
    const input<X> in(x);
    return detail::call(report,
                        {detail::x(shape, in), detail::bias(shape, bias),
                         detail::z(shape, residual), detail::y(shape, y),
                         detail::mask_2d(shape, mask)},
                        bitdrop_forward_add, &cfg, detail::dtype<X>(), &shape, in.data(),
                        bias.data(), residual.data(), y.data(), mask.data());
}

template <class X, class Report = default_report>
auto backward_add(const bitdrop_config &cfg, const bitdrop_2d &shape, const X &dy,
                  optional_input<X> residual, output<X> dx, mask_input mask,
                  Report report = Report())
{
    const input<X> in(dy);
    return detail::call(report,
                        {detail::x(shape, in), detail::z(shape, residual), detail::y(shape, dx),
                         detail::mask_2d(shape, mask)},
                        bitdrop_backward_add, &cfg, detail::dtype<X>(), &shape, in.data(),
                        residual.data(), dx.data(), mask.data());
}

template <class X, class Report = default_report>
auto forward_act(const bitdrop_config &cfg, const bitdrop_2d &shape, bitdrop_activation act,
                 const X &x, optional_input<X> bias, output<X> y, mask_output mask,
                 Report report = Report())
{
    const input<X> in(x);
    return detail::call(report,
                        {detail::x(shape, in), detail::bias(shape, bias), detail::y(shape, y),
                         detail::act_mask(shape, act, mask)},
                        bitdrop_forward_act, &cfg, detail::dtype<X>(), &shape, act, in.data(),
                        bias.data(), y.data(), mask.data());
}

// With BITDROP_RELU and a stored mask x and bias may be left out.
template <class X, class Report = default_report>
auto backward_act(const bitdrop_config &cfg, const bitdrop_2d &shape, bitdrop_activation act,
                  const X &dy, optional_input<X> x, optional_input<X> bias, output<X> dx,
                  mask_input mask, Report report = Report())
{
    const input<X> in(dy);
    return detail::call(report,
                        {detail::x(shape, in), detail::z(shape, x), detail::bias(shape, bias),
                         detail::y(shape, dx), detail::act_mask(shape, act, mask)},
                        bitdrop_backward_act, &cfg, detail::dtype<X>(), &shape, act, in.data(),
                        x.data(), bias.data(), dx.data(), mask.data());
}

template <class X, class Report = default_report>
auto forward_softmax(const bitdrop_config &cfg, const bitdrop_2d &shape,
                     const bitdrop_softmax &soft, const X &x, optional_input<X> bias,
                     optional_output<X> prob, output<X> y, lse_output<X> lse, mask_output mask,
                     Report report = Report())
{
    const input<X> in(x);
    bitdrop_softmax given = soft;
    given.bias = bias.data();
    given.lse = lse.data();
    return detail::call(
        report,
        {detail::null(soft.bias, detail::bias_member), detail::null(soft.lse, detail::lse_member),
         detail::x(shape, in), detail::softmax_bias(shape, soft, bias), detail::z(shape, prob),
         detail::y(shape, y), detail::softmax_lse(shape, lse), detail::mask_2d(shape, mask)},
        bitdrop_forward_softmax, &cfg, detail::dtype<X>(), &shape, &given, in.data(), prob.data(),
        y.data(), mask.data());
}

template <class X, class Report = default_report>
auto backward_softmax(const bitdrop_config &cfg, const bitdrop_2d &shape,
                      const bitdrop_softmax &soft, const X &dy, input<X> prob, output<X> dx,
                      mask_input mask, Report report = Report())
{
    const input<X> in(dy);
    return detail::call(report,
                        {detail::x(shape, in), detail::z(shape, prob), detail::y(shape, dx),
                         detail::mask_2d(shape, mask)},
                        bitdrop_backward_softmax, &cfg, detail::dtype<X>(), &shape, &soft,
                        in.data(), prob.data(), dx.data(), mask.data());
}

template <class X, class Report = default_report>
auto forward_alpha(const bitdrop_config &cfg, const bitdrop_2d &shape, const X &x, output<X> y,
                   mask_output mask, Report report = Report())
{
    return detail::on_rows(report, bitdrop_forward_alpha, cfg, shape, input<X>(x), y, mask);
}

template <class X, class Report = default_report>
auto backward_alpha(const bitdrop_config &cfg, const bitdrop_2d &shape, const X &dy, output<X> dx,
                    mask_input mask, Report report = Report())
{
    return detail::on_rows(report, bitdrop_backward_alpha, cfg, shape, input<X>(dy), dx, mask);
}

template <class X, class Report = default_report>
auto gaussian(const bitdrop_config &cfg, const bitdrop_2d &shape, const X &x, output<X> y,
              Report report = Report())
{
    return detail::on_rows(report, bitdrop_gaussian, cfg, shape, input<X>(x), y);
}

// Bytes of scratch for elements of type T with this bias, which may be nullptr.
template <class T>
std::size_t attention_scratch_bytes(const bitdrop_config &cfg, const bitdrop_attention &a,
                                    optional_span<const T> bias)
{
    const bitdrop_attention given = detail::with_bias(a, bias);
    return bitdrop_attention_scratch_bytes(&cfg, dtype_of<T>::value, &given);
}

template <class X, class Report = default_report>
auto attention_forward(const bitdrop_config &cfg, const bitdrop_attention &a, const X &q,
                       input<X> k, input<X> v, optional_input<X> bias, output<X> out,
                       lse_output<X> lse, mask_output mask, span<std::byte> scratch,
                       Report report = Report())
{
    const input<X> in(q);
    const bitdrop_attention given = detail::with_bias(a, bias);
    const std::size_t scratch_bytes =
        bitdrop_attention_scratch_bytes(&cfg, detail::dtype<X>(), &given);
    const detail::attention_sizes sizes(a);
    return detail::call(report,
                        {detail::null(a.bias, detail::bias_member),
                         detail::attention_tensors(sizes, in, k, v, bias, out, lse),
                         detail::needs(mask, sizes.mask, detail::short_mask),
                         detail::needs(scratch, scratch_bytes, detail::short_scratch)},
                        bitdrop_attention_forward, &cfg, detail::dtype<X>(), &given, in.data(),
                        k.data(), v.data(), out.data(), lse.data(), mask.data(), scratch.data());
}

template <class X, class Report = default_report>
auto attention_backward(const bitdrop_config &cfg, const bitdrop_attention &a, const X &dout,
                        input<X> q, input<X> k, input<X> v, optional_input<X> bias, input<X> out,
                        lse_input<X> lse, output<X> dq, output<X> dk, output<X> dv, mask_input mask,
                        span<std::byte> scratch, Report report = Report())
{
    const input<X> in(dout);
    const bitdrop_attention given = detail::with_bias(a, bias);
    const std::size_t scratch_bytes =
        bitdrop_attention_scratch_bytes(&cfg, detail::dtype<X>(), &given);
    const detail::attention_sizes sizes(a);
    return detail::call(report,
                        {detail::null(a.bias, detail::bias_member),
                         detail::needs(in, sizes.out, detail::short_tensor),
                         detail::attention_tensors(sizes, q, k, v, bias, out, lse),
                         detail::needs(dq, sizes.q, detail::short_tensor),
                         detail::needs(dk, sizes.k, detail::short_tensor),
                         detail::needs(dv, sizes.v, detail::short_tensor),
                         detail::needs(mask, sizes.mask, detail::short_mask),
                         detail::needs(scratch, scratch_bytes, detail::short_scratch)},
                        bitdrop_attention_backward, &cfg, detail::dtype<X>(), &given, in.data(),
                        q.data(), k.data(), v.data(), out.data(), lse.data(), dq.data(), dk.data(),
                        dv.data(), mask.data(), scratch.data());
}

// kept is the number of ones among the first n bits.
template <class Report = default_report>
auto mask_count(std::size_t n, span<const std::uint8_t> mask, std::size_t &kept,
                Report report = Report())
{
    return detail::call(report, {detail::flat_mask(n, mask)}, bitdrop_mask_count, n, mask.data(),
                        &kept);
}

// The size of bytes is the number of elements, here and in mask_pack.
template <class Report = default_report>
auto mask_unpack(span<const std::uint8_t> mask, span<std::uint8_t> bytes, Report report = Report())
{
    return detail::call(report, {detail::flat_mask(bytes.size(), mask)}, bitdrop_mask_unpack,
                        bytes.size(), mask.data(), bytes.data());
}

template <class Report = default_report>
auto mask_pack(span<const std::uint8_t> bytes, span<std::uint8_t> mask, Report report = Report())
{
    return detail::call(report, {detail::flat_mask(bytes.size(), mask)}, bitdrop_mask_pack,
                        bytes.size(), bytes.data(), mask.data());
}

// kept may be nullptr.
template <class Report = default_report>
auto mask_dropblock(const bitdrop_config &cfg, std::size_t planes, std::size_t height,
                    std::size_t width, std::size_t block, span<std::uint8_t> mask,
                    std::size_t *kept, Report report = Report())
{
    const std::size_t rows = detail::multiply(planes, height);
    return detail::call(report,
                        {detail::needs(mask, detail::multiply(rows, detail::bytes(width)),
                                       "the mask is shorter than planes * height * ceil(width/8)")},
                        bitdrop_mask_dropblock, &cfg, planes, height, width, block, mask.data(),
                        kept);
}

// ---- ISAs, texts and versions.

inline bitdrop_isa isa_default() noexcept { return bitdrop_isa_default(); }
inline bool isa_supported(bitdrop_isa isa) noexcept { return bitdrop_isa_supported(isa) != 0; }
inline const char *isa_name(bitdrop_isa isa) noexcept { return bitdrop_isa_name(isa); }
inline const char *status_string(bitdrop_status code) noexcept
{
    return bitdrop_status_string(code);
}
inline const char *version() noexcept { return bitdrop_version(); }
inline int version_number() noexcept { return bitdrop_version_number(); }
inline const char *math() noexcept { return bitdrop_math(); }

} // namespace v0_2
} // namespace bitdrop

#endif // BITDROP_HPP
