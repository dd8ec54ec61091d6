// BF16: see tensor/quant/bf16.go.
#pragma once
#include "quant.h"

struct bf16 {
  enum { block = 8, bytes = 16, element = 1 };
  DEV float at(const u8* row, int i) { return bhalf_at(row + 2 * (i64)i); }
  DEV void get(const u8* b, u32, group& y) {
    u32x4 v = *(const u32x4*)b;
    UNROLL for (int j = 0; j < 4; j++) y[2 * j] = bits<float>(v[j] << 16), y[2 * j + 1] = bits<float>(v[j] & 0xffff0000);
  }
};
