// MXFP4: e E8M0; qs[16] nibbles; y = 2^(e-128)·(doubled E2M1). See tensor/quant/mxfp4.go.
#pragma once
#include "quant_fp4.h"

struct mxfp4 {
  enum { block = 32, bytes = 17, element = 0 };
};

// Repacked row of B blocks: qs of all of them, 16·B bytes; e, B. Packed by repack_nibbles.go.
template <> struct weight_row<mxfp4> {
  DEV i64 bytes(int k) { return packed_bytes((i64)k / 32 * 17); }
  DEV float scale(const u8* row, int k, u32 b) {
    u32 e = row[(u32)k / 2 + b];
    return bits<float>(e < 2 ? 0x00200000u << e : (e - 1) << 23);
  }
  DEV void get(const u8* row, u32 g, int k, group& y) {
    float d = scale(row, k, g >> 2);
    octet q = fp4_values(nibbles_at(row, g));
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)sbyte_of(q, j);
  }
};
