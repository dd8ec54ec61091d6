// IQ3_XXS: d f16; qs[64], a grid index for four elements; u32[8], four sign indices and the scale. See
// tensor/quant/iq3_xxs.go.
#pragma once
#include "quant_iq_grid.h"

struct iq3_xxs {
  enum { block = 256, bytes = 98, element = 0 };
};

// Repacked row of B blocks, 98·B bytes: qs of all of them, 64·B; the words, 32·B; d, 2·B. Packed by repack_iq.go.
template <> struct weight_row<iq3_xxs> {
  DEV i64 bytes(int k) { return packed_bytes((i64)k / 256 * 98); }

  // codes returns the indices of 32 elements of the row, number s, word their signs and scale, and scale the latter.
  DEV u32x2 codes(const u8* row, u32 s) { return octet_8(row + 8 * s); }
  DEV u32 word(const u8* row, int k, u32 s) { return load32(row + (u32)k / 4 + 4 * s); }
  DEV float scale(const u8* row, int k, u32 s, u32 word) { return half_at(row + (u32)k / 256 * 96 + 2 * (s / 8)) * (0.5f + (float)(word >> 28)) * 0.5f; }
  DEV void get(const u8* row, u32 g, int k, group& y) {
    u32 s = g >> 2, q = codes(row, s)[g >> 1 & 1] >> 16 * (g & 1), w = word(row, k, s);
    put_iq3_xxs(y, grid_iq3_xxs[q & 255], grid_iq3_xxs[q >> 8 & 255], scale(row, k, s, w), parity_signs(w >> 7 * (g & 3)));
  }
};
