// Q3_K: hmask[32], a third bit an element; qs[64], two bits; scales[12], six bits each; d f16; y = d·(scale-32)·
// (q-4). See tensor/quant/q3_k.go.
#pragma once
#include "quant.h"

struct q3_k {
  enum { block = 256, bytes = 110, element = 0 };
};

// Repacked row of B blocks, 114·B bytes: qs of all of them in strips as in quant_q2_k.h, 64·B; high bits, 32·B, eight bytes a
// strip; scale-32, 16·B signed bytes, four a strip; d, 2·B. The high bit of element 4w+b of run j is at bit 8b + 4(j&1) + w of
// dword j/2, flipped, so that the three bits at the top of a byte are the signed number 32(q-4). Packed by repack_q3_k.go.
template <> struct weight_row<q3_k> {
  DEV i64 bytes(int k) { return packed_bytes((i64)k / 256 * 114); }
  DEV const u8* codes(const u8* row, u32 s) { return row + 16 * s; }
  DEV octet high(const u8* row, int k, u32 s) { return octet_8(row + (u32)k / 4 + 8 * s); }
  DEV u32 scales(const u8* row, int k, u32 s) { return load32(row + (u32)k / 8 * 3 + 4 * s); }
  DEV float scale(const u8* row, int k, u32 b) { return half_at(row + (u32)k / 16 * 7 + 2 * b) * (1.0f / 32); }

  // values returns 32(q-4) of word w of run j, a signed byte each, from a word of qs and the high bits.
  DEV u32 values(u32 low, octet high, u32 j, u32 w) {
    u32 top = high[j >> 1] << (7 - 4 * (j & 1) - w);
    return ((j == 3 ? low >> 1 : low << (5 - 2 * j)) & 0x60606060) | (top & 0x80808080);
  }
  DEV void get(const u8* row, u32 g, int k, group& y) {
    u32 s = g >> 4 << 1 | g >> 1 & 1, j = g >> 2 & 3;
    float d = scale(row, k, g >> 5) * (float)(i8)(scales(row, k, s) >> 8 * j);
    octet low = octet_8(codes(row, s) + 8 * (g & 1)), top = high(row, k, s);
    octet q = {values(low[0], top, j, 2 * (g & 1)), values(low[1], top, j, 2 * (g & 1) + 1)};
    UNROLL for (int i = 0; i < 8; i++) y[i] = d * (float)sbyte_of(q, i);
  }
};
