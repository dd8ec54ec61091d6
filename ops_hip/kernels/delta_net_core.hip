// A DeltaNet layer between its projections. x [tokens, channels] is the result of causal_conv_silu_f32_*, or what goes into
// that convolution if window, its state [slots, 3, channels], is not null: filters [channels, 4] are applied then. Queries,
// keys and values start at the channels q, k and v, heads of dk and dv floats after each other. The rest is as in
// delta_net.h: alpha, beta [tokens, nv]; bias, decay [nv]; state [slots, nv, dv, dk]. dk is n.
//
//   delta_net_core_f32_step<n>        LDS 8·n + 516 bytes.
//   delta_net_core_f32_step_kept<n>   The same with slots [sequences, 1+kept]. If `only`, it leaves sequences alone that keep no
//                                     states, and the padding.
//
// They go token by token, for few; delta_net_chunk.hip is for many.
//
// y [tokens, nv, dv] = the gated norm (w [dv], z as y, eps) of the rule's result. dv is a multiple of 4, up to 128. Grid (nv,
// sequences), blocks of 512: a block has a head, and the first sequence's has the padding too, where the rule's result counts
// as 0. Unless codes are null, dv is 128, and codes and ds are the 24-bit codes of y (q24.h); then y may be null.
//
// Value heads share channels of queries and keys, so that the last block to have read the window of these advances it; counter tells
// which one that is.
//
// Results are the bits of what the kernels replace: causal_conv, l2_norm, softplus, gated_delta_net and so on. Reference: the
// expansion. Launched by delta_net_core.go.
#include "delta_net_core.h"

// core_padding writes the padding, of which wave `first` of a block has the first token and each other the next.
DEV void core_padding(const delta& a, const core& c, int h, int first, int waves, f32x4 w, const f32x4* zs) {
  for (int t = a.starts[a.sequences] + first; t < a.tokens; t += waves) core_end(c, a, t, h, (f32x4){}, w, zs[(i64)t * (a.nv * (a.dv / 4))]);
}

// core_conv is the convolution in front: filters w of four taps, and the rows of each sequence before its first token.
struct core_conv {
  const float* x;
  float* window;
  const float* w;
  u32* counter;
  int channels, q, k, v;

  DEV float* row(const core_conv& c, int slot, int j) { return c.window + (i64)(slot * 3 + j) * c.channels; }
};

// conv4 returns what the filter w makes of four rows, the newest last.
DEV float conv4(f32x4 w, float a, float b, float c, float d) {
  float s = 0;
  s = __builtin_fmaf(w[0], a, s);
  s = __builtin_fmaf(w[1], b, s);
  s = __builtin_fmaf(w[2], c, s);
  return silu_f(__builtin_fmaf(w[3], d, s));
}

// conv_lane slides over four neighbouring channels.
struct conv_lane {
  f32x4 w[4], old[3];

  DEV conv_lane at(const core_conv& c, int slot, int channel) {
    conv_lane l;
    UNROLL for (int e = 0; e < 4; e++) l.w[e] = *(const f32x4*)(c.w + 4 * (channel + e));
    UNROLL for (int j = 0; j < 3; j++) l.old[j] = *(const f32x4*)(core_conv::row(c, slot, j) + channel);
    return l;
  }
  DEV f32x4 next(conv_lane& l, f32x4 x) {
    f32x4 y;
    UNROLL for (int e = 0; e < 4; e++) y[e] = conv4(l.w[e], l.old[0][e], l.old[1][e], l.old[2][e], x[e]);
    l.old[0] = l.old[1], l.old[1] = l.old[2], l.old[2] = x;
    return y;
  }
};

