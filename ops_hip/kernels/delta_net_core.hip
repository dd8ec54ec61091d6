// A DeltaNet layer between its projections. x [tokens, channels] is the result of causal_conv_silu_f32_*, or what goes into
// that convolution if window, its state [slots, 3, channels], is not null: filters [channels, 4] are applied then. Queries,
// keys and values start at the channels q, k and v, heads of dk and dv floats after each other. The rest is as in
// delta_net.h: alpha, beta [tokens, nv]; bias, decay [nv]; state [slots, nv, dv, dk]. dk is n.
//
//   delta_net_core_f32_step<n>    Token by token, for few. LDS 8·n + 528 bytes.
//   delta_net_core_f32_chunk<n>   16 tokens at a time; window is null. LDS 36,160 bytes for n = 128.
//   delta_net_core_f32_step_kept<n>, delta_net_core_f32_chunk_kept<n>
//                                 The same with slots [sequences, 1+kept]. The chunked form leaves sequences alone that keep
//                                 states, and the step, if `only`, all others and the padding.
//
// y [tokens, nv, dv] = the gated norm (w [dv], z as y, eps) of the rule's result. dv is a multiple of 4, up to 128. Grid (nv,
// sequences), blocks of 512: a block has a head, and the first sequence's has the padding too, where the rule's result counts
// as 0. Unless codes are null, dv is 128, and codes and ds are the 24-bit codes of y (q24.h); then y may be null.
//
// Value heads share channels of queries and keys, so that the last block to finish advances the window of these; counter
// tells which one that is.
//
// The step gives the bits of what it replaces: causal_conv, l2_norm, softplus, gated_delta_net and so on. Reference: the
// expansion. Launched by delta_net_core.go.
#include "delta_net.h"

// core is what the end of the layer reads and writes.
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
    if (c.y) ((f32x4*)c.y)[at] = v;
    if (c.out.codes) q24_vectors(v, at, c.out);
  }
}

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
  if (first < last && (!KEPT || !only || keeps(a.slots, a.kept, b, last - first))) {
    const int slot = a.slots[b * (1 + a.kept)];
    const int value = h * a.dv + (row < a.dv ? row : a.dv - 1), own = key * N + 4 * (lane() < N / 4 ? lane() : N / 4 - 1);
    float* state = delta_row_at(a, b * (1 + a.kept), h, row);
    delta_row<N> r;
    delta_load(r, state, N);
    conv_lane unit = {};
    f32x4 filter = {};
    float old[3] = {};
    if (cv.window) {
      filter = *(const f32x4*)(cv.w + 4 * (cv.v + value));
      UNROLL for (int j = 0; j < 3; j++) old[j] = core_conv::row(cv, slot, j)[cv.v + value];
      if (wave() < 2) unit = conv_lane::at(cv, slot, (wave() == 0 ? cv.k : cv.q) + own);
    }
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
  if (!cv.window || !last_block(cv.counter, a.nv * a.sequences, &m.last)) return;
  core_advance<KEPT>(cv, a, cv.k, a.nk * N);
  core_advance<KEPT>(cv, a, cv.q, a.nk * N);
}

// in_turn keeps the compiler from moving loads ahead, which would cost registers.
DEV void in_turn() {
#if GPU_AMD
  __builtin_amdgcn_sched_barrier(0);
#endif
}

// core_lds is what the chunked form keeps in LDS. Rows are padded against bank conflicts.
template <int N> struct core_lds {
  float k[16][N + 4], q[16][N + 4];
  float u[16][132], o[16][132]; // by token and row of S
  float kk[16][16], qk[16][16]; // 0 above the diagonal, kk on it too
  float g[16], beta[16], sum[16], decay[16], tail[16];
};

