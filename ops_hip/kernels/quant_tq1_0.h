// TQ1_0: qs[48], five trits a byte; qh[4], four; d f16; y = d·(trit-1). See tensor/quant/tq1_0.go.
#pragma once
#include "quant.h"

struct tq1_0 {
  enum { block = 256, bytes = 54, element = 0 };

  // trit returns digit n after the point of b/256 in base 3.
  DEV int trit(int b, int n) {
    int pow3 = n == 4 ? 81 : (int)(0x1b090301u >> 8 * n & 255);
    return (b * pow3 & 255) * 3 >> 8;
  }
  DEV void get(const u8* b, u32 i, group& y) {
    float d = half_at(b + 52);
    if (i < 30) { // five runs of 32 elements, then five of 16
      int e = i < 20 ? 8 * i : 8 * (i - 20), n = i < 20 ? e / 32 : e / 16, m = i < 20 ? e % 32 : 32 + e % 16;
      octet q = octet_2(b + m);
      UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)(trit(byte_of(q, j), n) - 1);
    } else { // four runs of 4
      u32 q = load32_2(b + 48);
      UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)(trit(q >> 8 * (j & 3) & 255, 2 * (i - 30) + j / 4) - 1);
    }
  }
};
