// IQ4_NL: d f16; qs[16] nibbles; y = d·level(q). See tensor/quant/iq4_nl.go.
#pragma once
#include "quant_iq4.h"

struct iq4_nl {
  enum { block = 32, bytes = 18, element = 0 };
  DEV void get(const u8* b, u32 i, group& y) {
    float d = half_at(b);
    octet q = iq4_values(nibbles(octet_2(b + 2 + 8 * (i & 1)), i));
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)sbyte_of(q, j);
  }
};
