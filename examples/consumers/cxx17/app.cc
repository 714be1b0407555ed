// SPDX-License-Identifier: Apache-2.0
#include <bitdrop/bitdrop.hpp>
#include <cstdio>
#include <vector>

int main()
try {
    constexpr auto cfg =
        bitdrop::make<bitdrop_config>([](auto &c) { // in C++20 {.p = 0.5, .seed = 42}
            c.p = 0.5;
            c.seed = 42;
        });
    const std::vector<float> x{1, 2, 3, 4, 5, 6, 7, 8};
    std::vector<float> y(x.size()), dx(x.size());
    std::vector<std::uint8_t> mask(bitdrop::mask_bytes(x.size()));

    bitdrop::forward(cfg, x, y, mask);
    bitdrop::backward(cfg, x, dx, mask);

    const std::vector<float> expected{2, 4, 0, 0, 10, 0, 14, 0}; // on every machine
    const bool right = y == expected && dx == expected;
    std::printf("bitdrop %s on %s: %s\n", bitdrop::version(),
                bitdrop::isa_name(bitdrop::isa_default()), right ? "right" : "wrong");
    return right ? 0 : 1;
} catch (const bitdrop::error &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
