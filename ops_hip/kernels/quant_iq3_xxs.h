// IQ3_XXS: d f16; qs[64], a grid index for four elements; u32[8], four sign indices and the scale. See
// tensor/quant/iq3_xxs.go.
#pragma once
#include "quant_iq_grid.h"

struct iq3_xxs {
  enum { block = 256, bytes = 98, element = 0 };
  DEV void get(const u8* b, u32 i, group& y) {
    u32 q = load16(b + 2 + 2 * i), word = load32_2(b + 66 + 4 * (i >> 2));
    float d = half_at(b) * (0.5f + (float)(word >> 28)) * 0.5f;
    put_iq3_xxs(y, grid_iq3_xxs[q & 255], grid_iq3_xxs[q >> 8], d, parity_signs(word >> 7 * (i & 3)));
  }
};
