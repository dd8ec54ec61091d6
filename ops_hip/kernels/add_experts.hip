// y[p][i] = x[p][i] + bias[ids[p]][i] for pairs p = (token, choice): x [pairs, n], bias [experts, n].
// Grid (pairs, ⌈n/256⌉), blocks of 256, no LDS. Reference: ops_ref/experts.go. Launched by add_experts.go.
#include "gpu.h"

KERNEL(256) add_experts_f32(const float* RESTRICT x, const float* RESTRICT bias, const int* RESTRICT ids, float* RESTRICT y, u32 n) {
  u32 i = (u32)block_y() * 256 + tid();
  if (i >= n) return;
  u64 at = (u64)block_x() * n + i;
  y[at] = x[at] + bias[(u64)ids[block_x()] * n + i];
}
