// IQ2_XS: d f16; qs u16[32], a 9-bit grid index and a sign index; scales[8] nibbles. See tensor/quant/iq2_xs.go.
#pragma once
#include "quant_iq_grid.h"

struct iq2_xs {
  enum { block = 256, bytes = 74, element = 0 };
};

// Repacked row of B blocks, 74·B bytes: qs of all of them, 64·B; scales, 8·B; d, 2·B. Packed by repack_iq.go.
template <> struct weight_row<iq2_xs> {
  DEV i64 bytes(int k) { return packed_bytes((i64)k / 256 * 74); }

  // codes returns those of 32 elements of the row, number s, scales their two nibbles, end their d.
  DEV u32x2 codes(const u8* row, u32 s) { return octet_8(row + 8 * s); }
  DEV u32 scales(const u8* row, int k, u32 s) { return row[(u32)k / 4 + s]; }
  DEV float end(const u8* row, int k, u32 s) { return half_at(row + (u32)k / 256 * 72 + 2 * (s / 8)) * 0.25f; }
  DEV void get(const u8* row, u32 g, int k, group& y) {
    u32 s = g >> 2, w = codes(row, s)[g >> 1 & 1] >> 16 * (g & 1);
    float d = end(row, k, s) * (0.5f + (float)(scales(row, k, s) >> 4 * (g >> 1 & 1) & 15));
    put_iq2(y, grid_iq2_xs[w & 511], d, parity_signs(w >> 9));
  }
};
