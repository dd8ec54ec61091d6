// Q5_K: d, dmin f16; scales[12]; qh[32], a fifth bit an element; qs[128] nibbles; y = d·scale·q - dmin·min. See
// tensor/quant/q5_k.go.
#pragma once
#include "quant_nibbles.h"
#include "quant_q4_k.h"

struct q5_k {
  enum { block = 256, bytes = 176, element = 0 };
};

// Repacked row of B blocks, 180·B bytes: qs, scales and mins as a row of Q4_K has them, 148·B; 32·B of high bits as fifth has
// them, dword 2g+h those of elements 16h to 16h+15 of sub-blocks 2g (run 0) and 2g+1. Packed by repack_q5_k.go.
template <> struct weight_row<q5_k> {
  DEV i64 bytes(int k) { return packed_bytes((i64)k / 256 * 180); }
  DEV u32 high(const u8* row, int k, u32 i) { return load32(row + (u32)k / 256 * 148 + 4 * i); }
  DEV void get(const u8* row, u32 g, int k, group& y) {
    u32 b = g >> 5, s = g >> 2 & 7, h = g >> 1 & 1;
    float scale[2], min[2];
    weight_row<q4_k>::scales(row, k, b, s >> 1, scale, min);
    float d = s & 1 ? scale[1] : scale[0], m = s & 1 ? min[1] : min[0];
    octet q = octet_8(weight_row<q4_k>::codes(row, b) + 32 * (s >> 1) + 8 * (g & 3)) >> 4 * (s & 1) & 0x0f0f0f0f;
    q = with_fifth(q, high(row, k, 8 * b + (s & 6) + h), 2 * (s & 1) + (g & 1));
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)byte_of(q, j) - m;
  }
};