// core_window copies the three rows before token `rows` of a sequence to the window in slot a.slots[to], channels i to i+3.
// They are rows of x from the sequence's first token on, and of the window in its own slot, a.slots[own], before.
DEV void core_window(const core_conv& c, const delta& a, int to, int own, int first, int rows, int i) {
  UNROLL for (int j = 0; j < 3; j++) { // rows only move down
    const int t = rows - 3 + j;
    const float* src = t < 0 ? core_conv::row(c, a.slots[own], t + 3) : c.x + (i64)(first + t) * c.channels;
    *(f32x4*)(core_conv::row(c, a.slots[to], j) + i) = *(const f32x4*)(src + i);
  }
}

// core_advance replaces the rows of the channels [from, from+n) before the first token by the last three of each sequence,
// and keeps those of the tokens before the last where that is wanted.
template <bool KEPT> DEV void core_advance(const core_conv& c, const delta& a, int from, int n) {
  for (int b = 0; b < a.sequences; b++) {
    const int first = a.starts[b], rows = a.starts[b + 1] - first;
    if (rows == 0) continue;
    const int own = b * (1 + a.kept);
    for (int i = from + 4 * tid(); i < from + n; i += 4 * 512) {
      if (KEPT)
        for (int j = 1; j <= a.kept; j++) {
          const int at = kept_at(a.slots, a.kept, b, j, rows);
          if (at >= 0) core_window(c, a, at, own, first, rows - j, i);
        }
      core_window(c, a, own, own, first, rows, i);
    }
  }
}

// core_read tells that the block has read the window of queries and keys: what it read is in registers, and in LDS behind the barrier
// before. It returns how many blocks had told before, to the one thread that core_teller names.
DEV bool core_teller() { return tid() == 480; }
DEV u32 core_read(const core_conv& c) {
  if (!core_teller()) return 0;
  device_release();
  return take_ticket(c.counter);
}

// step_lds is what the step keeps in LDS.
template <int N> struct step_lds {
  float k[N], q[N], o[128];
  int last;
};

// delta_step takes all sequences, or only those that keep states.
template <int N, bool KEPT> DEV void delta_step(const delta& a, const core& c, const core_conv& cv, bool only, step_lds<N>& m) {
  const int h = block_x(), b = block_y(), row = tid() / 4, part = tid() % 4;
  const int key = delta_key_head(a, h), first = a.starts[b], last = a.starts[b + 1];
  const int vectors = a.dv / 4, l = lane() < vectors ? lane() : vectors - 1;
  const f32x4* zs = (const f32x4*)c.z + h * vectors + l;
  const f32x4 w = ((const f32x4*)c.w)[l];
  // What no launch of the step but this one writes is on the way while that before ends.
  allow_launches();
  const bool takes = first < last && (!KEPT || !only || keeps(a.slots, a.kept, b, last - first));
  const int slot = takes ? a.slots[b * (1 + a.kept)] : 0;
  const int value = h * a.dv + (row < a.dv ? row : a.dv - 1), own = key * N + 4 * (lane() < N / 4 ? lane() : N / 4 - 1);
  float* state = takes ? delta_row_at(a, b * (1 + a.kept), h, row) : 0;
  delta_row<N> r;
  conv_lane unit = {};
  f32x4 filter = {};
  float old[3] = {};
  if (takes) {
    delta_load(r, state, N);
    if (cv.window) {
      filter = *(const f32x4*)(cv.w + 4 * (cv.v + value));
      UNROLL for (int j = 0; j < 3; j++) old[j] = core_conv::row(cv, slot, j)[cv.v + value];
      if (wave() < 2) unit = conv_lane::at(cv, slot, (wave() == 0 ? cv.k : cv.q) + own);
    }
  }
  await_launches();
  u32 told = 0;
  if (cv.window && !takes) told = core_read(cv);
  if (takes) {
    for (int t = first; t < last; t++) {
      float g, beta;
      delta_gates<DELTA_CORE>(a, t, h, g, beta);
      float v = a.v[(i64)t * a.v_pitch + value];
      f32x4 z = zs[(i64)t * a.nv * vectors];
      if (wave() < 2) {
        const bool is_key = wave() == 0;
        f32x4 x = *(const f32x4*)((is_key ? a.k : a.q) + (i64)t * a.qk_pitch + own);
        if (cv.window) x = conv_lane::next(unit, x);
        delta_unit<N>(is_key ? m.k : m.q, x, true, is_key ? a.k_eps : a.q_eps);
      }
      if (cv.window) {
        float x = v;
        v = conv4(filter, old[0], old[1], old[2], x);
        old[0] = old[1], old[1] = old[2], old[2] = x;
      }
      barrier();
      if (cv.window && t == first) told = core_read(cv);
      float decay = exp_f(g), u = beta * (v - decay * delta_dot(r, m.k));
      delta_add(r, decay, u, m.k);
      float o = delta_dot(r, m.q);
      if (part == 0) m.o[row] = a.scale * o;
      barrier();
      if (wave() == 0) core_end(c, a, t, h, *(const f32x4*)(m.o + 4 * l), w, z);
      if (KEPT) {
        const int at = kept_at(a.slots, a.kept, b, last - 1 - t, last - first);
        if (at >= 0) delta_store(r, delta_row_at(a, at, h, row), N, row < a.dv);
        if (at >= 0 && cv.window && part == 0 && row < a.dv)
          UNROLL for (int j = 0; j < 3; j++) core_conv::row(cv, a.slots[at], j)[cv.v + value] = old[j];
      }
    }
    delta_store(r, state, N, row < a.dv);
    if (cv.window && part == 0 && row < a.dv)
      UNROLL for (int j = 0; j < 3; j++) core_conv::row(cv, slot, j)[cv.v + value] = old[j];
  }
  if (b == 0 && (!KEPT || !only)) core_padding(a, c, h, wave(), 16, w, zs);
  if (!cv.window) return;
  if (core_teller()) {
    const bool all = told == (u32)(a.nv * a.sequences) - 1;
    if (all) *cv.counter = 0;
    m.last = all;
  }
  barrier();
  if (!m.last) return;
  device_acquire();
  core_advance<KEPT>(cv, a, cv.k, a.nk * N);
  core_advance<KEPT>(cv, a, cv.q, a.nk * N);
}

