// Q4_K: d, dmin f16; scales[12]; qs[128] nibbles; y = d·scale·q - dmin·min. See tensor/quant/q4_k.go.
#pragma once
#include "quant_k_scales.h"

struct q4_k {
  enum { block = 256, bytes = 144, element = 0 };
  DEV void get(const u8* b, u32 i, group& y) {
    int s = i >> 2, scale, min;
    scale_min(b + 4, s, scale, min);
    float d = half_at(b) * (float)scale, m = half_at(b + 2) * (float)min;
    octet q = octet_4(b + 16 + 32 * (s >> 1) + 8 * (i & 3)) >> 4 * (s & 1) & 0x0f0f0f0f;
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)byte_of(q, j) - m;
  }
};
