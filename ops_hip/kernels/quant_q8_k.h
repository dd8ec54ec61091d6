// Q8_K: d f32; q int8[256]; sums int16[16]; y = d·q. See tensor/quant/q8_k.go.
#pragma once
#include "quant.h"

struct q8_k {
  enum { block = 256, bytes = 292, element = 0 };
  DEV void get(const u8* b, u32 i, group& y) {
    float d = *(const float*)b;
    octet q = octet_4(b + 4 + 8 * i);
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)sbyte_of(q, j);
  }
};
