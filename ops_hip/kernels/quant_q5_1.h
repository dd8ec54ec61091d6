// Q5_1: d, m f16; qh u32, a fifth bit an element; qs[16] nibbles; y = d·q + m. See tensor/quant/q5_1.go.
#pragma once
#include "quant_nibbles.h"

struct q5_1 {
  enum { block = 32, bytes = 24, element = 0 };
};

// Repacked row of B blocks: qs of all of them, 16·B bytes; high bits as fifth has them, 4·B; d and m, 4·B. Packed by
// repack_nibbles.go.
template <> struct weight_row<q5_1> {
  DEV i64 bytes(int k) { return packed_bytes((i64)k / 32 * 24); }
  DEV u32 high(const u8* row, int k, u32 b) { return load32(row + (u32)k / 2 + 4 * b); }
  DEV half2 scales(const u8* row, int k, u32 b) { return bits<half2>(load32(row + (u32)k / 32 * 20 + 4 * b)); }
  DEV void get(const u8* row, u32 g, int k, group& y) {
    half2 dm = scales(row, k, g >> 2);
    octet q = with_fifth(nibbles_at(row, g), high(row, k, g >> 2), g & 3);
    UNROLL for (int j = 0; j < 8; j++) y[j] = (float)dm[0] * (float)byte_of(q, j) + (float)dm[1];
  }
};
