// The sixteen levels of IQ4_NL and IQ4_XS. See tensor/quant/iq4_nl.go.
#pragma once
#include "quant_nibbles.h"

// iq4_values turns codes, one a byte, into signed bytes.
template <class V> DEV V iq4_values(V q) {
  constexpr lut levels({-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113});
  return looked_up(q, levels);
}
