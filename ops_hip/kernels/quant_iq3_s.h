// IQ3_S: d f16; qs[64], a grid index for four elements; qh[8], a ninth bit of eight indices; signs[32]; scales[4]
// nibbles. See tensor/quant/iq3_s.go.
#pragma once
#include "quant_iq_grid.h"

struct iq3_s {
  enum { block = 256, bytes = 110, element = 0 };
  DEV void get(const u8* b, u32 i, group& y) {
    u32 q = load16(b + 2 + 2 * i), high = b[66 + (i >> 2)] >> 2 * (i & 3);
    float d = half_at(b) * (float)(1 + 2 * (b[106 + (i >> 3)] >> 4 * (i >> 2 & 1) & 15));
    put_iq3_s(y, grid_iq3_s[q & 255 | (high & 1) << 8], grid_iq3_s[q >> 8 | (high >> 1 & 1) << 8], d, b[74 + i]);
  }
};