#define PARAMS                                                                                                            \
  const float *RESTRICT x, float *RESTRICT window, const float *RESTRICT filters, u32 *counter, const float *RESTRICT alpha, \
      const float *RESTRICT beta, const float *RESTRICT bias, const float *RESTRICT decay, float *RESTRICT state,          \
      const int *RESTRICT starts, const int *RESTRICT slots, int channels, int q, int k, int v, int sequences, int tokens, \
      int nk, int nv, int dk, int dv, int tiled, float scale, float q_eps, float k_eps, const float *RESTRICT w,           \
      const float *RESTRICT z, float *RESTRICT y, i8 *RESTRICT codes, float *RESTRICT ds, float eps
#define DELTA(kept)                                                                                                       \
  (delta{x + q, x + k, x + v, channels, channels, alpha, beta, bias, decay, q_eps, k_eps, state, 0, starts, slots, sequences,    \
         tokens, nk, nv, dk, dv, tiled, scale, kept})
#define CONV (core_conv{x, window, filters, counter, channels, q, k, v})
#define CORE (core{w, z, y, q24_out{codes, ds, (u32)(tokens * nv * dv)}, eps})

#define KERNELS(n)                                                                                                        \
  KERNEL(512) delta_net_core_f32_step##n(PARAMS) {                                                                        \
    LDS step_lds<n> m;                                                                                                    \
    delta_step<n, false>(DELTA(0), CORE, CONV, false, m);                                                                 \
  }                                                                                                                       \
  KERNEL(512) delta_net_core_f32_step_kept##n(PARAMS, int kept, int only) {                                               \
    LDS step_lds<n> m;                                                                                                    \
    delta_step<n, true>(DELTA(kept), CORE, CONV, only, m);                                                                \
  }
KERNELS(32)
KERNELS(64)
KERNELS(128)
