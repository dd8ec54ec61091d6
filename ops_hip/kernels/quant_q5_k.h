// Q5_K: d, dmin f16; scales[12]; qh[32], a fifth bit an element; qs[128] nibbles; y = d·scale·q - dmin·min. See
// tensor/quant/q5_k.go.
#pragma once
#include "quant_k_scales.h"

struct q5_k {
  enum { block = 256, bytes = 176, element = 0 };
  DEV void get(const u8* b, u32 i, group& y) {
    int s = i >> 2, scale, min;
    scale_min(b + 4, s, scale, min);
    float d = half_at(b) * (float)scale, m = half_at(b + 2) * (float)min;
    octet low = octet_4(b + 48 + 32 * (s >> 1) + 8 * (i & 3)) >> 4 * (s & 1) & 0x0f0f0f0f;
    octet high = octet_4(b + 16 + 8 * (i & 3)) >> s & 0x01010101;
    octet q = low | high << 4;
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)byte_of(q, j) - m;
  }
};
