// The operands of products with experts.
#pragma once
#include "gpu.h"

// expert_weights are the matrices of experts, one behind the other, and that of expert `experts`, which all tokens share. up and
// shared_up are those of a second product, or null.
struct expert_weights {
  const u8 *w, *up, *shared, *shared_up;
  int experts;

  // choose makes w and up those of one expert, of which a matrix has so many bytes.
  DEV_METHOD void choose(int expert, i64 bytes) {
    if (expert < experts) {
      w += expert * bytes;
      if (up) up += expert * bytes;
    } else {
      w = shared, up = shared_up;
    }
  }
};
