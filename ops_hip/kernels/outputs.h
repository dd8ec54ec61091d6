// Products of one input with up to four weight matrices in one launch: their blocks lie one behind the other along one dimension of
// the grid, ⌈n/rows⌉ for each.
#pragma once
#include "gpu.h"

// output is a weight matrix of n rows, what to do with the product, and the block of it that this one is.
struct output {
  const u8* w;
  float* y;
  int n, index, block;
};

// OUTPUTS are the parameters of a kernel that name them; those that are not there have no rows.
#define OUTPUTS                                                                                                          \
  const u8 *RESTRICT w0, float *RESTRICT y0, const u8 *RESTRICT w1, float *RESTRICT y1, const u8 *RESTRICT w2,           \
      float *RESTRICT y2, const u8 *RESTRICT w3, float *RESTRICT y3, int n0, int n1, int n2, int n3

// OUTPUT is the output that this block belongs to, of blocks of the given number of rows along x; OUTPUT_Y along y.
#define OUTPUT(rows) OUTPUT_AT(block_x(), rows)
#define OUTPUT_Y(rows) OUTPUT_AT(block_y(), rows)
#define OUTPUT_AT(b, rows) output_of(b, rows, w0, y0, w1, y1, w2, y2, w3, y3, n0, n1, n2, n3)

DEV output output_of(int b, int rows, const u8* w0, float* y0, const u8* w1, float* y1, const u8* w2, float* y2, const u8* w3, float* y3,
                     int n0, int n1, int n2, int n3) {
  int a = (n0 + rows - 1) / rows;
  output o = {w0, y0, n0, 0, b};
  if (b >= a) {
    b -= a, a = (n1 + rows - 1) / rows;
    o = output{w1, y1, n1, 1, b};
    if (b >= a) {
      b -= a, a = (n2 + rows - 1) / rows;
      o = output{w2, y2, n2, 2, b};
      if (b >= a) o = output{w3, y3, n3, 3, b - a};
    }
  }
  return o;
}
