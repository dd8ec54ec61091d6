// IQ2_XXS: d f16; u32[8][2]: four grid indices, then four sign indices and the scale. See tensor/quant/iq2_xxs.go.
#pragma once
#include "quant_iq_grid.h"

struct iq2_xxs {
  enum { block = 256, bytes = 66, element = 0 };
  DEV void get(const u8* b, u32 i, group& y) {
    const u8* qs = b + 2 + 8 * (i >> 2);
    u32 signs = load32_2(qs + 4);
    float d = half_at(b) * (0.5f + (float)(signs >> 28)) * 0.25f;
    put_iq2(y, grid_iq2_xxs[qs[i & 3]], d, parity_signs(signs >> 7 * (i & 3)));
  }
};
