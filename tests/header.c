/* SPDX-License-Identifier: Apache-2.0 */
/* The test is that the public header alone compiles, as C99, C11, C++17 and C++20. */
#include <bitdrop/bitdrop.h>

#define HAS_BYTES(type, bytes) (sizeof(void *) != 8 || sizeof(type) == (bytes))

typedef char sizes_are_documented[HAS_BYTES(bitdrop_config, 64) && HAS_BYTES(bitdrop_2d, 104) &&
                                          HAS_BYTES(bitdrop_parallel, 40) &&
                                          HAS_BYTES(bitdrop_softmax, 80) &&
                                          HAS_BYTES(bitdrop_attention, 264)
                                      ? 1
                                      : -1];
/* abidiff does not see these enumerators, because no function has their types (docs/abi.md). */
typedef char enumerators_stay[BITDROP_SCALE_TRAIN == 0 && BITDROP_SCALE_INFER == 1 &&
                                      BITDROP_STORES_AUTO == 0 && BITDROP_STORES_CACHED == 1 &&
                                      BITDROP_STORES_STREAMING == 2 && BITDROP_MASK_STORED == 0 &&
                                      BITDROP_MASK_REMADE == 1 && BITDROP_EACH_ELEMENT == 0 &&
                                      BITDROP_EACH_ROW == 1
                                  ? 1
                                  : -1];

extern sizes_are_documented bitdrop_test_sizes;
extern enumerators_stay bitdrop_test_enumerators;
size_t bitdrop_test_header(const bitdrop_config *cfg);

#if !defined(__cplusplus) || __cplusplus >= 202002L
/* C++20 requires initialisers in the order of the members. This order must stay legal. */
static const bitdrop_config in_order = {
    .p = 0.1, .seed = 42, .stream = 3, .offset = 7, .rounds = 7, .mask_use = BITDROP_MASK_REMADE};
static const bitdrop_2d part = {
    .rows = 2, .cols = 8, .pitch = 16, .x_stride = 16, .mask_repeat = 2, .first_row = 4};
#else
static const bitdrop_config in_order = {};
static const bitdrop_2d part = {};
#endif

size_t bitdrop_test_header(const bitdrop_config *cfg)
{
    return cfg->p < in_order.p ? bitdrop_mask_bytes(BITDROP_VERSION_NUMBER) : part.rows;
}
