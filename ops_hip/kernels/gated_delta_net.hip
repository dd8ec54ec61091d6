// The gated delta rule: see delta_net.h. q, k [tokens, nk, dk]; v, o [tokens, nv, dv]; g, beta [tokens, nv]; state [slots,
// nv, dv, dk]. Rows of o from starts[sequences] on, padding, are zero; a sequence without rows is left alone.
//
// Grid (nv·⌈dv/32⌉, sequences+1), blocks of 128: a block takes 32 rows of S of one head. Number of launches: one. Source:
// Yang, Kautz and Hatamizadeh 2024 (arXiv 2412.06464). Reference: ops_ref/gated_delta_net.go. Launched by
// gated_delta_net.go.
//
//   gated_delta_net_f32_serial<n>   dk ≤ n for n of 16, 32, 64, 128, 256. LDS 64·n bytes.
//   gated_delta_net_f32_kept<n>     The same with slots [sequences, 1+kept].
//
// They go token by token; delta_net_chunk.hip is for many.
#include "delta_net.h"

// delta_padding zeroes row `row` of head h of the padding, if this block is the one after the last sequence.
DEV bool delta_padding(const delta& a, int h, int row) {
  if (block_y() < a.sequences) return false;
  for (int t = a.starts[a.sequences] + tid() % 4; t < a.tokens && row < a.dv; t += 4) a.o[((i64)t * a.nv + h) * a.dv + row] = 0;
  return true;
}

template <int N, bool KEPT> DEV void delta_serial(const delta& a, float* tk, float* tq) {
  const int slices = (a.dv + 31) / 32, h = block_x() / slices, row = block_x() % slices * 32 + tid() / 4;
  if (delta_padding(a, h, row)) return;
  const int key = delta_key_head(a, h), b = block_y(), first = a.starts[b], last = a.starts[b + 1];
  if (first == last) return;
  float* state = delta_row_at(a, b * (1 + a.kept), h, row);
  delta_row<N> r;
  delta_load(r, state, a.dk);
  for (int t0 = first; t0 < last; t0 += 8) {
    barrier();
    for (int i = wave(); i < 8; i += 4) {
      int t = t0 + i < last ? t0 + i : -1;
      delta_stage<N, DELTA_PLAIN>(tk + i * N, a.k, a.qk_pitch, t, key, a.dk, 0);
      delta_stage<N, DELTA_PLAIN>(tq + i * N, a.q, a.qk_pitch, t, key, a.dk, 0);
    }
    barrier();
    for (int i = 0; i < 8 && t0 + i < last; i++) {
      i64 at = (i64)(t0 + i) * a.nv + h;
      float decay = exp_f(a.g[at]), v = row < a.dv ? a.v[at * a.dv + row] : 0;
      float u = a.beta[at] * (v - decay * delta_dot(r, tk + i * N));
      delta_add(r, decay, u, tk + i * N);
      float o = delta_dot(r, tq + i * N);
      if (row < a.dv && tid() % 4 == 0) a.o[at * a.dv + row] = a.scale * o;
      if (KEPT) delta_keep(r, a, b, t0 + i, h, row);
    }
  }
  delta_store(r, state, a.dk, row < a.dv);
}

#define ARGS                                                                                                              \
  const float *RESTRICT q, const float *RESTRICT k, const float *RESTRICT v, const float *RESTRICT g, const float *RESTRICT beta, \
      float *RESTRICT state, float *RESTRICT o, const int *RESTRICT starts, const int *RESTRICT slots, int sequences, int tokens, int nk, int nv, int dk,    \
      int dv, int tiled, float scale
#define DELTA(kept)                                                                                                       \
  (delta{q, k, v, nk * dk, nv * dv, g, beta, 0, 0, 0, 0, state, o, starts, slots, sequences, tokens, nk, nv, dk, dv, tiled, scale, kept})

#define SERIAL(n)                                                                                                         \
  KERNEL(128) gated_delta_net_f32_serial##n(ARGS) {                                                                       \
    LDS float tk[8 * n], tq[8 * n];                                                                                       \
    delta_serial<n, false>(DELTA(0), tk, tq);                                                                             \
  }                                                                                                                       \
  KERNEL(128) gated_delta_net_f32_kept##n(ARGS, int kept) {                                                               \
    LDS float tk[8 * n], tq[8 * n];                                                                                       \
    delta_serial<n, true>(DELTA(kept), tk, tq);                                                                           \
  }
SERIAL(16)
SERIAL(32)
SERIAL(64)
SERIAL(128)
SERIAL(256)
