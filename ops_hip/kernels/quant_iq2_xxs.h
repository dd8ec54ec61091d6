// IQ2_XXS: d f16; u32[8][2]: four grid indices, then four sign indices and the scale. See tensor/quant/iq2_xxs.go.
#pragma once
#include "quant_iq_grid.h"

struct iq2_xxs {
  enum { block = 256, bytes = 66, element = 0 };
};

// Repacked row of B blocks, 66·B bytes: the pairs of words of all of them, 64·B; d, 2·B. Packed by repack_iq.go.
template <> struct weight_row<iq2_xxs> {
  DEV i64 bytes(int k) { return packed_bytes((i64)k / 256 * 66); }

  // codes returns the words of 32 elements of the row, number s; scale is theirs.
  DEV u32x2 codes(const u8* row, u32 s) { return octet_8(row + 8 * s); }
  DEV float scale(const u8* row, int k, u32 s, u32 code) { return half_at(row + (u32)k / 4 + 2 * (s / 8)) * (0.5f + (float)(code >> 28)) * 0.25f; }
  DEV void get(const u8* row, u32 g, int k, group& y) {
    u32x2 c = codes(row, g >> 2);
    put_iq2(y, grid_iq2_xxs[c[0] >> 8 * (g & 3) & 255], scale(row, k, g >> 2, c[1]), parity_signs(c[1] >> 7 * (g & 3)));
  }
};
