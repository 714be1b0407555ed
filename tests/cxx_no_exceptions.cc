// SPDX-License-Identifier: Apache-2.0
// Checks bitdrop.hpp with -fno-exceptions: calls return their status, and the compiler warns a
// caller that ignores it.
#include <bitdrop/bitdrop.hpp>

int main()
{
    const float x[3] = {1, 2, 3};
    float y[3] = {};
    bitdrop_config cfg{};
    const bitdrop::status right = bitdrop::recompute(cfg, x, y);
    cfg.p = 2;
    const bitdrop::status wrong = bitdrop::recompute(cfg, x, y);

    return right.ok() && y[2] == 3 && wrong.code() == BITDROP_ERR_PROBABILITY ? 0 : 1;
}
