// Activations as halves, the form that matrix kernels read: see mul_mat_x_f16 in mul_mat_x.hip. Kernels whose results are read
// so alone write the halves themselves.
#pragma once
#include "gpu.h"

typedef half half4 __attribute__((ext_vector_type(4)));

// rest returns what v lacks to x, the rounded v, or 0 if x is infinite or NaN.
DEV float rest(float v, float x) {
  float r = v - x;
  return r == r ? r : 0;
}

// half_scale returns the power of two by which a row is multiplied whose largest magnitude is m, such that it gets into
// [2^14, 2^15): no activation overflows a half, and those down to 2^-28 of the largest keep full precision. unscale is the
// inverse.
DEV float half_scale(float m, float& unscale) {
  int e = (int)(bits<u32>(m) >> 23) - 127; // floor(log2 m); -127 for zero and subnormals, 128 for infinities
  e = e < -100 ? -100 : e > 126 ? 126 : e;
  unscale = bits<float>((u32)(127 - 14 + e) << 23);
  return bits<float>((u32)(127 + 14 - e) << 23);
}

// half4_at writes four scaled elements and, unless low is null, what rounding took from them.
DEV void half4_at(half* y, half* low, f32x4 v) {
  half4 h, l;
  UNROLL for (int k = 0; k < 4; k++) {
    h[k] = (half)v[k];
    l[k] = (half)rest(v[k], (float)h[k]);
  }
  *(half4*)y = h;
  if (low) *(half4*)low = l;
}
