// y[r][i] = x[r][i] / √(Σ_j x[r][j]² + eps): x [rows, n].
// Kernels, grids and numerics: see norm.h. Reference: ops_ref/norm.go. Launched by l2_norm.go.
#include "norm.h"

struct l2_row {
  struct Side {};
  const f32x4* x;
  f32x4* y;
  float eps;
  DEV_METHOD f32x4 load(u32 i) { return x[i]; }
  DEV_METHOD Side side(u32) { return {}; }
  DEV_METHOD float factor(float sum) { return rsqrt(sum + eps); }
  DEV_METHOD f32x4 store(u32 i, f32x4 v, Side, float s) { return y[i] = v * s; }
};

#define PARAMS const float *RESTRICT x, float *RESTRICT y
NORM_KERNELS(l2_norm, PARAMS, (l2_row{vectors_at(x, r, n), vectors_at(y, r, n), eps}))

KERNEL(256) l2_norm_f32_block(const float* RESTRICT x, float* RESTRICT y, u32 n, float eps) {
  LDS float part[8];
  x += (u64)block_x() * n, y += (u64)block_x() * n;
  float s = rsqrt(block_sum<8>(sum_squares(x, n, tid(), 256), part) + eps);
  for (u32 i = tid(); i < n; i += 256) y[i] = x[i] * s;
}
