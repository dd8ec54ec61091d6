// The shape of normalizations: rows of n floats are scaled by a factor of the sum of their squares. Two kernels:
//
//   <name>_f32_wave    Grid ⌈rows/4⌉, blocks of 128, a wave for a row: for short rows. No LDS.
//   <name>_f32_block   Grid rows, blocks of 256. LDS 32 bytes.
//
// Squares are summed in float per thread in order, then in a tree over the lanes, then wave by wave.
#pragma once
#include "math.h"

// sum_squares returns the share of thread t of `threads`.
DEV float sum_squares(const float* x, u32 n, u32 t, u32 threads) {
  float s = 0;
  for (u32 i = t; i < n; i += threads) s = __builtin_fmaf(x[i], x[i], s);
  return s;
}