// delta_chunk runs the rule for 16 tokens at once (section 3 of the paper), with G_i the sum of g up to token i:
//
//   u_i = beta_i·(v_i - e^G_i·S·k_i - Σ_{j<i} kk_ij·u_j),  kk_ij = e^(G_i-G_j)·k_i·k_j
//   o_i = scale·(e^G_i·S·q_i + Σ_{j≤i} qk_ij·u_j),         qk_ij = e^(G_i-G_j)·q_i·k_j
//   S   = e^G_n·S + Σ_j e^(G_n-G_j)·u_j⊗k_j
//
// Tokens past the end count as zeros, which change nothing. Each wave has a token when tokens are read and written, and eight
// rows of S in between, of whose u all lanes of a row keep all.
template <int N, bool KEPT> DEV void delta_chunk(const delta& a, const core& c, core_lds<N>& m) {
  const int h = block_x(), b = block_y(), row = tid() / 4, p = tid() % 4, own = wave();
  const int key = delta_key_head(a, h), first = a.starts[b], last = a.starts[b + 1];
  const int vectors = a.dv / 4, l = lane() < vectors ? lane() : vectors - 1;
  const f32x4* zs = (const f32x4*)c.z + h * vectors + l;
  const f32x4 w = ((const f32x4*)c.w)[l];
  if (first < last && !(KEPT && keeps(a.slots, a.kept, b, last - first))) {
    float* state = delta_row_at(a, b * (1 + a.kept), h, row);
    delta_row<N> r;
    delta_load(r, state, N);
    for (int t0 = first; t0 < last; t0 += 16) {
      const bool in = t0 + own < last;
      const int t = in ? t0 + own : last - 1;
      barrier();
      delta_stage<N, DELTA_CORE>(m.k[own], a.k, a.qk_pitch, in ? t : -1, key, N, a.k_eps);
      delta_stage<N, DELTA_CORE>(m.q[own], a.q, a.qk_pitch, in ? t : -1, key, N, a.q_eps);
      f32x4 z = zs[(i64)t * a.nv * vectors];
      float g, beta;
      delta_gates<DELTA_CORE>(a, t, h, g, beta);
      if (lane() == 0) m.g[own] = in ? g : 0, m.beta[own] = in ? beta : 0;
      barrier();
      if (tid() < 16) {
        float s = 0, total = 0;
        for (int i = 0; i < 16; i++) {
          total += m.g[i];
          if (i == tid()) s = total;
        }
        m.sum[tid()] = s, m.decay[tid()] = exp_f(s), m.tail[tid()] = exp_f(total - s);
      }
      barrier();
      { // half a wave has k·k of its token with all others, the other half q·k
        const int j = lane() % 16;
        const float* x = lane() < 16 ? m.k[own] : m.q[own];
        float s = 0;
        NO_UNROLL for (int i = 0; i < N; i += 4) {
          f32x4 y = *(const f32x4*)(x + i), k = *(const f32x4*)&m.k[j][i];
          UNROLL for (int e = 0; e < 4; e++) s = __builtin_fmaf(y[e], k[e], s);
        }
        s *= exp_f(j <= own ? m.sum[own] - m.sum[j] : 0);
        if (lane() < 16)
          m.kk[own][j] = j < own ? s : 0;
        else
          m.qk[own][j] = j <= own ? s : 0;
      }
      NO_UNROLL for (int i = 0; i < 16; i++) {
        float decay = m.decay[i], sk = decay * delta_dot(r, m.k[i]), sq = decay * delta_dot(r, m.q[i]);
        if (p == 0) m.u[i][row] = sk, m.o[i][row] = sq;
      }
      barrier();
      float u[16];
      const float* v = a.v + h * a.dv + (row < a.dv ? row : a.dv - 1);
      UNROLL for (int i = 0; i < 16; i++) {
        int at = t0 + i < last ? t0 + i : last - 1; // whose u is 0 beyond the end, like beta
        u[i] = v[(i64)at * a.v_pitch] - m.u[i][row];
      }
      UNROLL for (int i = 0; i < 16; i++) {
        float s = 0;
        UNROLL for (int j = 0; j < i; j++) s = __builtin_fmaf(m.kk[i][j], u[j], s);
        u[i] = m.beta[i] * (u[i] - s);
        in_turn();
      }
      NO_UNROLL for (int i = p; i < 16; i += 4) {
        float s = m.o[i][row];
        UNROLL for (int j = 0; j < 16; j++) s = __builtin_fmaf(m.qk[i][j], u[j], s);
        m.o[i][row] = a.scale * s;
      }
      wave_fence();
      if (p == 0) UNROLL for (int j = 0; j < 16; j++) m.u[j][row] = m.tail[j] * u[j];
      wave_fence();
      float total = m.decay[15];
      NO_UNROLL for (int j = 0; j < 16; j++) delta_add(r, j == 0 ? total : 1.0f, m.u[j][row], m.k[j]);
      barrier();
      if (in) core_end(c, a, t, h, *(const f32x4*)&m.o[own][4 * l], w, z);
    }
    delta_store(r, state, N, row < a.dv);
  }
  if (b == 0) core_padding(a, c, h, own, 16, w, zs);
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
  KERNEL(512) delta_net_core_f32_chunk##n(PARAMS) {                                                                       \
    LDS core_lds<n> m;                                                                                                    \
    delta_chunk<n, false>(DELTA(0), CORE, m);                                                                             \
  }                                                                                                                       \
  KERNEL(512) delta_net_core_f32_step_kept##n(PARAMS, int kept, int only) {                                               \
    LDS step_lds<n> m;                                                                                                    \
    delta_step<n, true>(DELTA(kept), CORE, CONV, only, m);                                                                \
  }                                                                                                                       \
  KERNEL(512) delta_net_core_f32_chunk_kept##n(PARAMS, int kept) {                                                        \
    LDS core_lds<n> m;                                                                                                    \
    delta_chunk<n, true>(DELTA(kept), CORE, m);                                                                           \
  }
KERNELS(32)
KERNELS(64)
KERNELS(128)
