/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled for a CPU that check_baseline.sh does not run it on. */
#include "baseline.h"

int main(void) { return baseline_holds(BASELINE_USED) ? 0 : 3; }
