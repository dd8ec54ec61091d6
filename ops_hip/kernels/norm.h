// The shape of normalizations: rows of n floats are scaled by a factor of the sum of their squares. Three kernels:
//
//   <name>_f32_wave    n a multiple of 4, up to 512. Grid ⌈rows/4⌉, blocks of 128, a wave for a row. No LDS.
//   <name>_f32_row     n a multiple of 4, up to 8192. Grid rows, blocks of 512. LDS 128 bytes.
//   <name>_f32_block   Any n. Grid rows, blocks of 256. LDS 32 bytes.
//
// A decoded token is a single row, whose time is that of the loads that wait for each other. So in the first two a thread
// asks for all that it needs, up to four vectors of 16 bytes of each operand, before it uses any, and keeps them in
// registers; thread t of T has the vectors t, t+T, ... of the row.
//
// Squares are summed in float per thread in order, then in a tree over the lanes, then wave by wave. Fused kernels sum in
// the order of the norm alone, so that they give its bits.
//
// Where products read the first result of a norm, the first two also write it in the form that those read (norm_form): 24-bit
// codes (q24.h), for which n is a multiple of 128 so that lanes of a wave do the same, or halves (halves.h).
#pragma once
#include "halves.h"
#include "math.h"
#include "q24.h"

#define NORM_VECTORS 4

// sum_squares returns the share of thread t of `threads`.
DEV float sum_squares(const float* x, u32 n, u32 t, u32 threads) {
  float s = 0;
  for (u32 i = t; i < n; i += threads) s = __builtin_fmaf(x[i], x[i], s);
  return s;
}

DEV float sum_squares(f32x4 v, float s) {
  UNROLL for (int e = 0; e < 4; e++) s = __builtin_fmaf(v[e], v[e], s);
  return s;
}

enum norm_form { no_form, form_codes, form_halves, form_halves_rest };

// norm_out is where a result of `elements` goes in a norm_form: codes as those of q24_out, or halves and inverse scales, the
// halves with as many behind them of what rounding took.
struct norm_out {
  void* codes;
  float* scales;
  u32 elements;
  int form;
};

