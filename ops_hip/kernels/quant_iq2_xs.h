// IQ2_XS: d f16; qs u16[32], a 9-bit grid index and a sign index; scales[8] nibbles. See tensor/quant/iq2_xs.go.
#pragma once
#include "quant_iq_grid.h"

struct iq2_xs {
  enum { block = 256, bytes = 74, element = 0 };
  DEV void get(const u8* b, u32 i, group& y) {
    u32 w = load16(b + 2 + 2 * i);
    float d = half_at(b) * (0.5f + (float)(b[66 + (i >> 2)] >> 4 * (i >> 1 & 1) & 15)) * 0.25f;
    put_iq2(y, grid_iq2_xs[w & 511], d, parity_signs(w >> 9));
  }
};
