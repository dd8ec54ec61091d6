// F32: see tensor/quant/f32.go.
#pragma once
#include "quant.h"

struct f32 {
  enum { block = 8, bytes = 32, element = 1 };
  DEV float at(const u8* row, int i) { return ((const float*)row)[i]; }
  DEV void get(const u8* b, u32, group& y) {
    f32x4 lo = ((const f32x4*)b)[0], hi = ((const f32x4*)b)[1];
    UNROLL for (int j = 0; j < 4; j++) y[j] = lo[j], y[j + 4] = hi[j];
  }
};
