// Q8_1: d, s f16; q int8[32]; y = d·q. See tensor/quant/q8_1.go.
#pragma once
#include "quant.h"

struct q8_1 {
  enum { block = 32, bytes = 36, element = 0 };
  DEV void get(const u8* b, u32 i, group& y) {
    float d = half_at(b);
    octet q = octet_4(b + 4 + 8 * i);
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)sbyte_of(q, j);
  }
};
