// Q4_K: d, dmin f16; scales[12]; qs[128] nibbles; y = d·scale·q - dmin·min. See tensor/quant/q4_k.go.
#pragma once
#include "quant.h"

struct q4_k {
  enum { block = 256, bytes = 144, element = 0 };
};

// Repacked row of B blocks, 148·B bytes: qs of all of them, 128·B bytes; 20·B of scales and mins with 8 bits each, of
// which four bytes are those of two sub-blocks that share qs (scale, scale, min, min), then d and dmin. Packed by
// repack_q4_k.go.
template <> struct weight_row<q4_k> {
  DEV i64 bytes(int k) { return packed_bytes((i64)k / 256 * 148); }
  DEV const u8* codes(const u8* row, u32 b) { return row + 128 * b; }

  // scale_words returns what scales_of makes the scales and mins of sub-blocks 2g and 2g+1 of block b from.
  DEV u32x2 scale_words(const u8* row, int k, u32 b, u32 g) {
    const u8* p = row + (u32)k / 2 + 20 * b;
    return (u32x2){load32(p + 4 * g), load32(p + 16)};
  }
  DEV void scales_of(u32x2 words, float (&scale)[2], float (&min)[2]) {
    half2 d = bits<half2>(words[1]);
    UNROLL for (int j = 0; j < 2; j++) {
      scale[j] = (float)d[0] * (float)(words[0] >> 8 * j & 255);
      min[j] = (float)d[1] * (float)(words[0] >> (16 + 8 * j) & 255);
    }
  }
  DEV void scales(const u8* row, int k, u32 b, u32 g, float (&scale)[2], float (&min)[2]) {
    scales_of(scale_words(row, k, b, g), scale, min);
  }
  DEV void get(const u8* row, u32 g, int k, group& y) {
    u32 b = g >> 5, s = g >> 2 & 7;
    const u8* p = row + (u32)k / 2 + 20 * b;
    u32 code = load32(p + 4 * (s >> 1)) >> 8 * (s & 1);
    half2 dm = bits<half2>(load32(p + 16));
    float d = (float)dm[0] * (float)(code & 255), m = (float)dm[1] * (float)(code >> 16 & 255);
    octet q = octet_8(codes(row, b) + 32 * (s >> 1) + 8 * (g & 3)) >> 4 * (s & 1) & 0x0f0f0f0f;
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)byte_of(q, j) - m;
  }
};
