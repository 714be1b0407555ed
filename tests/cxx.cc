// SPDX-License-Identifier: Apache-2.0
// usage: cxx [terminate]
// Checks bitdrop.hpp. Each call must write the same as the C call, in each dtype. If a buffer of a
// call is one element too short, the call must fail and write nothing.
#include <bitdrop/bitdrop.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <vector>
#if __cplusplus >= 202002L
#include <span>
#endif

namespace
{

int failures;

void expect(bool right, const char *what)
{
    if (!right) {
        std::printf("%s\n", what);
        failures++;
    }
}

// ---- Calls that must compile, and calls that must not.

template <class X, class Y, class = void> constexpr bool accepts = false;
template <class X, class Y>
constexpr bool
    accepts<X, Y,
            std::void_t<decltype(bitdrop::recompute(std::declval<bitdrop_config>(),
                                                    std::declval<X>(), std::declval<Y>()))>> = true;
using floats = std::vector<float>;
static_assert(accepts<floats &, floats &> && accepts<const floats &, floats &>);
static_assert(accepts<const float (&)[3], std::array<float, 3> &>);
static_assert(accepts<bitdrop::span<const bitdrop::bf16>, bitdrop::span<bitdrop::bf16>>);
static_assert(!accepts<floats &, const floats &>, "the output is const");
static_assert(!accepts<floats &, std::vector<double> &>, "two dtypes");
static_assert(!accepts<std::vector<bitdrop::f16> &, std::vector<bitdrop::bf16> &>, "two dtypes");
static_assert(!accepts<floats &, float *>, "no size");
static_assert(!accepts<floats &, std::nullptr_t>, "the output cannot be left out");
static_assert(!accepts<int &, floats &>, "no buffer");
#if __cplusplus >= 202002L
static_assert(accepts<std::span<const float>, std::span<float>>);
#endif
#if defined(__STDCPP_FLOAT16_T__)
static_assert(accepts<std::vector<std::float16_t> &, std::vector<std::float16_t> &>);
#elif defined(__clang__) && __clang_major__ >= 17 && defined(__SSE2__)
static_assert(accepts<std::vector<_Float16> &, std::vector<_Float16> &>);
static_assert(accepts<std::vector<__bf16> &, std::vector<__bf16> &>);
#endif

struct own_half { // a type of the caller's own
    unsigned short word;
};

} // namespace

template <> struct bitdrop::dtype_of<own_half> : bitdrop::dtype_constant<BITDROP_F16> {
};

namespace
{

static_assert(accepts<std::vector<own_half> &, std::vector<own_half> &>);

// ---- Each call is compared with the C call.

// Numbers of both signs below 2, from words that are in this range in both half types.
template <class T> T number(std::size_t i)
{
    const auto hash = static_cast<std::uint32_t>(i + 1) * 2654435761u;
    if constexpr (sizeof(T) == 2)
        return T{static_cast<std::uint16_t>((hash >> 16) & 0xBFFF)};
    else
        return static_cast<T>(static_cast<std::int32_t>(hash)) / static_cast<T>(1u << 30);
}

template <class T> std::vector<T> numbers(std::size_t n, std::size_t first)
{
    std::vector<T> result;
    for (std::size_t i = 0; i < n; i++)
        result.push_back(number<T>(first + i));
    return result;
}

template <class T> struct outputs { // each buffer has the size that the call needs
    std::vector<T> a, b, c;
    std::vector<bitdrop::lse_element<T>> lse;
    std::vector<std::uint8_t> mask;

    bool operator==(const outputs &other) const
    {
        const auto same = [](const auto &left, const auto &right) {
            return left.empty() ||
                   std::memcmp(left.data(), right.data(), left.size() * sizeof left[0]) == 0;
        };
        return same(a, other.a) && same(b, other.b) && same(c, other.c) && same(lse, other.lse) &&
               mask == other.mask;
    }
};

// Passes buffers on to a call. Number `which` becomes one element shorter; -1: none does.
class cutter
{
  public:
    explicit cutter(int which) : which_(which) {}
    template <class C> auto operator()(C &&buffer)
    {
        return bitdrop::span(std::data(buffer), std::size(buffer) - (count_++ == which_));
    }
    int count() const { return count_; }

