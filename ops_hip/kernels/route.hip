// Picks the K experts of each token and their weights: ids int [tokens, K], w float [tokens, K] of logits [tokens,
// experts], as route.h says, with scores by `gating`. groups is 0 for none.
//
// Grid tokens, blocks of 32. LDS 4,096 bytes. Reference: ops_ref/route.go. Launched by route.go.
#include "route.h"

KERNEL(32) route_f32(const float* RESTRICT logits, const float* RESTRICT bias, int* RESTRICT ids, float* RESTRICT w, int experts, int top,
                     int norm, float scale, int gating, int groups, int used, int best) {
  LDS float score[1024];
  const i64 t = block_x();
  int id;
  float weight;
  route(gating, logits + t * experts, bias, experts, top, norm, scale, score, id, weight, expert_groups{groups, used, best});
  if (lane() < top) ids[t * top + lane()] = id, w[t * top + lane()] = weight;
}
