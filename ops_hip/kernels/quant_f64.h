// F64, rounded once to float: see tensor/quant/f64.go.
#pragma once
#include "quant.h"

struct f64 {
  enum { block = 8, bytes = 64, element = 1 };
  DEV float at(const u8* row, int i) { return (float)((const double*)row)[i]; }
  DEV void get(const u8* b, u32, group& y) {
    UNROLL for (int j = 0; j < 8; j++) y[j] = at(b, j);
  }
};
