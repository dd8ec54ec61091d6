// Q2_K: scales[16], a nibble each of scale and min; qs[64], two bits an element; d, dmin f16; y = d·scale·q -
// dmin·min. See tensor/quant/q2_k.go.
#pragma once
#include "quant.h"

struct q2_k {
  enum { block = 256, bytes = 84, element = 0 };
  DEV void get(const u8* b, u32 i, group& y) {
    int s = b[i >> 1];
    float d = half_at(b + 80) * (float)(s & 15), m = half_at(b + 82) * (float)(s >> 4);
    octet q = octet_4(b + 16 + 32 * (i >> 4) + 8 * (i & 3)) >> 2 * (i >> 2 & 3) & 0x03030303;
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)byte_of(q, j) - m;
  }
};
