// Q5_0: d f16; qh u32, a fifth bit an element; qs[16] nibbles; y = d·(q-16). See tensor/quant/q5_0.go.
#pragma once
#include "quant_nibbles.h"

struct q5_0 {
  enum { block = 32, bytes = 22, element = 0 };
};

// Repacked row of B blocks: qs of all of them, 16·B bytes; high bits as fifth has them, 4·B; d, 2·B. Packed by
// repack_nibbles.go.
template <> struct weight_row<q5_0> {
  DEV i64 bytes(int k) { return packed_bytes((i64)k / 32 * 22); }
  DEV u32 high(const u8* row, int k, u32 b) { return load32(row + (u32)k / 2 + 4 * b); }
  DEV float scale(const u8* row, int k, u32 b) { return half_at(row + (u32)k / 32 * 20 + 2 * b); }
  DEV void get(const u8* row, u32 g, int k, group& y) {
    float d = scale(row, k, g >> 2);
    octet q = with_fifth(nibbles_at(row, g), high(row, k, g >> 2), g & 3);
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)(byte_of(q, j) - 16);
  }
};
