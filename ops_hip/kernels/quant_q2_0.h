// Q2_0: d f16; qs[16], two bits an element; y = d·(q-1). See tensor/quant/q2_0.go.
#pragma once
#include "quant.h"

struct q2_0 {
  enum { block = 64, bytes = 18, element = 0 };
  DEV void get(const u8* b, u32 i, group& y) {
    float d = half_at(b);
    int q = load16(b + 2 + 2 * i);
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)((q >> 2 * j & 3) - 1);
  }
};
