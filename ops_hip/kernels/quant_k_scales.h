// The 6-bit scales and mins of Q4_K and Q5_K as files have them. See tensor/quant/k_quant.go.
#pragma once
#include "quant.h"

// scale_min returns scale and min s (0..7) of the 12 bytes b.
DEV void scale_min(const u8* b, int s, int& scale, int& min) {
  int a = b[s & 3], c = b[4 + (s & 3)], e = b[8 + (s & 3)];
  scale = s < 4 ? a & 63 : e & 15 | a >> 6 << 4;
  min = s < 4 ? c & 63 : e >> 4 | c >> 6 << 4;
}
