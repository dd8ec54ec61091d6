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
  return {vectors_at(sum, t, n), vectors_at(wn, 0, n), vectors_at(out, t, n), n, eps};
}

// norm_of_wave makes the norm of a row by one wave, in the order of sums of norm_vectors with `threads` threads.
DEV void norm_of_wave(sum_row row, u32 n, u32 threads, u32 first, norm_out out) {
  const u32 vectors = n / 4;
  float s = 0;
  UNROLL_4 for (u32 w = 0; w < 16; w++) { // what a wave of these threads sums
    float p = 0;
    UNROLL for (u32 j = 0; j < NORM_VECTORS; j++) {
      u32 i = j * threads + w * 32 + lane();
      bool mine = w * 32 < threads && i < vectors;
      if (j * threads < vectors) p = mine ? sum_squares(row.load(mine ? i : 0), p) : p;
    }
    s += wave_sum(p);
  }
  s = row.factor(s);
  for (u32 i0 = lane(); i0 < vectors; i0 += 64) {
    f32x4 v[2], side[2];
    UNROLL for (u32 j = 0; j < 2; j++) {
      u32 i = i0 + 32 * j < vectors ? i0 + 32 * j : i0;
      v[j] = row.load(i), side[j] = row.side(i);
    }
    UNROLL for (u32 j = 0; j < 2; j++) {
      u32 i = i0 + 32 * j;
      if (i >= vectors) break;
      f32x4 y = row.store(i, v[j], side[j], s);
      if (out.form == form_codes) q24_vectors(y, first + i, q24_out{(i8*)out.codes, out.scales, out.elements});
    }
  }
}

// sum_norms normalizes rows of n floats, a multiple of 4 up to 8192, with weights wn, all threads of a block of 256 together, in
// the order of the kernels of norm.h: one row with all threads, else a wave each of up to 8, which SEVERAL allows. part is LDS
// of 32. out may be null, where nothing reads it but its codes, the only form of codes that it can have.
template <bool SEVERAL>
DEV void sum_norms(int rows, const float* sum, const float* wn, float* out, u32 n, float eps, float* part, norm_out codes) {
  const int t = wave();
  if (SEVERAL || n <= 512) {
    if (t < rows) norm_of_wave(sum_row_of(t, sum, wn, out, n, eps), n, n <= 512 ? 32 : 512, t * (n / 4), codes);
    return;
  }
  norm_vectors<512, 256>(sum_row_of(0, sum, wn, out, n, eps), n, tid(), part, 0, codes);
}
