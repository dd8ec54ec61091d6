// IQ3_S: d f16; qs[64], a grid index for four elements; qh[8], a ninth bit of eight indices; signs[32]; scales[4]
// nibbles. See tensor/quant/iq3_s.go.
#pragma once
#include "quant_iq_grid.h"

struct iq3_s {
  enum { block = 256, bytes = 110, element = 0 };
};

// Repacked row of B blocks, 110·B bytes: qs of all of them, 64·B; signs, 32·B; qh, 8·B; scales, 4·B; d, 2·B. Packed by
// repack_iq.go.
template <> struct weight_row<iq3_s> {
  DEV i64 bytes(int k) { return packed_bytes((i64)k / 256 * 110); }

  // codes, signs, high and scale return those of 32 elements of the row, number s.
  DEV u32x2 codes(const u8* row, u32 s) { return octet_8(row + 8 * s); }
  DEV u32 signs(const u8* row, int k, u32 s) { return load32(row + (u32)k / 4 + 4 * s); }
  DEV u32 high(const u8* row, int k, u32 s) { return row[(u32)k / 8 * 3 + s]; }
  DEV float scale(const u8* row, int k, u32 s) {
    const u8* p = row + (u32)k / 256 * 104;
    return half_at(p + (u32)k / 64 + 2 * (s / 8)) * (float)(1 + 2 * (p[s / 2] >> 4 * (s & 1) & 15));
  }
  DEV void get(const u8* row, u32 g, int k, group& y) {
    u32 s = g >> 2, q = codes(row, s)[g >> 1 & 1] >> 16 * (g & 1), h = high(row, k, s) >> 2 * (g & 3);
    put_iq3_s(y, grid_iq3_s[(q & 255) | (h & 1) << 8], grid_iq3_s[(q >> 8 & 255) | (h & 2) << 7], scale(row, k, s), signs(row, k, s) >> 8 * (g & 3) & 255);
  }
};
