// y[r][i] = (x[r][i] - mean) / √(Σ_j (x[r][j] - mean)²/n + eps) · w[i] + b[i], mean that of x[r]: x [rows, n], w and b [n];
// b null for none. Kernels and grids: those of norm.h but for the wave's. Numerics: the row is summed as its squares are
// there, then what differs from the mean is normalized in float. Reference: ops_ref/norm.go. Launched by layer_norm.go.
#include "norm.h"

struct layer_row {
  struct Side {
    f32x4 w, b;
  };
  const f32x4 *x, *w, *b;
  f32x4* y;
  u32 n;
  float eps, mean;
  DEV_METHOD f32x4 load(u32 i) { return x[i] - mean; }
  DEV_METHOD Side side(u32 i) { return {w[i], b ? b[i] : f32x4{}}; }
  DEV_METHOD float factor(float sum) { return rms_factor(sum, n, eps); }
  DEV_METHOD f32x4 store(u32 i, f32x4 v, Side s, float scale) {
    v = v * scale * s.w + s.b;
    if (y) y[i] = v;
    return v;
  }
};

KERNEL(512) layer_norm_f32_row(const float* RESTRICT x, const float* RESTRICT w, const float* RESTRICT b, float* RESTRICT y, void* RESTRICT codes, float* RESTRICT scales,
                               int form, u32 rows, u32 n, float eps) {
  LDS float part[32], sums[16];
  u32 r = (u32)block_x();
  const f32x4* row = vectors_at(x, r, n);
  float sum = 0;
  for (u32 i = tid(); i < n / 4; i += 512) sum += (row[i][0] + row[i][1]) + (row[i][2] + row[i][3]);
  sum = block_sum<16>(sum, sums);
  layer_row l{row, vectors_at(w, 0, n), b ? vectors_at(b, 0, n) : 0, vectors_at(y, r, n), n, eps, sum / (float)n};
  norm_vectors<512>(l, n, tid(), part, r * (n / 4), norm_out{codes, scales, rows * n, form});
}

KERNEL(256) layer_norm_f32_block(const float* RESTRICT x, const float* RESTRICT w, const float* RESTRICT b, float* RESTRICT y, u32 n, float eps) {
  LDS float part[8], squares[8];
  x += (u64)block_x() * n, y += (u64)block_x() * n;
  float mean = 0, sum = 0;
  for (u32 i = tid(); i < n; i += 256) mean += x[i];
  mean = block_sum<8>(mean, part) / (float)n;
  for (u32 i = tid(); i < n; i += 256) sum = __builtin_fmaf(x[i] - mean, x[i] - mean, sum);
  float s = rms_factor(block_sum<8>(sum, squares), n, eps);
  for (u32 i = tid(); i < n; i += 256) y[i] = rms_scale(x[i] - mean, w[i], s) + (b ? b[i] : 0);
}
