// MXFP4: e E8M0; qs[16] nibbles; y = 2^(e-128)·(doubled E2M1). See tensor/quant/mxfp4.go.
#pragma once
#include "quant_fp4.h"

struct mxfp4 {
  enum { block = 32, bytes = 17, element = 0 };
  DEV void get(const u8* b, u32 i, group& y) {
    u32 e = b[0];
    float d = bits<float>(e < 2 ? 0x00200000u << e : (e - 1) << 23);
    octet q = fp4_values(nibbles(octet_1(b + 1 + 8 * (i & 1)), i));
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)sbyte_of(q, j);
  }
};
