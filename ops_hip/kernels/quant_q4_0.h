// Q4_0: d f16; qs[16] nibbles; y = d·(q-8). See tensor/quant/q4_0.go.
#pragma once
#include "quant_nibbles.h"

struct q4_0 {
  enum { block = 32, bytes = 18, element = 0 };
};

// Repacked row of B blocks: qs of all of them, 16·B bytes; d, 2·B. Packed by repack_nibbles.go.
template <> struct weight_row<q4_0> {
  DEV i64 bytes(int k) { return packed_bytes((i64)k / 32 * 18); }
  DEV float scale(const u8* row, int k, u32 b) { return half_at(row + (u32)k / 2 + 2 * b); }
  DEV void get(const u8* row, u32 g, int k, group& y) {
    float d = scale(row, k, g >> 2);
    octet q = nibbles_at(row, g);
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)(byte_of(q, j) - 8);
  }
};
