// Q4_1: d, m f16; qs[16] nibbles; y = d·q + m. See tensor/quant/q4_1.go.
#pragma once
#include "quant_nibbles.h"

struct q4_1 {
  enum { block = 32, bytes = 20, element = 0 };
};

// Repacked row of B blocks: qs of all of them, 16·B bytes; d and m, 4·B. Packed by repack_nibbles.go.
template <> struct weight_row<q4_1> {
  DEV i64 bytes(int k) { return packed_bytes((i64)k / 32 * 20); }
  DEV half2 scales(const u8* row, int k, u32 b) { return bits<half2>(load32(row + (u32)k / 2 + 4 * b)); }
  DEV void get(const u8* row, u32 g, int k, group& y) {
    half2 dm = scales(row, k, g >> 2);
    octet q = nibbles_at(row, g);
    UNROLL for (int j = 0; j < 8; j++) y[j] = (float)dm[0] * (float)byte_of(q, j) + (float)dm[1];
  }
};
