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

// norm_of_wave is norm_vectors<512> by one wave, so that several make their rows at a time.
DEV void norm_of_wave(sum_row row, u32 n, u32 first, norm_out out) {
  const u32 vectors = n / 4;
  float s = 0;
  UNROLL_4 for (u32 w = 0; w < 16; w++) { // what wave w of 512 threads sums
    float p = 0;
    UNROLL for (u32 j = 0; j < NORM_VECTORS; j++) {
      u32 i = j * 512 + w * 32 + lane();
      if (j * 512 < vectors) p = i < vectors ? sum_squares(row.load(i < vectors ? i : 0), p) : p;
    }
    s += wave_sum(p);
  }
  s = row.factor(s);
  for (u32 i0 = lane(); i0 < vectors; i0 += 128) {
    f32x4 v[4], side[4];
    UNROLL for (u32 j = 0; j < 4; j++) {
      u32 i = i0 + 32 * j < vectors ? i0 + 32 * j : i0;
      v[j] = row.load(i), side[j] = row.side(i);
    }
    UNROLL for (u32 j = 0; j < 4; j++) {
      u32 i = i0 + 32 * j;
      if (i >= vectors) break;
      f32x4 y = row.store(i, v[j], side[j], s);
      if (out.form == form_codes) q24_vectors(y, first + i, q24_out{(i8*)out.codes, out.scales, out.elements});
    }
  }
}

// sum_norms normalizes rows of n floats, a multiple of 4 up to 8192, with weights wn, all threads of a block of 256 together, in
// the order of the kernels of norm.h. There are up to 8 rows, or one unless SEVERAL. out may be null, where nothing reads it
// but its codes, the only form of codes that it can have.
template <bool SEVERAL>
DEV void sum_norms(int rows, const float* sum, const float* wn, float* out, u32 n, float eps, float (*part)[32], norm_out codes) {
  if (n <= 512) { // as a wave does
    NO_UNROLL for (int t = wave(); t < rows; t += 8) norm_vectors<32>(sum_row_of(t, sum, wn, out, n, eps), n, lane(), 0, t * (n / 4), codes);
    return;
  }
  if (SEVERAL && rows > 3) {
    if ((int)wave() < rows) norm_of_wave(sum_row_of(wave(), sum, wn, out, n, eps), n, wave() * (n / 4), codes);
    return;
  }
  NO_UNROLL for (int t = 0; t < rows; t++) norm_vectors<512, 256>(sum_row_of(t, sum, wn, out, n, eps), n, tid(), part[t & 1], t * (n / 4), codes);
}
