// Q8_0: d f16; q int8[32]; y = d·q. See tensor/quant/q8_0.go.
#pragma once
#include "quant.h"

struct q8_0 {
  enum { block = 32, bytes = 34, element = 0 };
  DEV float at(const u8* row, int i) {
    const u8* b = row + (i64)(i >> 5) * bytes;
    return half_at(b) * (float)(i8)b[2 + (i & 31)];
  }
  DEV void get(const u8* b, u32 i, group& y) {
    float d = half_at(b);
    octet q = octet_2(b + 2 + 8 * i);
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)sbyte_of(q, j);
  }
};

// Repacked row of B blocks: q of all of them, 32·B bytes; d, 2·B. Packed by repack_q8_0.go.
template <> struct weight_row<q8_0> {
  DEV i64 bytes(int k) { return packed_bytes((i64)k / 32 * 34); }
  DEV const u8* codes(const u8* row, u32 i) { return row + i; } // of elements i to i+15, for i a multiple of 16
  DEV half step(const u8* row, int k, u32 b) { return *(const half*)(row + k + 2 * b); }
  DEV float scale(const u8* row, int k, u32 b) { return (float)step(row, k, b); }
  DEV void get(const u8* row, u32 g, int k, group& y) {
    float d = scale(row, k, g >> 2);
    octet q = octet_8(row + 8 * g);
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)sbyte_of(q, j);
  }
};
