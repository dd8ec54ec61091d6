// Picks the K experts of each token and their weights: ids int [tokens, K], w float [tokens, K] of logits [tokens,
// experts], as route.h says with softmax (route_f32_softmax), sigmoid (_sigmoid) or neither (_topk), and with any of them
// from groups (_groups).
//
// Grid tokens, blocks of 32. LDS 4,096 bytes. Reference: ops_ref/route.go. Launched by route.go.
#include "route.h"

#define ROUTE_PARAMS const float *RESTRICT logits, const float *RESTRICT bias, int *RESTRICT ids, float *RESTRICT w, int experts, int top, int norm, float scale
#define ROUTE_BODY(gating, ...)                                                                                        \
  LDS float score[1024];                                                                                               \
  const i64 t = block_x();                                                                                             \
  int id;                                                                                                              \
  float weight;                                                                                                        \
  route(gating, logits + t * experts, bias, experts, top, norm, scale, score, id, weight, expert_groups{__VA_ARGS__}); \
  if (lane() < top) ids[t * top + lane()] = id, w[t * top + lane()] = weight;

KERNEL(32) route_f32_softmax(ROUTE_PARAMS) { ROUTE_BODY(SOFTMAX) }
KERNEL(32) route_f32_sigmoid(ROUTE_PARAMS) { ROUTE_BODY(SIGMOID) }
KERNEL(32) route_f32_topk(ROUTE_PARAMS) { ROUTE_BODY(TOPK) }
KERNEL(32) route_f32_groups(ROUTE_PARAMS, int gating, int groups, int used, int best) { ROUTE_BODY(gating, groups, used, best) }
