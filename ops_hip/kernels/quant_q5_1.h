// Q5_1: d, m f16; qh u32, a fifth bit an element; qs[16] nibbles; y = d·q + m. See tensor/quant/q5_1.go.
#pragma once
#include "quant.h"

struct q5_1 {
  enum { block = 32, bytes = 24, element = 0 };
  DEV void get(const u8* b, u32 i, group& y) {
    float d = half_at(b), m = half_at(b + 2);
    u32 high = load32(b + 4) >> 8 * i;
    octet q = nibbles(octet_4(b + 8 + 8 * (i & 1)), i);
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)(byte_of(q, j) | (int)(high >> j & 1) << 4) + m;
  }
};
