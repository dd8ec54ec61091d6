// How a router picks experts. Scores are the softmax of the logits, their sigmoid or, with TOPK, themselves. The experts with
// the largest score + bias are taken in falling order, the lower id first among equals; weights are the scores without the
// bias, with TOPK the softmax of the chosen logits. If norm, weights (which add up to 1 with TOPK anyway) are divided by their
// sum, at least 2^-14; then they are multiplied by scale. bias may be null. At most 1024 experts and 32 choices. Float; sums
// over experts in a tree over lanes, sums over choices in order.
//
// Where there are groups of neighbouring experts, at most 32, only those of the `used` groups with the largest sums of their
// `best` largest scores + biases can be taken, the lower group first among equals.
#pragma once
#include "math.h"

enum { SOFTMAX, SIGMOID, TOPK };

// route_merge lets a lane and the one that is M away agree on the better of their candidates.
template <int M> DEV void route_merge(float& best, int& id) {
  float b = shfl_xor<M>(best);
  int o = shfl_xor<M>(id);
  bool better = o != 0x7fffffff && (id == 0x7fffffff || b > best || (!(b < best) && o < id));
  if (better) best = b, id = o;
}

// expert_groups are groups of experts; none by default.
struct expert_groups {
  int count = 0, used = 0, best = 0;
};

// chosen_groups returns a bit for each group that is used, lane g having looked at group g.
DEV u32 chosen_groups(expert_groups g, const float* score, const float* RESTRICT bias, int experts) {
  const int each = experts / g.count, l = lane(), e0 = l * each;
  float sum = 0, below = __builtin_inff(); // what is counted is at least this, and of equals comes up to place `at`
  int at = -1;
  NO_UNROLL for (int j = 0; j < g.best && l < g.count; j++) {
    float top = 0;
    int id = 0x7fffffff;
    NO_UNROLL for (int e = e0; e < e0 + each; e++) {
      float p = bias ? score[e] + bias[e] : score[e];
      bool left = p < below || (p == below && e > at);
      if (left && (id == 0x7fffffff || p > top)) top = p, id = e;
    }
    sum += top, below = top, at = id;
  }
  u32 chosen = 0;
  NO_UNROLL for (int j = 0; j < g.used; j++) {
    float top = sum;
    int id = l < g.count && !(chosen >> l & 1) ? l : 0x7fffffff;
    route_merge<1>(top, id);
    route_merge<2>(top, id);
    route_merge<4>(top, id);
    route_merge<8>(top, id);
    route_merge<16>(top, id);
    chosen |= 1u << id;
  }
  return chosen;
}

// route_quick is how many experts' keys the registers hold.
enum { route_quick = 256 };

// route_key orders scores as unsigned numbers; 0 is none, and no score has it, not even the NaN whose bits are all set.
DEV u32 route_key(float score) {
  const u32 b = bits<u32>(score + 0.0f); // there is one zero
  const u32 below = ~b;
  return b >> 31 ? (below ? below : 1) : b | 0x80000000;
}

// route picks the experts of a token with logits x, all lanes of a wave together: lane j < top returns id and weight of choice
// j. score is LDS of 1024.
DEV void route(int gating, const float* RESTRICT x, const float* RESTRICT bias, int experts, int top, int norm, float scale, float* score,
               int& choice, float& weight, expert_groups groups = {}) {
  const int l = lane();
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
  wave_fence();
  u32 taken = 0; // bit i: expert l + 32i
  if (groups.count > 1) {
    const u32 chosen = chosen_groups(groups, score, bias, experts);
    NO_UNROLL for (int e = l, i = 0; e < experts; e += 32, i++) taken |= (~chosen >> e / (experts / groups.count) & 1) << i;
  }
  weight = 0, choice = 0;
  float chosen_sum = 0, first = 0;
  const bool quick = experts <= route_quick && groups.count <= 1;
  u32 key[route_quick / 32] = {};
  if (quick)
    UNROLL for (int i = 0; i < route_quick / 32; i++) {
      const int e = l + 32 * i;
      if (e < experts) key[i] = route_key(bias ? score[e] + bias[e] : score[e]);
    }
  for (int j = 0; j < top; j++) {
    int id = 0x7fffffff;
    if (quick) {
      u32 most = 0;
      UNROLL for (int i = 0; i < route_quick / 32; i++)
        if (key[i] > most) most = key[i], id = l + 32 * i;
      const u32 all = wave_max(most);
      id = (int)wave_min(most == all ? (u32)id : 0x7fffffff);
      UNROLL for (int i = 0; i < route_quick / 32; i++)
        if (id == l + 32 * i) key[i] = 0;
    } else {
      float best = 0;
      for (int e = l, i = 0; e < experts; e += 32, i++) {
        float s = score[e], p = bias ? s + bias[e] : s;
        if (!(taken >> i & 1) && (id == 0x7fffffff || p > best)) best = p, id = e;
      }
      route_merge<1>(best, id);
      route_merge<2>(best, id);
      route_merge<4>(best, id);
      route_merge<8>(best, id);
      route_merge<16>(best, id);
      if (id % 32 == l) taken |= 1u << id / 32;
    }
    float best_score = score[id];
    if (j == 0) first = best_score;
    float v = gating == TOPK ? exp_f(best_score - first) : best_score;
    chosen_sum += v;
    if (l == j) {
      weight = v;
      choice = id;
    }
  }
  if (gating == TOPK) weight /= chosen_sum;
  if (norm && gating != TOPK) weight /= __builtin_fmaxf(chosen_sum, 0x1p-14f);
  weight *= scale;
}
