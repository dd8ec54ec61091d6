// IQ1_S: d f16; qs[32], grid indices; qh u16[8], three more bits of four indices, scale, sign of delta. See
// tensor/quant/iq1_s.go.
#pragma once
#include "quant_iq_grid.h"

struct iq1_s {
  enum { block = 256, bytes = 50, element = 0 };
  DEV void get(const u8* b, u32 i, group& y) {
    int h = load16(b + 34 + 2 * (i >> 2));
    int index = b[2 + i] | (h >> 3 * (i & 3) & 7) << 8;
    put_iq1(y, grid_iq1_s[index], half_at(b) * (float)(2 * (h >> 12 & 7) + 1), h & 0x8000 ? -0.125f : 0.125f);
  }
};
