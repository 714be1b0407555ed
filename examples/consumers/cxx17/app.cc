// SPDX-License-Identifier: Apache-2.0

// The header is C, and C++17 has no designated initializers: {} zeroes the config, as it must be.
#include <bitdrop/bitdrop.h>
#include <cstdio>
#include <stdexcept>
#include <vector>

static void check(bitdrop_status status)
{
    if (status != BITDROP_OK)
        throw std::runtime_error(bitdrop_status_string(status));
}

int main()
try {
    bitdrop_config cfg{};
    cfg.p = 0.5;
    cfg.seed = 42;
    const std::vector<float> x{1, 2, 3, 4, 5, 6, 7, 8};
    std::vector<float> y(x.size()), dx(x.size());
    std::vector<std::uint8_t> mask(bitdrop_mask_bytes(x.size()));

    check(bitdrop_forward(&cfg, BITDROP_F32, x.size(), x.data(), y.data(), mask.data()));
    check(bitdrop_backward(&cfg, BITDROP_F32, x.size(), x.data(), dx.data(), mask.data()));

    const std::vector<float> expected{2, 4, 0, 0, 10, 0, 14, 0}; // on every machine
    const bool right = y == expected && dx == expected;
    std::printf("bitdrop %s on %s: %s\n", bitdrop_version(),
                bitdrop_isa_name(bitdrop_isa_default()), right ? "right" : "wrong");
    return right ? 0 : 1;
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
