// y[t][c] = table[ids[t]][c], table of [n, k] in any weight type; a row whose id is outside the table is NaN.
// Grid (tokens, ⌈k/2048⌉), blocks of 256, a thread for 8 elements, no LDS. One multiplication and one addition an
// element, which may be fused. Reference: ops_ref/rows.go. Launched by embed.go.
#include "quants.h"

template <class Q> DEV void embed(const u8* RESTRICT table, const int* RESTRICT ids, float* RESTRICT y, u32 n, u32 k) {
  u32 g = (u32)block_y() * 256 + tid();
  u32 id = ids[block_x()];
  if (8 * g >= k) return;
  group w;
  if (id < n) {
    weight_row<Q>::get(table + id * weight_row<Q>::bytes(k), g, k, w);
  } else {
    UNROLL for (int j = 0; j < 8; j++) w[j] = __builtin_nanf("");
  }
  float* out = y + (u64)block_x() * k + 8 * g;
  UNROLL for (int j = 0; j < 8; j++)
    if (!Q::element || 8 * g + j < k) out[j] = w[j];
}

#define TYPE(q, name, block, bytes)                                                                          \
  KERNEL(256) embed_##q(const u8* RESTRICT table, const int* RESTRICT ids, float* RESTRICT y, u32 n, u32 k) { \
    embed<q>(table, ids, y, n, k);                                                                           \
  }
#define TYPES_FLOAT
#define TYPES_Q
#define TYPES_K
#define TYPES_IQ
#include "types.def"
