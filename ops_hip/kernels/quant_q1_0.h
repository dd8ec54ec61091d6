// Q1_0: d f16; qs[16], a sign bit an element. See tensor/quant/q1_0.go.
#pragma once
#include "quant.h"

struct q1_0 {
  enum { block = 128, bytes = 18, element = 0 };
  DEV void get(const u8* b, u32 i, group& y) {
    float d = half_at(b);
    int q = b[2 + i];
    UNROLL for (int j = 0; j < 8; j++) y[j] = q >> j & 1 ? d : -d;
  }
};
