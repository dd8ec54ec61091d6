// NVFP4: d UE4M3[4], one for 16 elements; qs[32], byte j of a sub-block holding elements j and j+8; y = d/2·(doubled
// E2M1). See tensor/quant/nvfp4.go.
#pragma once
#include "quant_fp4.h"

struct nvfp4 {
  enum { block = 64, bytes = 36, element = 0 };

  // scale returns half the value of an unsigned E4M3 number; 0x7f counts as 0.
  DEV float scale(u32 x) {
    u32 e = x >> 3 & 15, m = x & 7;
    float normal = (float)(8 + m) * bits<float>((e + 116) << 23); // 2^(e-11)
    return x == 0x7f ? 0.0f : e == 0 ? (float)m * 0x1p-10f : normal;
  }
  DEV void get(const u8* b, u32 i, group& y) {
    float d = scale(b[i >> 1]);
    octet q = fp4_values(octet_4(b + 4 + 8 * (i >> 1)) >> 4 * (i & 1) & 0x0f0f0f0f);
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)sbyte_of(q, j);
  }
};