  private:
    int which_, count_ = 0;
};

template <class T, class InC, class InCxx>
void expect_call(const char *name, const outputs<T> &before, InC in_c, InCxx in_cxx)
{
    outputs<T> wanted = before, got = before;
    cutter whole(-1);

    std::printf("%s, dtype %d\n", name, static_cast<int>(bitdrop::dtype_of<T>::value));
    expect(in_c(wanted) == BITDROP_OK, "the C call fails");
    expect(in_cxx(got, whole).ok(), "the call fails");
    expect(got == wanted, "the outputs differ from those of the C call");
    expect(!(wanted == before), "nothing is written");
    for (int i = 0; i < whole.count(); i++) {
        cutter cut(i);
        outputs<T> untouched = before;
        const bitdrop::status status = in_cxx(untouched, cut);

        expect(status.code() == BITDROP_ERR_RANGE, "a buffer that is too short is not refused");
        expect(untouched == before, "a call that fails wrote something");
        expect(std::strcmp(status.message(), bitdrop::status_string(BITDROP_ERR_RANGE)) != 0,
               "the message does not say which buffer is too short");
    }
}

bitdrop_config config()
{
    return bitdrop::make<bitdrop_config>([](auto &c) {
        c.p = 0.4;
        c.seed = 42;
        c.stream = 3;
        c.offset = 5;
    });
}

constexpr auto quiet = std::nothrow;

template <class T> void expect_flat()
{
    constexpr std::size_t n = 77;
    constexpr bitdrop_dtype t = bitdrop::dtype_of<T>::value;
    const std::vector<T> x = numbers<T>(n, 0);
    const bitdrop_config cfg = config();
    const outputs<T> none{std::vector<T>(n), {}, {}, {}, std::vector<std::uint8_t>((n + 7) / 8)};
    outputs<T> given = none;

    expect_call<T>(
        "mask", none, [&](auto &o) { return bitdrop_mask(&cfg, n, o.mask.data()); },
        [&](auto &o, cutter &cut) { return bitdrop::mask(cfg, n, cut(o.mask), quiet); });
    expect_call<T>(
        "forward", none,
        [&](auto &o) { return bitdrop_forward(&cfg, t, n, x.data(), o.a.data(), o.mask.data()); },
        [&](auto &o, cutter &cut) {
            return bitdrop::forward(cfg, cut(x), cut(o.a), cut(o.mask), quiet);
        });
    bitdrop::mask(cfg, n, given.mask);
    expect_call<T>(
        "backward", given,
        [&](auto &o) { return bitdrop_backward(&cfg, t, n, x.data(), o.a.data(), o.mask.data()); },
        [&](auto &o, cutter &cut) {
            return bitdrop::backward(cfg, cut(x), cut(o.a), cut(o.mask), quiet);
        });
    expect_call<T>(
        "recompute", none,
        [&](auto &o) { return bitdrop_recompute(&cfg, t, n, x.data(), o.a.data()); },
        [&](auto &o, cutter &cut) { return bitdrop::recompute(cfg, cut(x), cut(o.a), quiet); });
    expect_call<T>(
        "infer", none, [&](auto &o) { return bitdrop_infer(&cfg, t, n, x.data(), o.a.data()); },
        [&](auto &o, cutter &cut) { return bitdrop::infer(cfg, cut(x), cut(o.a), quiet); });
}

// A part of a matrix, with another stride for each buffer.
constexpr bitdrop_2d part()
{
    return bitdrop::make<bitdrop_2d>([](auto &s) {
        s.rows = 5;
        s.cols = 21;
        s.pitch = 40;
        s.x_stride = 22;
        s.y_stride = 23;
        s.z_stride = 24;
        s.mask_stride = 4;
        s.mask_repeat = 2;
        s.first_row = 3;
    });
}
constexpr std::size_t x_size = 4 * 22 + 21, y_size = 4 * 23 + 21, z_size = 4 * 24 + 21;
constexpr std::size_t mask_size = 3 * 4 + 3, relu_mask_size = 4 * 4 + 3; // rows 1, 2, 2, 3, 3

template <class T> void expect_2d()
{
    constexpr bitdrop_dtype t = bitdrop::dtype_of<T>::value;
    constexpr bitdrop_2d shape = part();
    const std::vector<T> x = numbers<T>(x_size, 0), z = numbers<T>(z_size, 1000);
    const std::vector<T> bias = numbers<T>(shape.cols, 2000);
    const bitdrop_config cfg = config();
    const outputs<T> none{std::vector<T>(y_size),
                          {},
                          {},
                          {},
                          std::vector<std::uint8_t>(bitdrop::mask_2d_bytes(shape))};
    outputs<T> given = none;

    bitdrop::mask_2d(cfg, shape, given.mask);
    expect_call<T>(
        "mask_2d", none, [&](auto &o) { return bitdrop_mask_2d(&cfg, &shape, o.mask.data()); },
        [&](auto &o, cutter &cut) { return bitdrop::mask_2d(cfg, shape, cut(o.mask), quiet); });

#define EXPECT_FORWARD(name)                                                                       \
    expect_call<T>(                                                                                \
        #name, none,                                                                               \
        [&](auto &o) {                                                                             \
            return bitdrop_##name(&cfg, t, &shape, x.data(), o.a.data(), o.mask.data());           \
        },                                                                                         \
        [&](auto &o, cutter &cut) {                                                                \
            return bitdrop::name(cfg, shape, cut(x), cut(o.a), cut(o.mask), quiet);                \
        })
#define EXPECT_BACKWARD(name)                                                                      \
    expect_call<T>(                                                                                \
        #name, given,                                                                              \
        [&](auto &o) {                                                                             \
            return bitdrop_##name(&cfg, t, &shape, x.data(), o.a.data(), o.mask.data());           \
        },                                                                                         \
        [&](auto &o, cutter &cut) {                                                                \
            return bitdrop::name(cfg, shape, cut(x), cut(o.a), cut(o.mask), quiet);                \
        })
#define EXPECT_UNMASKED(name)                                                                      \
    expect_call<T>(                                                                                \
        #name, none,                                                                               \
        [&](auto &o) { return bitdrop_##name(&cfg, t, &shape, x.data(), o.a.data()); },            \
        [&](auto &o, cutter &cut) { return bitdrop::name(cfg, shape, cut(x), cut(o.a), quiet); })
    EXPECT_FORWARD(forward_2d);
    EXPECT_BACKWARD(backward_2d);
    EXPECT_UNMASKED(recompute_2d);
    EXPECT_UNMASKED(infer_2d);
    EXPECT_FORWARD(forward_alpha);
    EXPECT_BACKWARD(backward_alpha);
    EXPECT_UNMASKED(gaussian);

    expect_call<T>(
        "forward_add", none,
        [&](auto &o) {
            return bitdrop_forward_add(&cfg, t, &shape, x.data(), bias.data(), z.data(), o.a.data(),
                                       o.mask.data());
        },
        [&](auto &o, cutter &cut) {
            return bitdrop::forward_add(cfg, shape, cut(x), cut(bias), cut(z), cut(o.a),
                                        cut(o.mask), quiet);
        });
    expect_call<T>(
        "backward_add", given,
        [&](auto &o) {
            return bitdrop_backward_add(&cfg, t, &shape, x.data(), z.data(), o.a.data(),
                                        o.mask.data());
        },
        [&](auto &o, cutter &cut) {
            return bitdrop::backward_add(cfg, shape, cut(x), cut(z), cut(o.a), cut(o.mask), quiet);
        });
    for (const bitdrop_activation act : {BITDROP_RELU, BITDROP_GELU}) {
        outputs<T> act_none = none, act_given = given;

        if (act == BITDROP_RELU) {
            act_none.mask.assign(relu_mask_size, 0);
            act_given.mask.assign(relu_mask_size, 0xA5);
        }
        expect_call<T>(
            "forward_act", act_none,
            [&](auto &o) {
                return bitdrop_forward_act(&cfg, t, &shape, act, x.data(), bias.data(), o.a.data(),
                                           o.mask.data());
            },
            [&](auto &o, cutter &cut) {
                return bitdrop::forward_act(cfg, shape, act, cut(x), cut(bias), cut(o.a),
                                            cut(o.mask), quiet);
            });
        expect_call<T>(
            "backward_act", act_given,
            [&](auto &o) {
                return bitdrop_backward_act(&cfg, t, &shape, act, x.data(), z.data(), bias.data(),
                                            o.a.data(), o.mask.data());
            },
            [&](auto &o, cutter &cut) {
                return bitdrop::backward_act(cfg, shape, act, cut(x), cut(z), cut(bias), cut(o.a),
                                             cut(o.mask), quiet);
            });
    }
}

// How many rows of the bias a softmax call reads, by the formula of docs/reference.md.
std::size_t bias_rows(const bitdrop_2d &shape, const bitdrop_softmax &soft)
{
    std::size_t rows = 0;

    for (std::size_t r = 0; r < shape.rows; r++) {
        const std::size_t row = static_cast<std::size_t>(shape.first_row) + r;
        const std::size_t bias_row =
            soft.bias_block == 0
                ? r
                : row / (soft.bias_block * std::max<std::size_t>(soft.bias_repeat, 1)) *
                          soft.bias_block +
                      row % soft.bias_block;
        rows = std::max(rows, bias_row + 1);
    }
    return rows;
}

template <class T> void expect_softmax()
{
    constexpr bitdrop_dtype t = bitdrop::dtype_of<T>::value;
    const std::vector<T> x = numbers<T>(x_size, 0), prob = numbers<T>(z_size, 1000);
    const bitdrop_config cfg = config();

    for (std::size_t block = 0; block <= 3; block++)
        for (std::size_t repeat = 0; repeat <= 3; repeat++)
            for (std::size_t first = 0; first <= 7; first++) {
                bitdrop_2d shape = part();
                bitdrop_softmax soft{};

                shape.first_row = first;
                soft.bias_block = block;
                soft.bias_repeat = repeat;
                soft.bias_stride = shape.cols + 2;
                const std::size_t rows = bias_rows(shape, soft);
                const std::vector<T> bias =
                    numbers<T>((rows - 1) * soft.bias_stride + shape.cols, 2000);
                const outputs<T> none{std::vector<T>(y_size),
                                      std::vector<T>(z_size),
                                      {},
                                      std::vector<bitdrop::lse_element<T>>(shape.rows),
                                      std::vector<std::uint8_t>(bitdrop::mask_2d_bytes(shape))};
                expect_call<T>(
                    "forward_softmax", none,
                    [&](auto &o) {
                        bitdrop_softmax in_c = soft;
                        in_c.bias = bias.data();
                        in_c.lse = o.lse.data();
                        return bitdrop_forward_softmax(&cfg, t, &shape, &in_c, x.data(), o.b.data(),
                                                       o.a.data(), o.mask.data());
                    },
                    [&](auto &o, cutter &cut) {
                        return bitdrop::forward_softmax(cfg, shape, soft, cut(x), cut(bias),
                                                        cut(o.b), cut(o.a), cut(o.lse), cut(o.mask),
                                                        quiet);
                    });
            }

    constexpr bitdrop_2d shape = part();
    const bitdrop_softmax soft{};
    outputs<T> given{std::vector<T>(y_size), {}, {}, {}, std::vector<std::uint8_t>(mask_size - 4)};
    bitdrop::mask_2d(cfg, shape, given.mask);
    expect_call<T>(
        "backward_softmax", given,
        [&](auto &o) {
            return bitdrop_backward_softmax(&cfg, t, &shape, &soft, x.data(), prob.data(),
                                            o.a.data(), o.mask.data());
        },
        [&](auto &o, cutter &cut) {
            return bitdrop::backward_softmax(cfg, shape, soft, cut(x), cut(prob), cut(o.a),
                                             cut(o.mask), quiet);
        });
}

template <class T>
void expect_attention(const bitdrop_attention &a, std::size_t queries_size, std::size_t keys_size,
                      std::size_t bias_size)
{
    constexpr bitdrop_dtype t = bitdrop::dtype_of<T>::value;
    const std::vector<T> q = numbers<T>(queries_size, 0), k = numbers<T>(keys_size, 1000);
    const std::vector<T> v = numbers<T>(keys_size, 2000), dout = numbers<T>(queries_size, 3000);
    const std::vector<T> bias = numbers<T>(bias_size, 4000);
    const bitdrop_config cfg = config();
    const std::size_t rows = a.batch * a.heads * a.queries;
    const std::size_t size = bitdrop::attention_scratch_bytes<T>(cfg, a, bias);
    std::vector<std::byte> memory(size + 64);
    void *aligned = memory.data();
    std::size_t space = memory.size();
    const bitdrop::span scratch(static_cast<std::byte *>(std::align(64, size, aligned, space)),
                                size);
    bitdrop_attention in_c = a;
    const outputs<T> none{std::vector<T>(queries_size),
                          {},
                          {},
                          std::vector<bitdrop::lse_element<T>>(rows),
                          std::vector<std::uint8_t>(rows * ((a.keys + 7) / 8))};
    outputs<T> forward = none;

    in_c.bias = bias.data();
    expect_call<T>(
        "attention_forward", none,
        [&](auto &o) {
            return bitdrop_attention_forward(&cfg, t, &in_c, q.data(), k.data(), v.data(),
                                             o.a.data(), o.lse.data(), o.mask.data(),
                                             scratch.data());
        },
        [&](auto &o, cutter &cut) {
            return bitdrop::attention_forward(cfg, a, cut(q), cut(k), cut(v), cut(bias), cut(o.a),
                                              cut(o.lse), cut(o.mask), cut(scratch), quiet);
        });
    bitdrop::attention_forward(cfg, a, q, k, v, bias, forward.a, forward.lse, forward.mask,
                               scratch);
    const outputs<T> gradients{
        std::vector<T>(queries_size), std::vector<T>(keys_size), std::vector<T>(keys_size), {}, {}};
    expect_call<T>(
        "attention_backward", gradients,
        [&](auto &o) {
            return bitdrop_attention_backward(&cfg, t, &in_c, dout.data(), q.data(), k.data(),
                                              v.data(), forward.a.data(), forward.lse.data(),
                                              o.a.data(), o.b.data(), o.c.data(),
                                              forward.mask.data(), scratch.data());
        },
        [&](auto &o, cutter &cut) {
            return bitdrop::attention_backward(cfg, a, cut(dout), cut(q), cut(k), cut(v), cut(bias),
                                               cut(forward.a), cut(forward.lse), cut(o.a), cut(o.b),
                                               cut(o.c), cut(forward.mask), cut(scratch), quiet);
        });
}

template <class T> void expect_attention()
{
    const auto dense = bitdrop::make<bitdrop_attention>([](auto &a) {
        a.batch = 2;
        a.heads = 4;
        a.kv_heads = 2;
        a.queries = 3;
        a.keys = 9;
        a.dim = 5;
        a.bias_strides[2] = 9;
    });
    const auto strided = bitdrop::make<bitdrop_attention>([&](auto &a) { // [B, T, H, D]
        a = dense;
        for (std::size_t *strides : {a.q_strides, a.out_strides}) {
            strides[0] = 3 * 4 * 5;
            strides[1] = 5;
            strides[2] = 4 * 5 + 1; // rows of different samples do not overlap
        }
        for (std::size_t *strides : {a.k_strides, a.v_strides}) {
            strides[0] = 200;
            strides[1] = 5;
            strides[2] = 10;
        }
        a.q_strides[0] = a.out_strides[0] = 70;
    });

    expect_attention<T>(dense, 2 * 4 * 3 * 5, 2 * 2 * 9 * 5, 3 * 9);
    expect_attention<T>(strided, 70 + 3 * 5 + 2 * 21 + 5, 200 + 5 + 8 * 10 + 5, 3 * 9);
}

// ---- Masks.

void expect_masks()
{
    constexpr std::size_t n = 77, planes = 2, height = 9, width = 11;
    const std::vector<std::uint8_t> bits = {0xFF, 0x0F, 0xAA, 0x01, 0x80,
                                            0x3C, 0x5A, 0x00, 0xFE, 0x13};
    const bitdrop_config cfg = config();
    outputs<float> none;
    std::size_t kept = 0, kept_c = 0;

    none.mask.resize(n);
    expect_call<float>(
        "mask_unpack", none,
        [&](auto &o) { return bitdrop_mask_unpack(n, bits.data(), o.mask.data()); },
        [&](auto &o, cutter &cut) { return bitdrop::mask_unpack(cut(bits), o.mask, quiet); });
    std::vector<std::uint8_t> bytes(n);
    bitdrop::mask_unpack(bits, bytes);
    none.mask.resize((n + 7) / 8);
    expect_call<float>(
        "mask_pack", none,
        [&](auto &o) { return bitdrop_mask_pack(n, bytes.data(), o.mask.data()); },
        [&](auto &o, cutter &cut) { return bitdrop::mask_pack(bytes, cut(o.mask), quiet); });
    none.mask.resize(planes * height * 2);
    expect_call<float>(
        "mask_dropblock", none,
        [&](auto &o) {
            return bitdrop_mask_dropblock(&cfg, planes, height, width, 3, o.mask.data(), &kept_c);
        },
        [&](auto &o, cutter &cut) {
            return bitdrop::mask_dropblock(cfg, planes, height, width, 3, cut(o.mask), &kept,
                                           quiet);
        });
    expect(kept == kept_c && kept > 0, "mask_dropblock counts other kept elements");
    expect(bitdrop_mask_count(n, bits.data(), &kept_c) == BITDROP_OK, "mask_count");
    bitdrop::mask_count(n, bits, kept);
    expect(kept == kept_c && kept > 0, "mask_count counts other kept elements");
    expect(bitdrop::mask_count(n + 4, bits, kept, quiet).code() == BITDROP_ERR_RANGE,
           "mask_count accepts a mask that is too short");
}

// ---- Arguments, errors, threads.

void expect_left_out()
{
    const floats x = numbers<float>(40, 0), empty;
    floats y(40), z(40);
    bitdrop_config cfg = config();
    const auto shape = bitdrop::make<bitdrop_2d>([](auto &s) {
        s.rows = 5;
        s.cols = 8;
    });
    std::vector<std::uint8_t> mask(5);

    expect(bitdrop::forward(cfg, x, y, nullptr, quiet).code() == BITDROP_ERR_NULL,
           "a call accepts nullptr for a stored mask");
    bitdrop::forward_add(cfg, shape, x, nullptr, nullptr, y, mask);
    bitdrop::forward_2d(cfg, shape, x, z, mask);
    expect(y == z, "forward_add without a bias and a residual differs from forward_2d");
    expect(bitdrop::forward_add(cfg, shape, x, empty, x, y, mask, quiet).code() ==
               BITDROP_ERR_RANGE,
           "a call accepts an empty bias");
    bitdrop::forward_act(cfg, shape, BITDROP_RELU, x, nullptr, y, mask);
    bitdrop::backward_act(cfg, shape, BITDROP_RELU, x, nullptr, nullptr, z, mask);
    bitdrop::forward_softmax(cfg, shape, {}, x, nullptr, nullptr, y, nullptr, mask);

    bitdrop_softmax soft{};
    soft.bias = x.data();
    expect(bitdrop::forward_softmax(cfg, shape, soft, x, nullptr, nullptr, y, nullptr, mask, quiet)
                   .code() == BITDROP_ERR_CONFIG,
           "a call accepts a bias without a size");

    cfg.mask_use = BITDROP_MASK_REMADE;
    bitdrop::forward(cfg, x, y, nullptr);
    bitdrop::recompute(cfg, x, z);
    expect(y == z, "forward with a remade mask differs from recompute");
    expect(bitdrop::forward(cfg, x, y, mask, quiet).code() == BITDROP_ERR_NULL,
           "a call that remakes the mask accepts a mask");
    bitdrop::recompute(cfg, empty, bitdrop::span<float>());
    expect(bitdrop::mask_bytes(40) == 5 && bitdrop::mask_2d_bytes(shape) == 5, "bytes of a mask");
}

void expect_words()
{
    const std::vector<std::uint16_t> x(9, 0x3F80);
    std::vector<std::uint16_t> y(9), z(9);
    bitdrop_config cfg = config();

    bitdrop::recompute(cfg, bitdrop::as_bf16(x), bitdrop::as_bf16(y));
    expect(bitdrop_recompute(&cfg, BITDROP_BF16, 9, x.data(), z.data()) == BITDROP_OK && y == z,
           "as_bf16 differs from the C call");
    bitdrop::recompute(cfg, bitdrop::as_f16(x), bitdrop::as_f16(y));
    expect(bitdrop_recompute(&cfg, BITDROP_F16, 9, x.data(), z.data()) == BITDROP_OK && y == z,
           "as_f16 differs from the C call");
}

void expect_reports()
{
    float x[3] = {1, 2, 3};
    std::array<float, 3> y{};
    bitdrop_config wrong = config();
    wrong.p = 2;

    const int code = bitdrop::recompute(
        wrong, x, y, [](bitdrop::status s) { return static_cast<int>(s.code()); });
    expect(code == BITDROP_ERR_PROBABILITY, "a callable does not get the status");
    const auto thrown = [&](const bitdrop_config &cfg, bitdrop::span<float> out) {
        try {
            bitdrop::recompute(cfg, x, out);
        } catch (const bitdrop::error &error) {
            expect(std::strncmp(error.what(), "bitdrop: ", 9) == 0, "what() does not say bitdrop");
            expect(std::strcmp(error.what() + 9, error.status().message()) == 0,
                   "what() does not have the message");
            return error.status().code();
        }
        return BITDROP_OK;
    };
    expect(thrown(config(), y) == BITDROP_OK, "an exception although there is no error");
    expect(thrown(wrong, y) == BITDROP_ERR_PROBABILITY, "no exception for the library's status");
    expect(thrown(config(), bitdrop::span(y.data(), 2)) == BITDROP_ERR_RANGE,
           "no exception for a wrong size");
#if __cplusplus >= 202002L
    std::vector<std::uint8_t> mask(1), wanted(1);
    bitdrop::mask({.p = 0.5, .seed = 42}, 3, mask);
    wrong = {.p = 0.5, .seed = 42};
    expect(bitdrop_mask(&wrong, 3, wanted.data()) == BITDROP_OK && mask == wanted,
           "designated initialisers make another mask");
#endif
}

void expect_parallel()
{
    constexpr std::size_t n = 1 << 18;
    const floats x = numbers<float>(n, 0);
    floats y(n), z(n);
    bitdrop_config cfg = config();
    std::size_t ran = 0;
    const bitdrop::parallel threads(3, [&](std::size_t tasks, bitdrop::task task) {
        for (std::size_t i = tasks; i-- > 0; ran++)
            task(i);
    });

    bitdrop::recompute(cfg, x, y);
    cfg.parallel = threads;
    bitdrop::recompute(cfg, x, z);
    expect(ran == 3, "run did not run 3 tasks");
    expect(y == z, "a call in tasks differs");
}

// An exception leaves `run`. std::terminate must be called: its handler exits with status 0.
int terminate()
{
    const floats x(1 << 18);
    floats y(x.size());
    bitdrop_config cfg = config();
    const bitdrop::parallel threads(2, [](std::size_t, bitdrop::task) { throw 1; });

    std::set_terminate([] { std::_Exit(0); });
    cfg.parallel = threads;
    try {
        bitdrop::recompute(cfg, x, y);
    } catch (...) {
    }
    std::puts("the program goes on after an exception has left run");
    return 1;
}

// Of calls that are not flat, only the type of lse depends on the dtype. So one dtype is enough,
// because templates compile slowly.
static_assert(std::is_same_v<bitdrop::lse_element<double>, double>);
static_assert(std::is_same_v<bitdrop::lse_element<float>, float>);
template <class T> void expect_shaped()
{
    expect_2d<T>();
    expect_softmax<T>();
    expect_attention<T>();
}

} // namespace

int main(int argc, char **argv)
{
    if (argc > 1 && std::strcmp(argv[1], "terminate") == 0)
        return terminate();
    expect_flat<float>();
    expect_flat<double>();
    expect_flat<bitdrop::f16>();
    expect_flat<bitdrop::bf16>();
    expect_shaped<bitdrop::bf16>();
    expect_masks();
    expect_left_out();
    expect_words();
    expect_reports();
    expect_parallel();
    expect(std::strcmp(bitdrop::version(), bitdrop_version()) == 0 &&
               bitdrop::version_number() == bitdrop_version_number() &&
               std::strcmp(bitdrop::math(), bitdrop_math()) == 0 &&
               bitdrop::isa_supported(bitdrop::isa_default()) &&
               std::strcmp(bitdrop::isa_name(BITDROP_ISA_SCALAR), "scalar") == 0,
           "names and versions");
    return failures == 0 ? 0 : 1;
}
