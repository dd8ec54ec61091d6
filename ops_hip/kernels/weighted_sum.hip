// y[t][i] = Σ_j w[t][j]·x[t][j][i]: x [tokens, k, n], w [tokens, k], in order of j with fused multiply-adds.
// Grid (tokens, ⌈n/256⌉), blocks of 256, no LDS. Reference: ops_ref/experts.go. Launched by weighted_sum.go.
#include "gpu.h"

KERNEL(256) weighted_sum_f32(const float* RESTRICT x, const float* RESTRICT w, float* RESTRICT y, u32 k, u32 n) {
  u32 i = (u32)block_y() * 256 + tid();
  if (i >= n) return;
  u64 t = block_x();
  float s = 0;
  for (u32 j = 0; j < k; j++) s = __builtin_fmaf(w[t * k + j], x[(t * k + j) * n + i], s);
  y[t * n + i] = s;
}
