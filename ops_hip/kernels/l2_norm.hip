// y[r][i] = x[r][i] / √(Σ_j x[r][j]² + eps): x [rows, n].
// Kernels, grids and numerics: see norm.h. Reference: ops_ref/norm.go. Launched by l2_norm.go.
#include "norm.h"

KERNEL(128) l2_norm_f32_wave(const float* RESTRICT x, float* RESTRICT y, u32 rows, u32 n, float eps) {
  u32 r = (u32)block_x() * 4 + wave();
  if (r >= rows) return;
  x += (u64)r * n, y += (u64)r * n;
  float s = rsqrt(wave_sum(sum_squares(x, n, lane(), 32)) + eps);
  for (u32 i = lane(); i < n; i += 32) y[i] = x[i] * s;
}

KERNEL(256) l2_norm_f32_block(const float* RESTRICT x, float* RESTRICT y, u32 n, float eps) {
  LDS float part[8];
  x += (u64)block_x() * n, y += (u64)block_x() * n;
  float s = rsqrt(block_sum<8>(sum_squares(x, n, tid(), 256), part) + eps);
  for (u32 i = tid(); i < n; i += 256) y[i] = x[i] * s;
}
