// States of a sequence beside the last. slots has rows of 1+kept: sequence b has its state at slots[b][0], and the state that
// all but the last j of its tokens leave goes to slots[b][j] for each j from 1 to kept, unless that is negative or there are
// no more than j tokens.
#pragma once
#include "gpu.h"

// kept_at returns the element of slots that says where the state goes that all but the last j of n tokens leave, or a negative
// number.
DEV int kept_at(const int* slots, int kept, int b, int j, int n) {
  const int at = b * (1 + kept) + j;
  return j >= 1 && j <= kept && j < n && slots[at] >= 0 ? at : -1;
}

// keeps reports whether a sequence of n tokens keeps a state beside the last.
DEV bool keeps(const int* slots, int kept, int b, int n) {
  bool any = false;
  for (int j = 1; j <= kept; j++) any |= kept_at(slots, kept, b, j, n) >= 0;
  return any;
}
