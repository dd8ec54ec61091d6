// IQ4_NL: d f16; qs[16] nibbles; y = d·level(q). See tensor/quant/iq4_nl.go.
#pragma once
#include "quant_iq4.h"

struct iq4_nl {
  enum { block = 32, bytes = 18, element = 0 };
};

// Repacked row of B blocks: qs of all of them, 16·B bytes; d, 2·B. Packed by repack_nibbles.go.
template <> struct weight_row<iq4_nl> {
  DEV i64 bytes(int k) { return packed_bytes((i64)k / 32 * 18); }
  DEV float scale(const u8* row, int k, u32 b) { return half_at(row + (u32)k / 2 + 2 * b); }
  DEV void get(const u8* row, u32 g, int k, group& y) {
    float d = scale(row, k, g >> 2);
    octet q = iq4_values(nibbles_at(row, g));
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)sbyte_of(q, j);
  }
};
