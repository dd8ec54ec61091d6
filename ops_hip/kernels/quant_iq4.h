// The sixteen levels of IQ4_NL and IQ4_XS. See tensor/quant/iq4_nl.go.
#pragma once
#include "quant.h"

// iq4_values turns eight codes, one a byte, into eight signed bytes: -127, -104, -83, -65, -49, -35, -22, -10, 1, 13,
// 25, 38, 53, 69, 89, 113.
DEV octet iq4_values(octet q) {
  const u32x4 table = {0xbfad9881, 0xf6eaddcf, 0x26190d01, 0x71594535};
  return (octet){lut16(table, q[0]), lut16(table, q[1])};
}
