// The values of E2M1, doubled to be integers, for MXFP4 and NVFP4.
#pragma once
#include "quant_nibbles.h"

// fp4_values turns codes, one a byte, into signed bytes.
template <class V> DEV V fp4_values(V q) {
  constexpr lut values({0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12});
  return looked_up(q, values);
}
