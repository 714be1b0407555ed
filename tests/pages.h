/* SPDX-License-Identifier: Apache-2.0 */
/* The names that the C of docs/ takes from the engine of its reader: check_guide.sh. */
#include <bitdrop/bitdrop.h>
#include <stdlib.h>

extern size_t n, batch, inputs, features, channels, height, width, cols, R, r, k;
extern size_t heads, kv_heads, tokens, new_tokens, length, capacity, dim;
extern size_t threads, workers, worker;
extern uint64_t run_seed, step;
extern uint32_t layer;
extern const float *x, *dy, *qkv, *dout, *k_cache, *v_cache;
extern float *y, *dx, *dqkv, *out, *lse;
extern uint8_t *mask;
extern bitdrop_config cfg;
extern bitdrop_status status;
