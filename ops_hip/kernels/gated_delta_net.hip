// The gated delta rule: see delta_net.h. q, k [tokens, nk, dk]; v, o [tokens, nv, dv]; g, beta [tokens, nv]; state [slots,
// nv, dv, dk]. Rows of o from starts[sequences] on, padding, are zero; a sequence without rows is left alone.
//
// Grid (nv·⌈dv/32⌉, sequences+1), blocks of 128: a block takes 32 rows of S of one head. Number of launches: one. Source:
// Yang, Kautz and Hatamizadeh 2024 (arXiv 2412.06464). Reference: ops_ref/gated_delta_net.go. Launched by
// gated_delta_net.go.
//
//   gated_delta_net_f32_serial<n>   Token by token, dk ≤ n for n of 16, 32, 64, 128, 256. LDS 64·n bytes.
//   gated_delta_net_f32_chunk<n>    32 tokens at a time, dk ≤ n for n of 32, 64, 128. LDS 46,848 bytes for n = 128.
//   gated_delta_net_f32_kept<n>     As serial, with slots [sequences, 1+kept].
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

// delta_lds is what the chunked form keeps in LDS. Rows are padded against bank conflicts.
template <int N> struct delta_lds {
  float k[32][N + 4], q[32][N + 4];
  float products[32][33];     // kk below the diagonal, qk above it, transposed and shifted by a column
  float u[32][33], o[32][33]; // by token and row
  float g[32], sum[32], beta[32];

  DEV float& kk(delta_lds& m, int i, int j) { return m.products[i][j]; }     // e^(G_i-G_j)·k_i·k_j, j < i
  DEV float& qk(delta_lds& m, int i, int j) { return m.products[j][i + 1]; } // e^(G_i-G_j)·q_i·k_j, j ≤ i
};

// delta_chunk runs the rule for 32 tokens at once (section 3 of the paper), with G_i the sum of g up to token i:
//
//   u_i = beta_i·(v_i - e^G_i·S·k_i - Σ_{j<i} kk_ij·u_j)
//   o_i = scale·(e^G_i·S·q_i + Σ_{j≤i} qk_ij·u_j)
//   S   = e^G_n·S + Σ_j e^(G_n-G_j)·u_j⊗k_j
//
// Tokens past the end count as zeros, which change nothing. A block of 128 takes 32 rows of a head.
template <int N> DEV void delta_chunk(const delta& a, delta_lds<N>& m) {
  typedef delta_lds<N> lds;
  const int slices = (a.dv + 31) / 32, h = block_x() / slices, local = tid() / 4, p = tid() % 4, row = block_x() % slices * 32 + local;
  if (delta_padding(a, h, row)) return;
  const int key = delta_key_head(a, h), b = block_y(), first = a.starts[b], last = a.starts[b + 1];
  if (first == last) return;
  float* state = delta_row_at(a, b * (1 + a.kept), h, row);
  delta_row<N> r;
  delta_load(r, state, a.dk);
  for (int t0 = first; t0 < last; t0 += 32) {
    barrier();
    for (int i = wave(); i < 32; i += 4) {
      int t = t0 + i < last ? t0 + i : -1;
      delta_stage<N, DELTA_PLAIN>(m.k[i], a.k, a.qk_pitch, t, key, a.dk, 0);
      delta_stage<N, DELTA_PLAIN>(m.q[i], a.q, a.qk_pitch, t, key, a.dk, 0);
    }
    if (tid() < 32) {
      bool in = t0 + tid() < last;
      i64 at = (i64)(t0 + tid()) * a.nv + h;
      m.g[tid()] = in ? a.g[at] : 0;
      m.beta[tid()] = in ? a.beta[at] : 0;
    }
    barrier();
    if (tid() < 32) {
      float s = 0;
      for (int i = 0; i <= tid(); i++) s += m.g[i];
      m.sum[tid()] = s;
    }
    barrier();
    { // thread (i, p) computes columns j = p, p+4, ... of row i
      int i = local;
      float kk[8] = {}, qk[8] = {};
      NO_UNROLL for (int c = 0; c < N; c += 4) {
        f32x4 ki = *(const f32x4*)&m.k[i][c], qi = *(const f32x4*)&m.q[i][c];
        UNROLL for (int j = 0; j < 8; j++) {
          f32x4 kj = *(const f32x4*)&m.k[p + 4 * j][c];
          UNROLL for (int e = 0; e < 4; e++) kk[j] = __builtin_fmaf(ki[e], kj[e], kk[j]), qk[j] = __builtin_fmaf(qi[e], kj[e], qk[j]);
        }
      }
      UNROLL for (int j = 0; j < 8; j++) {
        int col = p + 4 * j;
        if (col > i) continue;
        float e = exp_f(m.sum[i] - m.sum[col]);
        lds::qk(m, i, col) = e * qk[j];
        if (col < i) lds::kk(m, i, col) = e * kk[j];
      }
    }
    NO_UNROLL for (int i = 0; i < 32; i++) {
      float decay = exp_f(m.sum[i]), sk = delta_dot(r, m.k[i]), sq = delta_dot(r, m.q[i]);
      float v = row < a.dv && t0 + i < last ? a.v[(i64)(t0 + i) * a.v_pitch + h * a.dv + row] : 0;
      if (p == 0) m.u[i][local] = v - decay * sk, m.o[i][local] = decay * sq;
    }
    barrier();
    NO_UNROLL for (int i = 0; i < 32; i++) { // the four lanes of a row solve for u, one token after the other
      float s = 0;
      for (int j = p; j < i; j += 4) s = __builtin_fmaf(lds::kk(m, i, j), m.u[j][local], s);
      s = lanes_sum<4>(s);
      if (p == 0) m.u[i][local] = m.beta[i] * (m.u[i][local] - s);
      wave_fence();
    }
    NO_UNROLL for (int i = p; i < 32 && t0 + i < last; i += 4) {
      float s = m.o[i][local];
      for (int j = 0; j <= i; j++) s = __builtin_fmaf(lds::qk(m, i, j), m.u[j][local], s);
      if (row < a.dv) a.o[((i64)(t0 + i) * a.nv + h) * a.dv + row] = a.scale * s;
    }
    float total = m.sum[31];
    NO_UNROLL for (int j = 0; j < 32; j++) {
      float u = exp_f(total - m.sum[j]) * m.u[j][local];
      delta_add(r, j == 0 ? exp_f(total) : 1.0f, u, m.k[j]);
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

#define CHUNK(n)                                                                                                          \
  KERNEL(128) gated_delta_net_f32_chunk##n(ARGS) {                                                                        \
    LDS delta_lds<n> m;                                                                                                   \
    delta_chunk<n>(DELTA(0), m);                                                                                \
  }
CHUNK(32)
CHUNK(64)
CHUNK(128)
