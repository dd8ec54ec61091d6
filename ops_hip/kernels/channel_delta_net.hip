// The gated delta rule with a decay for each channel of the key:
//
//   S = S·diag(e^g);  u = beta·(v - S·k);  S += u⊗k;  o = scale·S·q
//
// q, k, g [tokens, heads, dk]; v, o [tokens, heads, dv]; beta [tokens, heads]; state [slots, heads, dv, dk] holds S of
// sequence b at slots[b]. Rows of o from starts[sequences] on, padding, are zero; a sequence without rows is left alone.
//
// Grid (heads·⌈dv/32⌉, sequences+1), blocks of 128: a block takes 32 rows of S of one head, four lanes a row, as
// delta_net.h says. Source: Kimi Team 2025 (arXiv 2510.26692). Reference: ops_ref/channel_delta_net.go. Launched by
// channel_delta_net.go.
//
//   channel_delta_net_f32        Token by token, dk ≤ 128; narrower heads are padded. LDS 12,288 bytes.
//   channel_delta_net_f32_kept   The same with slots [sequences, 1+kept].
#include "delta_net.h"

template <int N, bool KEPT> DEV void channel_delta(const delta& a, float (*tk)[N], float (*tq)[N], float (*td)[N]) {
  const int slices = (a.dv + 31) / 32, h = block_x() / slices, row = block_x() % slices * 32 + tid() / 4, b = block_y();
  if (b == a.sequences) {
    for (int t = a.starts[b] + tid() % 4; t < a.tokens && row < a.dv; t += 4) a.o[((i64)t * a.nv + h) * a.dv + row] = 0;
    return;
  }
  const int first = a.starts[b], last = a.starts[b + 1];
  if (first == last) return;
  float* state = delta_row_at(a, b * (1 + a.kept), h, row);
  delta_row<N> r;
  delta_load(r, state, a.dk);
  for (int t0 = first; t0 < last; t0 += 8) {
    barrier();
    NO_UNROLL for (int i = wave(); i < 8; i += 4) {
      int t = t0 + i < last ? t0 + i : -1;
      delta_stage<N, DELTA_PLAIN>(tk[i], a.k, a.qk_pitch, t, h, a.dk, 0);
      delta_stage<N, DELTA_PLAIN>(tq[i], a.q, a.qk_pitch, t, h, a.dk, 0);
      delta_stage<N, DELTA_PLAIN>(td[i], a.g, a.qk_pitch, t, h, a.dk, 0);
      for (int c = lane(); c < N; c += 32) td[i][c] = exp_f(td[i][c]); // what the same lane wrote
    }
    barrier();
    NO_UNROLL for (int i = 0; i < 8 && t0 + i < last; i++) {
      i64 at = (i64)(t0 + i) * a.nv + h;
      UNROLL for (int c = 0; c < N / 16; c++) r.s[c] *= delta_row<N>::part(td[i], c);
      float v = row < a.dv ? a.v[at * a.dv + row] : 0;
      delta_add(r, 1, a.beta[at] * (v - delta_dot(r, tk[i])), tk[i]);
      float o = delta_dot(r, tq[i]);
      if (row < a.dv && tid() % 4 == 0) a.o[at * a.dv + row] = a.scale * o;
      if (KEPT) delta_keep(r, a, b, t0 + i, h, row);
    }
  }
  delta_store(r, state, a.dk, row < a.dv);
}

#define ARGS                                                                                                              \
  const float *RESTRICT q, const float *RESTRICT k, const float *RESTRICT v, const float *RESTRICT g, const float *RESTRICT beta, \
      float *RESTRICT state, float *RESTRICT o, const int *RESTRICT starts, const int *RESTRICT slots, int sequences, int tokens, \
      int heads, int dk, int dv, float scale
#define DELTA(kept)                                                                                                       \
  (delta{q, k, v, heads * dk, heads * dv, g, beta, 0, 0, 0, 0, state, o, starts, slots, sequences, tokens, heads, heads, dk, dv, 0, scale, \
         kept})

KERNEL(128) channel_delta_net_f32(ARGS) {
  LDS float tk[8][128], tq[8][128], td[8][128];
  channel_delta<128, false>(DELTA(0), tk, tq, td);
}
KERNEL(128) channel_delta_net_f32_kept(ARGS, int kept) {
  LDS float tk[8][128], tq[8][128], td[8][128];
  channel_delta<128, true>(DELTA(kept), tk, tq, td);
}
