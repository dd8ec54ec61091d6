// Q2_K: scales[16], a nibble each of scale and min; qs[64], two bits an element; d, dmin f16; y = d·scale·q -
// dmin·min. See tensor/quant/q2_k.go.
#pragma once
#include "quant.h"

struct q2_k {
  enum { block = 256, bytes = 84, element = 0 };
};

// Repacked row of B blocks, 84·B bytes: qs of all of them, 64·B; scales, 16·B; d and dmin, 4·B. 16 bytes of qs are a strip of 64
// elements: strip 2n+h (0..3) of a block has elements 128n+16h to 128n+16h+15 and those 32, 64 and 96 on, the four runs of which
// the strip's four bytes are the scales. Packed by repack_q2_k.go.
template <> struct weight_row<q2_k> {
  DEV i64 bytes(int k) { return packed_bytes((i64)k / 256 * 84); }

  // codes and scales return those of strip s of the row, ends d and dmin of block b.
  DEV const u8* codes(const u8* row, u32 s) { return row + 16 * s; }
  DEV u32 scales(const u8* row, int k, u32 s) { return load32(row + (u32)k / 4 + 4 * s); }
  DEV half2 ends(const u8* row, int k, u32 b) { return bits<half2>(load32(row + (u32)k / 16 * 5 + 4 * b)); }
  DEV void get(const u8* row, u32 g, int k, group& y) {
    u32 s = g >> 4 << 1 | g >> 1 & 1, j = g >> 2 & 3;
    u32 code = scales(row, k, s) >> 8 * j;
    half2 dm = ends(row, k, g >> 5);
    float d = (float)dm[0] * (float)(code & 15), m = (float)dm[1] * (float)(code >> 4 & 15);
    octet q = octet_8(codes(row, s) + 8 * (g & 1)) >> 2 * j & 0x03030303;
    UNROLL for (int i = 0; i < 8; i++) y[i] = d * (float)byte_of(q, i) - m;
  }
};
