// A DeltaNet layer between its projections. mixed [tokens, channels] is the result of causal_conv_silu_f32_*, in which
// queries, keys and values start at the given channels, heads of dk and dv floats after each other. The rest is as in
// delta_net.h: alpha, beta [tokens, nv]; bias, decay [nv]; state [slots, nv, dv, dk]. dk is n.
//
//   delta_net_core_f32_step<n>    y [tokens, nv, dv] = the gated norm (w [dv], z as y, eps) of the rule's result, token by
//                                 token, for few. dv is a multiple of 4, up to 128. Grid (nv, sequences), blocks of 512: a
//                                 block has a head, and the first sequence's has the padding too, where the rule's
//                                 result counts as 0. Unless codes are null, dv is 128, and codes and ds are the 24-bit
//                                 codes of y (q24.h). LDS 8·n + 512 bytes.
//   delta_net_core_f32_chunk<n>   o [tokens, nv, dv] = the rule's result, 32 tokens at a time; gated_rms_norm follows. Grid
//                                 (nv·⌈dv/32⌉, sequences+1), blocks of 128. LDS 46,848 bytes for n = 128.
//
// The bits of what they replace: l2_norm, softplus, gated_delta_net and so on. Reference: the expansion. Launched by
// delta_net_core.go.
#include "delta_net.h"

// core is where the channels of queries, keys and values start, and what the end of the layer reads and writes.
struct core {
  const float *w, *z;
  float* y;
  q24_out out;
  float eps;
};

// core_end writes the norm of the rule's result at token t of head h, of which lane l of a wave has vector l.
DEV void core_end(const core& c, const delta& a, int t, int h, f32x4 v, f32x4 w, f32x4 z) {
  const int last = a.dv / 4 - 1, l = lane();
  float factor = rms_factor(wave_sum(l <= last ? sum_squares(v, 0) : 0), a.dv, c.eps);
  f32x4 g;
  UNROLL for (int e = 0; e < 4; e++) g[e] = silu_f(z[e]);
  v = rms_scale(v, w, factor) * g;
  u32 at = (u32)(t * a.nv + h) * (a.dv / 4) + l;
  if (l <= last) {
    ((f32x4*)c.y)[at] = v;
    if (c.out.codes) q24_vectors(v, at, c.out);
  }
}

template <int N> DEV void delta_step(const delta& a, const core& c, float* tk, float* tq, float* to) {
  const int h = block_x(), b = block_y(), row = tid() / 4, part = tid() % 4;
  const int key = delta_key_head(a, h), first = a.starts[b], last = a.starts[b + 1];
  const int vectors = a.dv / 4, l = lane() < vectors ? lane() : vectors - 1;
  const f32x4* zs = (const f32x4*)c.z + h * vectors + l;
  const f32x4 w = ((const f32x4*)c.w)[l];
  if (first < last) {
    float* state = delta_row_at(a, b, h, row);
    delta_row<N> r;
    delta_load(r, state, N);
    for (int t = first; t < last; t++) {
      float g, beta;
      delta_gates<DELTA_CORE>(a, t, h, g, beta);
      float v = a.v[(i64)t * a.v_pitch + h * a.dv + (row < a.dv ? row : a.dv - 1)];
      f32x4 z = zs[(i64)t * a.nv * vectors];
      if (wave() == 0) delta_stage<N, DELTA_CORE>(tk, a.k, a.qk_pitch, t, key, N, a.k_eps);
      if (wave() == 1) delta_stage<N, DELTA_CORE>(tq, a.q, a.qk_pitch, t, key, N, a.q_eps);
      barrier();
      float decay = exp_f(g), u = beta * (v - decay * delta_dot(r, tk));
      delta_add(r, decay, u, tk);
      float o = delta_dot(r, tq);
      if (part == 0) to[row] = a.scale * o;
      barrier();
      if (wave() == 0) core_end(c, a, t, h, *(const f32x4*)(to + 4 * l), w, z);
    }
    delta_store(r, state, N, row < a.dv);
  }
  if (b > 0 || wave() > 0) return;
  for (int t = a.starts[a.sequences]; t < a.tokens; t++) core_end(c, a, t, h, (f32x4){}, w, zs[(i64)t * a.nv * vectors]);
}

#define RULE                                                                                                              \
  const float *RESTRICT mixed, const float *RESTRICT alpha, const float *RESTRICT beta, const float *RESTRICT bias,        \
      const float *RESTRICT decay, float *RESTRICT state, const int *RESTRICT starts, const int *RESTRICT slots, int channels, int q, int k,  \
      int v, int sequences, int tokens, int nk, int nv, int dk, int dv, int tiled, float scale, float q_eps, float k_eps
#define DELTA(o)                                                                                                          \
  (delta{mixed + q, mixed + k, mixed + v, channels, channels, alpha, beta, bias, decay, q_eps, k_eps, state, o, starts, slots, sequences,    \
         tokens, nk, nv, dk, dv, tiled, scale})

#define KERNELS(n)                                                                                                        \
  KERNEL(512) delta_net_core_f32_step##n(RULE, const float *RESTRICT w, const float *RESTRICT z, float *RESTRICT y,        \
                                         i8 *RESTRICT codes, float *RESTRICT ds, float eps) {                             \
    LDS float tk[n], tq[n], to[128];                                                                                      \
    delta_step<n>(DELTA(0), core{w, z, y, q24_out{codes, ds, (u32)(tokens * nv * dv)}, eps}, tk, tq, to);                 \
  }                                                                                                                       \
  KERNEL(128) delta_net_core_f32_chunk##n(RULE, float *RESTRICT o) {                                                      \
    LDS delta_lds<n> m;                                                                                                   \
    delta_chunk<n, DELTA_CORE>(DELTA(o), m);                                                                              \
  }
KERNELS(32)
KERNELS(64)
KERNELS(128)
