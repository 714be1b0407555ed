// SPDX-License-Identifier: Apache-2.0
// Variables that the C++ examples of docs/ use without a declaration (check_pages.py).
std::uint32_t layer = 0;
std::uint64_t step = 0;
std::vector<float> x, y, dx, dy;
bitdrop_config cfg{};
static const auto log = [](bitdrop_status, const char *) {};
static const auto ENGINE_CHECK = [](bool, const char *) {};
struct {
    void for_each(std::size_t tasks, const bitdrop::task &task)
    {
        for (std::size_t i = 0; i < tasks; i++)
            task(i);
    }
} pool;
