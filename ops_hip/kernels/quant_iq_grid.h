// Points of the grids of the IQ1, IQ2 and IQ3 types, from the packed codes in grids.h. See tensor/quant/grids.go.
#pragma once
#include "grids.h"
#include "quant.h"

// parity_signs expands a 7-bit sign index to eight sign bits, whose number it makes even.
DEV int parity_signs(u32 i) {
  i &= 127;
  return i | (__builtin_popcount(i) & 1) << 7;
}

// put_iq2 writes d·level for the eight 2-bit digits of code, negated where the bit of signs is set. Levels: 8, 25, 43.
DEV void put_iq2(group& y, int code, float d, int signs) {
  UNROLL for (int j = 0; j < 8; j++) {
    int c = code >> 2 * j & 3, v = 8 + 17 * c + (c >> 1);
    y[j] = d * (float)(signs >> j & 1 ? -v : v);
  }
}

// put_iq3_xxs writes d·level for the four 3-bit digits of each of two codes. Levels: 4, 12, 20, 28, 36, 44, 52, 62.
DEV void put_iq3_xxs(group& y, int code0, int code1, float d, int signs) {
  UNROLL for (int j = 0; j < 8; j++) {
    int c = (j < 4 ? code0 : code1) >> 3 * (j & 3) & 7, v = 4 + 8 * c + (c == 7 ? 2 : 0);
    y[j] = d * (float)(signs >> j & 1 ? -v : v);
  }
}

// put_iq3_s is put_iq3_xxs with the levels 1, 3, 5, ... 15.
DEV void put_iq3_s(group& y, int code0, int code1, float d, int signs) {
  UNROLL for (int j = 0; j < 8; j++) {
    int c = (j < 4 ? code0 : code1) >> 3 * (j & 3) & 7, v = 1 + 2 * c;
    y[j] = d * (float)(signs >> j & 1 ? -v : v);
  }
}

// put_iq1 writes d·(digit - 1 + delta) for the eight 2-bit digits of code.
DEV void put_iq1(group& y, int code, float d, float delta) {
  UNROLL for (int j = 0; j < 8; j++) y[j] = d * ((float)((code >> 2 * j & 3) - 1) + delta);
}
