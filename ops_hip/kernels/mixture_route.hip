// The choice of a mixture of experts for many tokens: ids int and weights float [tokens, choices] of logits [tokens, experts],
// see route.h. If factor [k] is not null, the last choice of each token is the shared expert, whose id is `experts`, with weight
// sigmoid(factor·x); x [tokens, k], k a multiple of 8.
//
// Grid tokens, blocks of 32. LDS 4,096 bytes. Launched by mixture.go.
#include "route.h"

KERNEL(32) mixture_route(const float* RESTRICT logits, const float* RESTRICT bias, const float* RESTRICT x, const float* RESTRICT factor,
                         int* RESTRICT ids, float* RESTRICT weights, int experts, int top, int gating, int norm, int k, float scale) {
  LDS float score[1024];
  const i64 t = block_x();
  const int choices = top + (factor ? 1 : 0);
  ids += t * choices, weights += t * choices;
  int id;
  float weight;
  route(gating, logits + t * experts, bias, experts, top, norm, scale, score, id, weight);
  if (lane() < top) ids[lane()] = id, weights[lane()] = weight;
  if (!factor) return;
  const f32x4 *w = (const f32x4*)factor, *v = (const f32x4*)(x + t * k);
  float sum = 0;
  _Pragma("unroll 4") for (int g = lane(); g < k / 8; g += 32) {
    f32x4 a0 = w[2 * g], a1 = w[2 * g + 1], b0 = v[2 * g], b1 = v[2 * g + 1];
    UNROLL for (int j = 0; j < 4; j++) sum = __builtin_fmaf(a0[j], b0[j], sum);
    UNROLL for (int j = 0; j < 4; j++) sum = __builtin_fmaf(a1[j], b1[j], sum);
  }
  sum = wave_sum(sum);
  if (lane() == 0) ids[top] = experts, weights[top] = sigmoid_f(sum);
}
