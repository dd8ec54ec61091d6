// sum[r][i] = x[r][i] + y[r][i], out = rms_norm of sum with weights w and eps: x, y [rows, n], w [n]. The bits of add and
// rms_norm.
// Kernels, grids and numerics: see norm.h; there is none for any n. Reference: the expansion. Launched by add_rms_norm.go.
#include "norm.h"

struct add_rms_row {
  typedef f32x4 Side;
  const f32x4 *x, *y, *w;
  f32x4 *sum, *out;
  u32 n;
  float eps;
  DEV_METHOD f32x4 load(u32 i) { return x[i] + y[i]; }
  DEV_METHOD Side side(u32 i) { return w[i]; }
  DEV_METHOD float factor(float squares) { return rms_factor(squares, n, eps); }
  DEV_METHOD f32x4 store(u32 i, f32x4 v, Side weight, float s) {
    sum[i] = v;
    v = rms_scale(v, weight, s);
    if (out) out[i] = v;
    return v;
  }
};

#define PARAMS const float *RESTRICT x, const float *RESTRICT y, const float *RESTRICT w, float *RESTRICT sum, float *RESTRICT out
NORM_KERNELS(add_rms_norm, PARAMS,
             (add_rms_row{vectors_at(x, r, n), vectors_at(y, r, n), vectors_at(w, 0, n), vectors_at(sum, r, n), vectors_at(out, r, n), n, eps}))
