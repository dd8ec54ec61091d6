// IQ1_M: qs[32], grid indices; qh[16], a nibble an index: three more bits and the sign of delta; scales u16[4], four
// 3-bit scales and a nibble of d each. See tensor/quant/iq1_m.go.
#pragma once
#include "quant_iq_grid.h"

struct iq1_m {
  enum { block = 256, bytes = 56, element = 0 };
  DEV void get(const u8* b, u32 i, group& y) {
    u32 lo = load32(b + 48), hi = load32(b + 52);
    u32 word_d = lo >> 12 & 15 | lo >> 28 << 4 | (hi >> 12 & 15) << 8 | hi >> 28 << 12;
    u32 word = load16(b + 48 + 2 * (i >> 3));
    float d = (float)bits<half>((u16)word_d) * (float)(2 * (word >> 3 * (i >> 1 & 3) & 7) + 1);
    int nibble = b[32 + (i >> 1)] >> 4 * (i & 1);
    put_iq1(y, grid_iq1_s[b[i] | (nibble & 7) << 8], d, nibble & 8 ? -0.125f : 0.125f);
  }
};
