// y[r][i] = x[r][i] / √(Σ_j x[r][j]²/n + eps) · w[i]: x [rows, n], w [n].
// Kernels, grids and numerics: see norm.h. Reference: ops_ref/norm.go. Launched by rms_norm.go.
#include "norm.h"

DEV void rms_norm_row(const float* x, const float* w, float* y, u32 n, float s, u32 t, u32 threads) {
  for (u32 i = t; i < n; i += threads) y[i] = x[i] * s * w[i];
}

KERNEL(128) rms_norm_f32_wave(const float* RESTRICT x, const float* RESTRICT w, float* RESTRICT y, u32 rows, u32 n, float eps) {
  u32 r = (u32)block_x() * 4 + wave();
  if (r >= rows) return;
  x += (u64)r * n, y += (u64)r * n;
  float s = rsqrt(wave_sum(sum_squares(x, n, lane(), 32)) / (float)n + eps);
  rms_norm_row(x, w, y, n, s, lane(), 32);
}

KERNEL(256) rms_norm_f32_block(const float* RESTRICT x, const float* RESTRICT w, float* RESTRICT y, u32 n, float eps) {
  LDS float part[8];
  x += (u64)block_x() * n, y += (u64)block_x() * n;
  float s = rsqrt(block_sum<8>(sum_squares(x, n, tid(), 256), part) / (float)n + eps);
  rms_norm_row(x, w, y, n, s, tid(), 256);
}
