// The shape of normalizations: rows of n floats are scaled by a factor of the sum of their squares. Three kernels:
//
//   <name>_f32_wave    n a multiple of 4, up to 512. Grid ⌈rows/4⌉, blocks of 128, a wave for a row. No LDS.
//   <name>_f32_row     n a multiple of 4, up to 8192. Grid rows, blocks of 512. LDS 64 bytes.
//   <name>_f32_block   Any n. Grid rows, blocks of 256. LDS 32 bytes.
//
// A decoded token is a single row, whose time is that of the loads that wait for each other. So in the first two a thread
// asks for all that it needs, up to four vectors of 16 bytes of each operand, before it uses any, and keeps them in
// registers; thread t of T has the vectors t, t+T, ... of the row.
//
// Squares are summed in float per thread in order, then in a tree over the lanes, then wave by wave. Fused kernels sum in
// the order of the norm alone, so that they give its bits.
//
// Where the first result of a norm is multiplied in integers, the first two also write its 24-bit codes (q24.h); n is then
// a multiple of 128, so that lanes of a wave do the same.
#pragma once
#include "math.h"
#include "q24.h"

#define NORM_VECTORS 4
#define DEV_METHOD inline __attribute__((device, always_inline)) // of a Row

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

// norm_vectors normalizes a row of n floats with T threads, of which t is one: all of a wave (part is null), or of a block.
// A Row has
//   load(i)           vector i of what is normalized
//   side(i)           what else store needs of the operands at i, of type Row::Side
//   factor(sum)       the factor of the row, from the sum of its squares
//   store(i, v, side, factor)   returns what it stored
// The row's codes start at vector `first` of out.
template <int T, class Row> DEV void norm_vectors(Row row, u32 n, u32 t, float* part, u32 first, q24_out out) {
  u32 vectors = n / 4;
  f32x4 v[NORM_VECTORS];
  typename Row::Side side[NORM_VECTORS];
  UNROLL for (int j = 0; j < NORM_VECTORS; j++) {
    v[j] = 0;
    side[j] = {};
    if (j * T >= vectors) continue; // the same for all threads
    u32 i = t + j * T, last = vectors - 1;
    i = i < last ? i : last; // threads beyond the row read its end, so that no load waits for a branch
    v[j] = row.load(i);
    side[j] = row.side(i);
  }
  float s = 0;
  UNROLL for (int j = 0; j < NORM_VECTORS; j++) s = t + j * T < vectors ? sum_squares(v[j], s) : s;
  if constexpr (T == 32)
    s = wave_sum(s);
  else
    s = block_sum<T / 32>(s, part);
  s = row.factor(s);
  UNROLL for (int j = 0; j < NORM_VECTORS; j++)
    if (t + j * T < vectors) {
      f32x4 y = row.store(t + j * T, v[j], side[j], s);
      if (out.codes) q24_vectors(y, first + t + j * T, out);
    }
}

// NORM_KERNELS defines <name>_f32_wave and _row over a Row that ROW makes for row r. codes may be null.
#define NORM_KERNELS(name, PARAMS, ROW)                                                                           \
  KERNEL(128) name##_f32_wave(PARAMS, i8* RESTRICT codes, float* RESTRICT ds, u32 rows, u32 n, float eps) {       \
    u32 r = (u32)block_x() * 4 + wave();                                                                          \
    if (r >= rows) return;                                                                                        \
    norm_vectors<32>(ROW, n, lane(), 0, r * (n / 4), q24_out{codes, ds, rows * n});                               \
  }                                                                                                               \
  KERNEL(512) name##_f32_row(PARAMS, i8* RESTRICT codes, float* RESTRICT ds, u32 rows, u32 n, float eps) {        \
    LDS float part[16];                                                                                           \
    u32 r = (u32)block_x();                                                                                       \
    norm_vectors<512>(ROW, n, tid(), part, r * (n / 4), q24_out{codes, ds, rows * n});                            \
  }

// vectors_at returns row r of x.
DEV const f32x4* vectors_at(const float* x, u32 r, u32 n) { return (const f32x4*)(x + (u64)r * n); }
DEV f32x4* vectors_at(float* x, u32 r, u32 n) { return (f32x4*)(x + (u64)r * n); }

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
