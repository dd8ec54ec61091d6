// y[r][i] = rms_norm of x with weights w and eps, times silu(gate[r][i]): x, gate [rows, n], w [n]. The bits of rms_norm,
// silu and mul.
// Kernels, grids and numerics: see norm.h; there is none for any n. Reference: the expansion. Launched by gated_rms_norm.go.
#include "norm.h"

struct gated_rms_row {
  struct Side {
    f32x4 w, gate;
  };
  const f32x4 *x, *w, *gate;
  f32x4* y;
  u32 n;
  float eps;
  DEV_METHOD f32x4 load(u32 i) { return x[i]; }
  DEV_METHOD Side side(u32 i) { return {w[i], gate[i]}; }
  DEV_METHOD float factor(float sum) { return rms_factor(sum, n, eps); }
  DEV_METHOD f32x4 store(u32 i, f32x4 v, Side s, float factor) {
    f32x4 g;
    UNROLL for (int e = 0; e < 4; e++) g[e] = silu_f(s.gate[e]);
    return y[i] = rms_scale(v, s.w, factor) * g;
  }
};

#define PARAMS const float *RESTRICT x, const float *RESTRICT w, const float *RESTRICT gate, float *RESTRICT y
NORM_KERNELS(gated_rms_norm, PARAMS,
             (gated_rms_row{vectors_at(x, r, n), vectors_at(w, 0, n), vectors_at(gate, r, n), vectors_at(y, r, n), n, eps}))
