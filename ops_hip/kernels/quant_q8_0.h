// Q8_0: d f16; q int8[32]; y = d·q. See tensor/quant/q8_0.go.
#pragma once
#include "quant.h"

struct q8_0 {
  enum { block = 32, bytes = 34, element = 0 };
  DEV float at(const u8* row, int i) {
    const u8* b = row + (i64)(i >> 5) * bytes;
    return half_at(b) * (float)(i8)b[2 + (i & 31)];
  }
  DEV void get(const u8* b, u32 i, group& y) {
    float d = half_at(b);
    octet q = octet_2(b + 2 + 8 * i);
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)sbyte_of(q, j);
  }
};
