// sum[r][i] = h[r][i] + Σ_j weights[r][j]·z[r][j][i], out = rms_norm of sum with weights w and eps: h [rows, n], z [rows, choices,
// n], weights [rows, choices], w [n]. The bits of weighted_sum, add and rms_norm.
// Kernels, grids and numerics: see norm.h; there is none for any n. out may be null, where nothing reads it but its codes.
// Reference: the expansion. Launched by mixture.go.
#include "norm.h"

struct mixture_row {
  typedef f32x4 Side;
  const f32x4 *h, *z, *w;
  const float* weights;
  f32x4 *sum, *out;
  u32 choices, n;
  float eps;
  DEV_METHOD f32x4 load(u32 i) {
    f32x4 s = 0;
    NO_UNROLL for (u32 j = 0; j < choices; j++) {
      f32x4 v = z[(u64)j * (n / 4) + i];
      UNROLL for (int e = 0; e < 4; e++) s[e] = __builtin_fmaf(weights[j], v[e], s[e]);
    }
    return h[i] + s;
  }
  DEV_METHOD Side side(u32 i) { return w[i]; }
  DEV_METHOD float factor(float squares) { return rms_factor(squares, n, eps); }
  DEV_METHOD f32x4 store(u32 i, f32x4 v, Side weight, float s) {
    sum[i] = v;
    f32x4 y = rms_scale(v, weight, s);
    if (out) out[i] = y;
    return y;
  }
};

#define PARAMS                                                                                                          \
  const float *RESTRICT h, const float *RESTRICT z, const float *RESTRICT weights, const float *RESTRICT w,             \
      float *RESTRICT sum, float *RESTRICT out, u32 choices
NORM_KERNELS(mixture_norm, PARAMS,
             (mixture_row{vectors_at(h, r, n), vectors_at(z, r * choices, n), vectors_at(w, 0, n), weights + (u64)r * choices, vectors_at(sum, r, n),
                          vectors_at(out, r, n), choices, n, eps}))
