// Q4_0: d f16; qs[16] nibbles; y = d·(q-8). See tensor/quant/q4_0.go.
#pragma once
#include "quant.h"

struct q4_0 {
  enum { block = 32, bytes = 18, element = 0 };
  DEV void get(const u8* b, u32 i, group& y) {
    float d = half_at(b);
    octet q = nibbles(octet_2(b + 2 + 8 * (i & 1)), i);
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)(byte_of(q, j) - 8);
  }
};
