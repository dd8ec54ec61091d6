// Q5_0: d f16; qh u32, a fifth bit an element; qs[16] nibbles; y = d·(q-16). See tensor/quant/q5_0.go.
#pragma once
#include "quant.h"

struct q5_0 {
  enum { block = 32, bytes = 22, element = 0 };
  DEV void get(const u8* b, u32 i, group& y) {
    float d = half_at(b);
    u32 high = load32_2(b + 2) >> 8 * i;
    octet q = nibbles(octet_2(b + 6 + 8 * (i & 1)), i);
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)((byte_of(q, j) | (int)(high >> j & 1) << 4) - 16);
  }
};
