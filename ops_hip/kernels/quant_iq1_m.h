// IQ1_M: qs[32], grid indices; qh[16], a nibble an index: three more bits and the sign of delta; scales u16[4], four
// 3-bit scales and a nibble of d each. See tensor/quant/iq1_m.go.
#pragma once
#include "quant_iq_grid.h"

struct iq1_m {
  enum { block = 256, bytes = 56, element = 0 };
};

// Repacked row of B blocks, 58·B bytes: qs of all of them, 32·B; qh, 16·B; scales, two in a byte, 8·B; d, 2·B. Packed by
// repack_iq.go.
template <> struct weight_row<iq1_m> {
  DEV i64 bytes(int k) { return packed_bytes((i64)k / 256 * 58); }

  // codes, high and scales return those of 32 elements of the row, number s, and end their d.
  DEV u32 codes(const u8* row, u32 s) { return load32(row + 4 * s); }
  DEV u32 high(const u8* row, int k, u32 s) { return load16(row + (u32)k / 8 + 2 * s); }
  DEV u32 scales(const u8* row, int k, u32 s) { return row[(u32)k / 16 * 3 + s]; }
  DEV float end(const u8* row, int k, u32 s) { return half_at(row + (u32)k / 256 * 56 + 2 * (s / 8)); }
  DEV void get(const u8* row, u32 g, int k, group& y) {
    u32 s = g >> 2, i = g & 3, h = high(row, k, s) >> 4 * i;
    float d = end(row, k, s) * (float)(2 * (scales(row, k, s) >> 3 * (i >> 1) & 7) + 1);
    put_iq1(y, grid_iq1_s[(codes(row, s) >> 8 * i & 255) | (h & 7) << 8], d, h & 8 ? -0.125f : 0.125f);
  }
};
