// Picks the K experts of each token and their weights: ids int [tokens, K], w float [tokens, K] of logits [tokens,
// experts]. Scores are the softmax of the logits (route_f32_softmax), their sigmoid (_sigmoid) or themselves
// (_topk). The K experts with the largest score + bias are taken in falling order, the lower id first among equals;
// weights are the scores without the bias, for _topk the softmax of the K logits. If norm, weights (which add
// up to 1 for _topk anyway) are divided by their sum, at least 2^-14; then they are multiplied by scale. bias may be null.
//
// Grid tokens, blocks of 32: expert e belongs to lane e%32. At most 1024 experts and K ≤ 32. LDS 4,096 bytes. Float;
// sums over experts in a tree over lanes, sums over the K in order. Reference: ops_ref/route.go. Launched by route.go.
#include "math.h"

enum { SOFTMAX, SIGMOID, TOPK };

template <int gating>
DEV void route(const float* RESTRICT logits, const float* RESTRICT bias, int* RESTRICT ids, float* RESTRICT w, int experts, int top, int norm, float scale,
               float* score) {
  const int t = block_x(), l = lane();
  const float* x = logits + (i64)t * experts;
  float m = -__builtin_inff(), sum = 0;
  if (gating == SOFTMAX) {
    for (int e = l; e < experts; e += 32) m = __builtin_fmaxf(m, x[e]);
    m = wave_max(m);
  }
  for (int e = l; e < experts; e += 32) {
    float s = gating == SOFTMAX ? exp_f(x[e] - m) : gating == SIGMOID ? sigmoid_f(x[e]) : x[e];
    score[e] = s;
    sum += s;
  }
  if (gating == SOFTMAX) {
    sum = wave_sum(sum);
    for (int e = l; e < experts; e += 32) score[e] /= sum;
  }
  u32 taken = 0;     // bit i: expert l + 32i
  float weight = 0;  // lane j: of choice j
  float chosen_sum = 0, first = 0;
  for (int j = 0; j < top; j++) {
    float best = 0, best_score = 0;
    int id = 0x7fffffff;
    for (int e = l, i = 0; e < experts; e += 32, i++) {
      float s = score[e], p = bias ? s + bias[e] : s;
      if (!(taken >> i & 1) && (id == 0x7fffffff || p > best)) best = p, best_score = s, id = e;
    }
    UNROLL for (int step = 1; step < 32; step *= 2) {
      float b = shfl(best, l ^ step), s = shfl(best_score, l ^ step);
      int o = shfl(id, l ^ step);
      bool better = o != 0x7fffffff && (id == 0x7fffffff || b > best || (!(b < best) && o < id));
      if (better) best = b, best_score = s, id = o;
    }
    if (id % 32 == l) taken |= 1u << id / 32;
    if (j == 0) first = best_score;
    float v = gating == TOPK ? exp_f(best_score - first) : best_score;
    chosen_sum += v;
    if (l == j) {
      weight = v;
      ids[(i64)t * top + j] = id;
    }
  }
  if (gating == TOPK) weight /= chosen_sum;
  if (norm && gating != TOPK) weight /= __builtin_fmaxf(chosen_sum, 0x1p-14f);
  if (l < top) w[(i64)t * top + l] = weight * scale;
}

#define ROUTE(name, gating)                                                                                            \
  KERNEL(32) route_f32_##name(const float* RESTRICT logits, const float* RESTRICT bias, int* RESTRICT ids,             \
                              float* RESTRICT w, int experts, int top, int norm, float scale) {                        \
    LDS float score[1024];                                                                                             \
    route<gating>(logits, bias, ids, w, experts, top, norm, scale, score);                                             \
  }
ROUTE(softmax, SOFTMAX)
ROUTE(sigmoid, SIGMOID)
ROUTE(topk, TOPK)
