// TQ2_0: qs[64], two bits an element; d f16; y = d·(q-1). See tensor/quant/tq2_0.go.
#pragma once
#include "quant.h"

struct tq2_0 {
  enum { block = 256, bytes = 66, element = 0 };
  DEV void get(const u8* b, u32 i, group& y) {
    float d = half_at(b + 64);
    octet q = octet_2(b + 32 * (i >> 4) + 8 * (i & 3)) >> 2 * (i >> 2 & 3) & 0x03030303;
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)(byte_of(q, j) - 1);
  }
};
