// F16: see tensor/quant/f16.go.
#pragma once
#include "quant.h"

struct f16 {
  enum { block = 8, bytes = 16, element = 1 };
  DEV float at(const u8* row, int i) { return half_at(row + 2 * (i64)i); }
  DEV void get(const u8* b, u32, group& y) {
    half8 v = *(const half8*)b;
    UNROLL for (int j = 0; j < 8; j++) y[j] = (float)v[j];
  }
};
