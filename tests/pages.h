/* SPDX-License-Identifier: Apache-2.0 */
/* Variables that the C examples of docs/ use without a declaration (check_pages.py). */
size_t n, batch, inputs, features, channels, height, width, cols, R, r, k;
size_t heads, kv_heads, tokens, new_tokens, length, capacity, dim;
size_t threads, workers, worker, first, planes, block;
size_t H, G, D, past, most;
uint64_t run_seed, step;
uint32_t layer, pass, dropouts;
const float *x, *dy, *qkv, *dout, *k_cache, *v_cache, *cache_k, *cache_v, *q, *bias, *residual;
float *y, *dx, *dqkv, *out, *lse, *h;
uint8_t *mask;
void *scratch;
bitdrop_config cfg;
bitdrop_2d shape;
bitdrop_dtype t;
bitdrop_status status;
