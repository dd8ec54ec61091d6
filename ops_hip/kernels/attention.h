// What the attention kernels share: arguments and the paged cache.
//
// o[t][h] = Σ_j p_j·v_j over the keys j that token t sees: positions 0 to pos[t] of sequence seq[t], or the last
// `window` of them if window > 0; p = softmax of the scores scale·q·k, which softcap > 0 turns into
// softcap·tanh(score/softcap); sinks[h], where given, is one more logit without a value. Rows of tokens with seq < 0
// are zero. gate, where given, lets a part of the result pass: row r is multiplied by the sigmoid of gate[r·gate_stride].
// q [tokens, heads, dk]; k [pages·page, kv_heads, dk]; v [pages·page, kv_heads, dv]; o [tokens, heads, dv];
// pages [sequences, per_seq]. Query head h uses KV head h/(heads/kv_heads).
//
// Softmax is computed online: m is the largest score so far, l the sum of e^(score-m), and both they and the weighted
// sum of values are scaled when m grows (Milakov and Gimelshein 2018, arXiv 1805.02867).
#pragma once
#include "math.h"
#include "quant_bf16.h"
#include "quant_f16.h"
#include "quant_f32.h"
#include "quant_q8_0.h"

struct attention_args {
  const float* q;
  const u8 *k, *v;
  const int *pos, *seq, *pages;
  const float* sinks; // null for none
  float* o;
  int tokens, heads, kv_heads, dk, dv, page, per_seq;
  float scale, softcap;
  int window;
  const float* gate; // null for none
  int gate_stride;
};

#define ATTENTION_PARAMS                                                                                                       \
  const float *RESTRICT q, const u8 *RESTRICT k, const u8 *RESTRICT v, const int *RESTRICT pos, const int *RESTRICT seq,       \
      const int *RESTRICT pages, const float *RESTRICT sinks, float *RESTRICT o, int tokens, int heads, int kv_heads, int dk, \
      int dv, int page, int per_seq, float scale, float softcap, int window,           \
      const float *RESTRICT gate, int gate_stride
#define ATTENTION_ARGS \
  (attention_args){q, k, v, pos, seq, pages, sinks, o, tokens, heads, kv_heads, dk, dv, page, per_seq, scale, softcap, window, gate, gate_stride}

// score_of finishes a dot product.
DEV float score_of(const attention_args& a, float dot) {
  float s = a.scale * dot;
  return a.softcap > 0 ? a.softcap * tanh_f(s / a.softcap) : s;
}

// gated returns what a gate lets pass of element d of row r of the result.
DEV float gated(const float* gate, int gate_stride, i64 r, int d, float y) {
  return gate ? y * sigmoid_f(gate[r * gate_stride + d]) : y;
}

// cache_row returns the place of a position of a sequence, in tokens from the start of the cache.
DEV int cache_row(const attention_args& a, int seq, u32 position) {
  u32 page = a.page;
  return a.pages[(i64)seq * a.per_seq + position / page] * a.page + position % page;
}
