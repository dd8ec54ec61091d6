// IQ4_XS: d f16; high u16 and low[4], 6-bit scales; qs[128], 16 bytes of nibbles a sub-block; y = d·(scale-32)·
// level(q). See tensor/quant/iq4_xs.go.
#pragma once
#include "quant_iq4.h"

struct iq4_xs {
  enum { block = 256, bytes = 136, element = 0 };
};

// Repacked row of B blocks, 138·B bytes: qs of all of them, 128·B; scale-32 of sub-blocks, 8·B signed bytes; d, 2·B. Packed by
// repack_iq4_xs.go.
template <> struct weight_row<iq4_xs> {
  DEV i64 bytes(int k) { return packed_bytes((i64)k / 256 * 138); }

  // scale returns that of sub-block s of the row, end the d of block b.
  DEV float scale(const u8* row, int k, u32 s) { return (float)(i8)row[(u32)k / 2 + s]; }
  DEV float end(const u8* row, int k, u32 b) { return half_at(row + (u32)k / 256 * 136 + 2 * b); }
  DEV void get(const u8* row, u32 g, int k, group& y) {
    float d = end(row, k, g >> 5) * scale(row, k, g >> 2);
    octet q = iq4_values(nibbles_at(row, g));
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)sbyte_of(q, j);
  }
};
