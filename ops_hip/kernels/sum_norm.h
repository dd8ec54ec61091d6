// The RMS norms of rows that the blocks of a launch have summed, by the last of them.
#pragma once
#include "norm.h"

// sum_row is a Row of what was summed.
struct sum_row {
  typedef f32x4 Side;
  const f32x4 *sum, *w;
  f32x4* out;
  u32 n;
  float eps;
  DEV_METHOD f32x4 load(u32 i) { return sum[i]; }
  DEV_METHOD Side side(u32 i) { return w[i]; }
  DEV_METHOD float factor(float squares) { return rms_factor(squares, n, eps); }
  DEV_METHOD f32x4 store(u32 i, f32x4 v, Side weight, float s) {
    f32x4 y = rms_scale(v, weight, s);
    if (out) out[i] = y;
    return y;
  }
};

DEV sum_row sum_row_of(int t, const float* sum, const float* wn, float* out, u32 n, float eps) {
  return {vectors_at(sum, t, n), vectors_at(wn, 0, n), out ? vectors_at(out, t, n) : 0, n, eps};
}

// sum_norms normalizes rows of n floats, a multiple of 4 up to 8192, with weights wn, all threads of a block of 256 together, in
// the order of the kernels of norm.h. out may be null, where nothing reads it but its codes.
DEV void sum_norms(int rows, const float* sum, const float* wn, float* out, u32 n, float eps, float (*part)[16], q24_out codes) {
  if (n <= 512) { // as a wave does
    NO_UNROLL for (int t = wave(); t < rows; t += 8) norm_vectors<32>(sum_row_of(t, sum, wn, out, n, eps), n, lane(), 0, t * (n / 4), codes);
    return;
  }
  NO_UNROLL for (int t = 0; t < rows; t++) norm_vectors<512, 256>(sum_row_of(t, sum, wn, out, n, eps), n, tid(), part[t & 1], t * (n / 4), codes);
}
