// IQ4_XS: d f16; high u16 and low[4], 6-bit scales; qs[128], 16 bytes of nibbles a sub-block; y = d·(scale-32)·
// level(q). See tensor/quant/iq4_xs.go.
#pragma once
#include "quant_iq4.h"

struct iq4_xs {
  enum { block = 256, bytes = 136, element = 0 };
  DEV void get(const u8* b, u32 i, group& y) {
    int s = i >> 2;
    int scale = b[4 + (s >> 1)] >> 4 * (s & 1) & 15 | (load16(b + 2) >> 2 * s & 3) << 4;
    float d = half_at(b) * (float)(scale - 32);
    octet q = iq4_values(nibbles(octet_4(b + 8 + 16 * s + 8 * (i & 1)), i & 3));
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)sbyte_of(q, j);
  }
};