// norm_vectors normalizes a row of n floats with T threads, of which t is one: all of a wave (part is null), or of a block. A
// block of REAL threads, of which t is one, may stand for T: each for those of t, t+REAL, ...
// A Row has
//   load(i)           vector i of what is normalized
//   side(i)           what else store needs of the operands at i, of type Row::Side
//   factor(sum)       the factor of the row, from the sum of its squares
//   store(i, v, side, factor)   returns what it stored
// The row starts at vector `first` of out. part has T/16 floats; they may be used anew after the next barrier.
template <int T, int REAL, class Row> DEV void norm_vectors(Row row, u32 n, u32 t0, float* part, u32 first, norm_out out) {
  constexpr int EACH = T / REAL;
  u32 vectors = n / 4;
  f32x4 v[EACH][NORM_VECTORS];
  typename Row::Side side[EACH][NORM_VECTORS];
  UNROLL for (int q = 0; q < EACH; q++)
    UNROLL for (int j = 0; j < NORM_VECTORS; j++) {
      v[q][j] = 0;
      side[q][j] = {};
      if (j * T >= vectors) continue; // the same for all threads
      u32 i = t0 + q * REAL + j * T, last = vectors - 1;
      i = i < last ? i : last; // threads beyond the row read its end, so that no load waits for a branch
      v[q][j] = row.load(i);
      side[q][j] = row.side(i);
    }
  float sum[EACH];
  UNROLL for (int q = 0; q < EACH; q++) {
    float s = 0;
    UNROLL for (int j = 0; j < NORM_VECTORS; j++) s = t0 + q * REAL + j * T < vectors ? sum_squares(v[q][j], s) : s;
    sum[q] = wave_sum(s);
  }
  float s = sum[0];
  if constexpr (T > 32) {
    UNROLL for (int q = 0; q < EACH; q++)
      if (lane() == 0) part[wave() + q * (REAL / 32)] = sum[q];
    barrier();
    s = part[0];
    UNROLL for (int i = 1; i < T / 32; i++) s += part[i];
  }
  s = row.factor(s);
  float m = 0;
  UNROLL for (int q = 0; q < EACH; q++)
    UNROLL for (int j = 0; j < NORM_VECTORS; j++) {
      u32 i = t0 + q * REAL + j * T;
      if (i >= vectors) continue;
      f32x4 y = v[q][j] = row.store(i, v[q][j], side[q][j], s);
      if (out.form == form_codes) q24_vectors(y, first + i, q24_out{(i8*)out.codes, out.scales, out.elements});
      UNROLL for (int k = 0; k < 4; k++) m = __builtin_fmaxf(m, __builtin_fabsf(y[k]));
    }
  if (out.form < form_halves) return;
  m = wave_max(m);
  if constexpr (T > 32) {
    float* most = part + T / 32;
    if (lane() == 0) most[wave()] = m;
    barrier();
    UNROLL for (int i = 0; i < REAL / 32; i++) m = __builtin_fmaxf(m, most[i]);
  }
  float unscale, scale = half_scale(m, unscale);
  half* halves = (half*)out.codes;
  half* low = out.form == form_halves_rest ? halves + out.elements : 0;
  UNROLL for (int q = 0; q < EACH; q++)
    UNROLL for (int j = 0; j < NORM_VECTORS; j++) {
      u64 i = t0 + q * REAL + j * T;
      if (i < vectors) half4_at(halves + 4 * (first + i), low ? low + 4 * (first + i) : 0, v[q][j] * scale);
    }
  if (t0 == 0) out.scales[first / vectors] = unscale;
}
template <int T, class Row> DEV void norm_vectors(Row row, u32 n, u32 t, float* part, u32 first, norm_out out) {
  norm_vectors<T, T>(row, n, t, part, first, out);
}

// NORM_KERNELS defines <name>_f32_wave and _row over a Row that ROW makes for row r.
#define NORM_KERNELS(name, PARAMS, ROW)                                                                                     \
  KERNEL(128) name##_f32_wave(PARAMS, void* RESTRICT codes, float* RESTRICT scales, int form, u32 rows, u32 n, float eps) { \
    u32 r = (u32)block_x() * 4 + wave();                                                                                    \
    if (r >= rows) return;                                                                                                  \
    norm_vectors<32>(ROW, n, lane(), 0, r * (n / 4), norm_out{codes, scales, rows * n, form});                              \
  }                                                                                                                         \
  KERNEL(512) name##_f32_row(PARAMS, void* RESTRICT codes, float* RESTRICT scales, int form, u32 rows, u32 n, float eps) {  \
    LDS float part[32];                                                                                                     \
    u32 r = (u32)block_x();                                                                                                 \
    norm_vectors<512>(ROW, n, tid(), part, r * (n / 4), norm_out{codes, scales, rows * n, form});                           \
  }

// vectors_at returns row r of x.
DEV const f32x4* vectors_at(const float* x, u32 r, u32 n) { return (const f32x4*)(x + (u64)r * n); }
DEV f32x4* vectors_at(float* x, u32 r, u32 n) { return x ? (f32x4*)(x + (u64)r * n) : 0; } // null: nothing is written

// rms_factor and rms_scale are what RMS norms do with a sum of squares, and with an element.
DEV float rms_factor(float sum, u32 n, float eps) { return rsqrt(sum / (float)n + eps); }
template <class V> DEV V rms_scale(V x, V w, float s) { return x * s * w; }

// head_squares is a Row that leaves what it sums.
struct head_squares {
  struct Side {};
  const f32x4* x;
  float* sum;
  DEV_METHOD f32x4 load(u32 i) { return x[i]; }
  DEV_METHOD Side side(u32) { return {}; }
  DEV_METHOD float factor(float s) { return *sum = s; }
  DEV_METHOD f32x4 store(u32, f32x4 v, Side, float) { return v; }
};
