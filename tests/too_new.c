/* SPDX-License-Identifier: Apache-2.0 */
/* Is compiled for a newer CPU than the one that check_baseline.sh runs it on. */
#include "baseline.h"

int main(void) { return baseline_holds(BASELINE_USED) ? 0 : 3; }
