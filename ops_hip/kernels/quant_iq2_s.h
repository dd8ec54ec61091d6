// IQ2_S: d f16; qs[32], grid indices; signs[32]; qh[8], two more bits of four indices; scales[8] nibbles. See
// tensor/quant/iq2_s.go.
#pragma once
#include "quant_iq_grid.h"

struct iq2_s {
  enum { block = 256, bytes = 82, element = 0 };
  DEV void get(const u8* b, u32 i, group& y) {
    int index = b[2 + i] | (b[66 + (i >> 2)] >> 2 * (i & 3) & 3) << 8;
    float d = half_at(b) * (0.5f + (float)(b[74 + (i >> 2)] >> 4 * (i >> 1 & 1) & 15)) * 0.25f;
    put_iq2(y, grid_iq2_s[index], d, b[34 + i]);
  }
};
