// What the types have in common whose rows are repacked with a plane of four bits an element first: 16 bytes for 32 elements,
// of which byte j has elements j and j+16.
#pragma once
#include "quant.h"

// nibbles_at returns elements 8g to 8g+7 of such a plane, a byte each.
DEV octet nibbles_at(const u8* row, u32 g) { return nibbles(octet_8(row + 16 * (g >> 2) + 8 * (g & 1)), g & 3); }

// A dword of high bits is for 32 elements: bit 8b+4r+j is that of element 16r+4j+b. fifth returns those of word j of run r as
// 16 in each byte.
DEV u32 fifth(u32 high, u32 r, u32 j) { return (r ? high >> j : high << (4 - j)) & 0x10101010; }

// with_fifth adds the fifth bits to elements 8i to 8i+7 of the 32.
DEV octet with_fifth(octet q, u32 high, u32 i) {
  return q | (octet){fifth(high, i >> 1, 2 * (i & 1)), fifth(high, i >> 1, 2 * (i & 1) + 1)};
}

// looked_up replaces the codes of a vector, one a byte, by what the table has for them.
template <class V> DEV V looked_up(V q, const lut& table) {
  V y;
  UNROLL for (u32 i = 0; i < sizeof(V) / 4; i++) y[i] = lut16(table, q[i]);
  return y;
}
