// y[r][i] = x[r][i] / √(Σ_j x[r][j]²/n + eps) · w[i]: x [rows, n], w [n].
// Kernels, grids and numerics: see norm.h. Reference: ops_ref/norm.go. Launched by rms_norm.go.
#include "norm.h"

struct rms_row {
  typedef f32x4 Side;
  const f32x4 *x, *w;
  f32x4* y;
  u32 n;
  float eps;
  DEV_METHOD f32x4 load(u32 i) { return x[i]; }
  DEV_METHOD Side side(u32 i) { return w[i]; }
  DEV_METHOD float factor(float sum) { return rms_factor(sum, n, eps); }
  DEV_METHOD f32x4 store(u32 i, f32x4 v, Side weight, float s) {
    v = rms_scale(v, weight, s);
    if (y) y[i] = v;
    return v;
  }
};

#define PARAMS const float *RESTRICT x, const float *RESTRICT w, float *RESTRICT y
NORM_KERNELS(rms_norm, PARAMS, (rms_row{vectors_at(x, r, n), vectors_at(w, 0, n), vectors_at(y, r, n), n, eps}))

KERNEL(256) rms_norm_f32_block(const float* RESTRICT x, const float* RESTRICT w, float* RESTRICT y, u32 n, float eps) {
  LDS float part[8];
  x += (u64)block_x() * n, y += (u64)block_x() * n;
  float s = rms_factor(block_sum<8>(sum_squares(x, n, tid(), 256), part), n, eps);
  for (u32 i = tid(); i < n; i += 256) y[i] = rms_scale(x[i], w[i], s);
}
