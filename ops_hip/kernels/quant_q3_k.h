// Q3_K: hmask[32], a third bit an element; qs[64], two bits; scales[12], six bits each; d f16; y = d·(scale-32)·
// (q-4). See tensor/quant/q3_k.go.
#pragma once
#include "quant.h"

struct q3_k {
  enum { block = 256, bytes = 110, element = 0 };
  DEV int scale(const u8* b, int s) {
    return (b[s & 7] >> 4 * (s >> 3) & 15 | (b[8 + (s & 3)] >> 2 * (s >> 2) & 3) << 4) - 32;
  }
  DEV void get(const u8* b, u32 i, group& y) {
    float d = half_at(b + 108) * (float)scale(b + 96, i >> 1);
    octet low = octet_2(b + 32 + 32 * (i >> 4) + 8 * (i & 3)) >> 2 * (i >> 2 & 3) & 0x03030303;
    octet high = octet_2(b + 8 * (i & 3)) >> (i >> 2) & 0x01010101;
    octet q = low | high << 2;
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)(byte_of(q, j) - 4);
  }
};
