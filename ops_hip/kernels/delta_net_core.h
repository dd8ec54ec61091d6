// The end of a DeltaNet layer: the gated norm of what the delta rule gives. See delta_net_core.hip.
#pragma once
#include "delta_net.h"

// core is what the end of the layer reads and writes.
struct core {
  const float *w, *z;
  float* y;
  q24_out out;
  float eps;
};

// core_end writes the norm of the rule's result at token t of head h, of which lane l of a wave has vector l.
DEV void core_end(const core& c, const delta& a, int t, int h, f32x4 v, f32x4 w, f32x4 z) {
  const int last = a.dv / 4 - 1, l = lane();
  float factor = rms_factor(wave_sum(l <= last ? sum_squares(v, 0) : 0), a.dv, c.eps);
  f32x4 g;
  UNROLL for (int e = 0; e < 4; e++) g[e] = silu_f(z[e]);
  v = rms_scale(v, w, factor) * g;
  u32 at = (u32)(t * a.nv + h) * (a.dv / 4) + l;
  if (l <= last) {
    if (c.y) ((f32x4*)c.y)[at] = v;
    if (c.out.codes) q24_vectors(v, at, c.out);
  }
}
