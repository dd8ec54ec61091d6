// IQ1_S: d f16; qs[32], grid indices; qh u16[8], three more bits of four indices, scale, sign of delta. See
// tensor/quant/iq1_s.go.
#pragma once
#include "quant_iq_grid.h"

struct iq1_s {
  enum { block = 256, bytes = 50, element = 0 };
};

// Repacked row of B blocks, 50·B bytes: qs of all of them, 32·B; qh, 16·B; d, 2·B. Packed by repack_iq.go.
template <> struct weight_row<iq1_s> {
  DEV i64 bytes(int k) { return packed_bytes((i64)k / 256 * 50); }

  // codes and high return those of 32 elements of the row, number s; scale and delta are theirs.
  DEV u32 codes(const u8* row, u32 s) { return load32(row + 4 * s); }
  DEV u32 high(const u8* row, int k, u32 s) { return load16(row + (u32)k / 8 + 2 * s); }
  DEV float scale(const u8* row, int k, u32 s, u32 high) { return half_at(row + (u32)k / 256 * 48 + 2 * (s / 8)) * (float)(2 * (high >> 12 & 7) + 1); }
  DEV float delta(u32 high) { return high & 0x8000 ? -0.125f : 0.125f; }
  DEV void get(const u8* row, u32 g, int k, group& y) {
    u32 s = g >> 2, i = g & 3, h = high(row, k, s);
    put_iq1(y, grid_iq1_s[(codes(row, s) >> 8 * i & 255) | (h >> 3 * i & 7) << 8], scale(row, k, s, h), delta(h));
  }
};
