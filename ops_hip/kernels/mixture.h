// What kernels of mixtures for few tokens share: mixture_dot.hip and mixture_stream.hip.
#pragma once
#include "quant.h"
#include "sum_norm.h"

// routing is how a mixture chooses experts.
struct routing {
  const float *logits, *bias;
  int* ids;
  float* weights;
  int gating, experts, top, norm;
  float scale;
};

// second is the second half of a mixture.
struct second {
  const int* ids;
  const float *weights, *logits;
  const u8 *down, *shared;
  int experts, top, ff, n;
};

// choice is what a token takes from a matrix, which lies so many bytes behind `down`: an address from LDS would be one of any
// memory.
struct choice {
  i64 at;
  float weight;
};

enum { max_choices = 33 };

// find_choices writes those of token t, with the threads of a block.
template <class Q> DEV void find_choices(const second& m, int t, choice* to) {
  const int c = tid();
  if (c < m.top)
    to[c] = {(i64)m.ids[t * m.top + c] * m.n * weight_row<Q>::bytes(m.ff), m.weights[t * m.top + c]};
  else if (c == m.top && m.shared)
    to[c] = {(i64)m.shared - (i64)m.down, sigmoid_f(m.logits[(i64)t * (m.experts + 1) + m.experts])};
  barrier();
}
