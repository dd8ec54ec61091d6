// IQ2_S: d f16; qs[32], grid indices; signs[32]; qh[8], two more bits of four indices; scales[8] nibbles. See
// tensor/quant/iq2_s.go.
#pragma once
#include "quant_iq_grid.h"

struct iq2_s {
  enum { block = 256, bytes = 82, element = 0 };
};

// Repacked row of B blocks, 82·B bytes: four of qs and their signs in turn, 64·B; of qh and scales in turn, 16·B; d, 2·B. Packed
// by repack_iq.go.
template <> struct weight_row<iq2_s> {
  DEV i64 bytes(int k) { return packed_bytes((i64)k / 256 * 82); }

  // codes returns indices and signs of 32 elements of the row, number s; more their qh, and the scales from bit 8 on; end d.
  DEV u32x2 codes(const u8* row, u32 s) { return octet_8(row + 8 * s); }
  DEV u32 more(const u8* row, int k, u32 s) { return load16(row + (u32)k / 4 + 2 * s); }
  DEV float end(const u8* row, int k, u32 s) { return half_at(row + (u32)k / 256 * 80 + 2 * (s / 8)) * 0.25f; }
  DEV void get(const u8* row, u32 g, int k, group& y) {
    u32 s = g >> 2, i = g & 3, m = more(row, k, s);
    u32x2 c = codes(row, s);
    float d = end(row, k, s) * (0.5f + (float)(m >> (8 + 4 * (i >> 1)) & 15));
    put_iq2(y, grid_iq2_s[(c[0] >> 8 * i & 255) | (m >> 2 * i & 3) << 8], d, c[1] >> 8 * i & 255);
  }
};
