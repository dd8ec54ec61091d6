// Picks the K experts of each token and their weights: ids int [tokens, K], w float [tokens, K] of logits [tokens,
// experts], as route.h says with softmax (route_f32_softmax), sigmoid (_sigmoid) or neither (_topk).
//
// Grid tokens, blocks of 32. LDS 4,096 bytes. Reference: ops_ref/route.go. Launched by route.go.
#include "route.h"

#define ROUTE(name, gating)                                                                                            \
  KERNEL(32) route_f32_##name(const float* RESTRICT logits, const float* RESTRICT bias, int* RESTRICT ids,             \
                              float* RESTRICT w, int experts, int top, int norm, float scale) {                        \
    LDS float score[1024];                                                                                             \
    const i64 t = block_x();                                                                                           \
    int id;                                                                                                            \
    float weight;                                                                                                      \
    route(gating, logits + t * experts, bias, experts, top, norm, scale, score, id, weight);                           \
    if (lane() < top) ids[t * top + lane()] = id, w[t * top + lane()] = weight;                                        \
  }
ROUTE(softmax, SOFTMAX)
ROUTE(sigmoid, SIGMOID)
ROUTE(topk, TOPK)
