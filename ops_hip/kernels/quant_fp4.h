// The values of E2M1, doubled to be integers, for MXFP4 and NVFP4.
#pragma once
#include "quant.h"

// fp4_values turns eight codes, one a byte, into eight signed bytes.
DEV octet fp4_values(octet q) {
  const u32x4 table = {0x03020100, 0x0c080604, 0xfdfeff00, 0xf4f8fafc};
  return (octet){lut16(table, q[0]), lut16(table, q[1])};
}
