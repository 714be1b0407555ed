/* SPDX-License-Identifier: Apache-2.0 */
/* run_tasks by C++17's parallel algorithms. In libstdc++ these use threads only with TBB. */
#include <algorithm>
#include <execution>
#include <numeric>
#include <vector>

#include "threads.h"

void run_tasks(void *, size_t tasks, task_function *task, void *argument)
{
    std::vector<size_t> indices(tasks);

    std::iota(indices.begin(), indices.end(), size_t{0});
    std::for_each(std::execution::par, indices.begin(), indices.end(),
                  [=](size_t i) { task(argument, i); });
}
