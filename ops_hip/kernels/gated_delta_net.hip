// The gated delta rule of value head h of each sequence b, over rows starts[b] to starts[b+1]-1 of the inputs:
//
//   S = e^g·S;  u = beta·(v - S·k);  S += u⊗k;  o = scale·S·q
//
// q, k [tokens, nk, dk]; v, o [tokens, nv, dv]; g, beta [tokens, nv]; state [slots, nv, dv, dk] holds S of sequence b
// at slots[b]. The key head of h is h%nk if tiled, else h/(nv/nk). Rows of S are independent, so that a block takes 32
// rows of one head; four lanes share a row, lane p holding columns 16i+4p to 16i+4p+3. S stays in registers.
//
// Rows of o from starts[sequences] on, padding, are zero; a sequence without rows is left alone.
//
// Grid (nv·⌈dv/32⌉, sequences+1), blocks of 128. Number of launches: one. Float; a row's dot products are summed per
// lane over its columns in order, then over the four lanes. Source: Yang, Kautz and Hatamizadeh 2024 (arXiv
// 2412.06464). Reference: ops_ref/gated_delta_net.go. Launched by gated_delta_net.go.
//
//   gated_delta_net_f32_serial<n>   Token by token, dk ≤ n for n of 16, 32, 64, 128, 256. LDS 64·n bytes.
//   gated_delta_net_f32_chunk<n>    32 tokens at a time, dk ≤ n for n of 32, 64, 128. LDS 46,848 bytes for n = 128.
#include "math.h"

// delta is the arguments of the kernels.
struct delta {
  const float *q, *k, *v, *g, *beta;
  float *state, *o;
  const int *starts, *slots;
  int sequences, tokens, nk, nv, dk, dv, tiled;
  float scale;
};

// delta_row is the part of a row of S that a lane holds, with N columns padded by zeros.
template <int N> struct delta_row {
  static const int per = N / 4;
  float s[per];

  DEV int column(int c) { return c / 4 * 16 + tid() % 4 * 4 + c % 4; }
  // part returns the lane's columns 16i+4p.. of a padded vector in LDS.
  DEV f32x4 part(const float* x, int i) { return *(const f32x4*)(x + 16 * i + tid() % 4 * 4); }
};

template <int N> DEV void delta_load(delta_row<N>& r, const float* state, int dk) {
  UNROLL for (int c = 0; c < N / 4; c++) r.s[c] = state && r.column(c) < dk ? state[r.column(c)] : 0;
}
template <int N> DEV void delta_store(const delta_row<N>& r, float* state, int dk) {
  if (!state) return;
  UNROLL for (int c = 0; c < N / 4; c++)
    if (r.column(c) < dk) state[r.column(c)] = r.s[c];
}
// delta_dot returns S·x of the lane's row, x padded in LDS.
template <int N> DEV float delta_dot(const delta_row<N>& r, const float* x) {
  f32x4 d = {};
  UNROLL for (int i = 0; i < N / 16; i++) {
    f32x4 y = delta_row<N>::part(x, i);
    UNROLL for (int j = 0; j < 4; j++) d[j] = __builtin_fmaf(r.s[4 * i + j], y[j], d[j]);
  }
  return lanes_sum<4>((d[0] + d[1]) + (d[2] + d[3]));
}
// delta_add sets S = decay·S + u⊗x in the lane's row.
template <int N> DEV void delta_add(delta_row<N>& r, float decay, float u, const float* x) {
  UNROLL for (int i = 0; i < N / 16; i++) {
    f32x4 y = delta_row<N>::part(x, i);
    UNROLL for (int j = 0; j < 4; j++) r.s[4 * i + j] = __builtin_fmaf(u, y[j], decay * r.s[4 * i + j]);
  }
}

// delta_stage copies row t of x [tokens, heads, dk] of a head to `to`, padded with zeros to N; a negative t gives zeros.
template <int N> DEV void delta_stage(float* to, const float* x, int t, int heads, int head, int dk, int from, int step) {
  for (int c = from; c < N; c += step) to[c] = t >= 0 && c < dk ? x[((i64)t * heads + head) * dk + c] : 0;
}

// delta_padding zeroes row `row` of head h of the padding, if this block is the one after the last sequence.
DEV bool delta_padding(const delta& a, int h, int row) {
  if (block_y() < a.sequences) return false;
  for (int t = a.starts[a.sequences] + tid() % 4; t < a.tokens && row < a.dv; t += 4) a.o[((i64)t * a.nv + h) * a.dv + row] = 0;
  return true;
}

template <int N> DEV void delta_serial(const delta& a, float* tk, float* tq) {
  const int slices = (a.dv + 31) / 32, h = block_x() / slices, row = block_x() % slices * 32 + tid() / 4;
  if (delta_padding(a, h, row)) return;
  const int key = a.tiled ? h % a.nk : h / (a.nv / a.nk), b = block_y(), first = a.starts[b], last = a.starts[b + 1];
  if (first == last) return;
  float* state = row < a.dv ? a.state + (((i64)a.slots[b] * a.nv + h) * a.dv + row) * a.dk : nullptr;
  delta_row<N> r;
  delta_load(r, state, a.dk);
  for (int t0 = first; t0 < last; t0 += 8) {
    barrier();
    for (int i = wave(); i < 8; i += 4) {
      int t = t0 + i < last ? t0 + i : -1;
      delta_stage<N>(tk + i * N, a.k, t, a.nk, key, a.dk, lane(), 32);
      delta_stage<N>(tq + i * N, a.q, t, a.nk, key, a.dk, lane(), 32);
    }
    barrier();
    for (int i = 0; i < 8 && t0 + i < last; i++) {
      i64 at = (i64)(t0 + i) * a.nv + h;
      float decay = exp_f(a.g[at]), v = row < a.dv ? a.v[at * a.dv + row] : 0;
      float u = a.beta[at] * (v - decay * delta_dot(r, tk + i * N));
      delta_add(r, decay, u, tk + i * N);
      float o = delta_dot(r, tq + i * N);
      if (row < a.dv && tid() % 4 == 0) a.o[at * a.dv + row] = a.scale * o;
    }
  }
  delta_store(r, state, a.dk);
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

// delta_chunk is the same for 32 tokens at once (section 3 of the paper), with G_i the sum of g up to token i:
//
//   u_i = beta_i·(v_i - e^G_i·S·k_i - Σ_{j<i} kk_ij·u_j)
//   o_i = scale·(e^G_i·S·q_i + Σ_{j≤i} qk_ij·u_j)
//   S   = e^G_n·S + Σ_j e^(G_n-G_j)·u_j⊗k_j
//
// Tokens past the end count as zeros, which change nothing.
template <int N> DEV void delta_chunk(const delta& a, delta_lds<N>& m) {
  typedef delta_lds<N> lds;
  const int slices = (a.dv + 31) / 32, h = block_x() / slices, local = tid() / 4, p = tid() % 4, row = block_x() % slices * 32 + local;
  if (delta_padding(a, h, row)) return;
  const int key = a.tiled ? h % a.nk : h / (a.nv / a.nk), b = block_y(), first = a.starts[b], last = a.starts[b + 1];
  if (first == last) return;
  float* state = row < a.dv ? a.state + (((i64)a.slots[b] * a.nv + h) * a.dv + row) * a.dk : nullptr;
  delta_row<N> r;
  delta_load(r, state, a.dk);
  for (int t0 = first; t0 < last; t0 += 32) {
    barrier();
    for (int i = wave(); i < 32; i += 4) {
      int t = t0 + i < last ? t0 + i : -1;
      delta_stage<N>(m.k[i], a.k, t, a.nk, key, a.dk, lane(), 32);
      delta_stage<N>(m.q[i], a.q, t, a.nk, key, a.dk, lane(), 32);
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
      float v = row < a.dv && t0 + i < last ? a.v[((i64)(t0 + i) * a.nv + h) * a.dv + row] : 0;
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
  delta_store(r, state, a.dk);
}

#define ARGS                                                                                                              \
  const float *RESTRICT q, const float *RESTRICT k, const float *RESTRICT v, const float *RESTRICT g, const float *RESTRICT beta, \
      float *RESTRICT state, float *RESTRICT o, const int *RESTRICT starts, const int *RESTRICT slots, int sequences, int tokens, int nk, int nv, int dk,    \
      int dv, int tiled, float scale

#define SERIAL(n)                                                                                                         \
  KERNEL(128) gated_delta_net_f32_serial##n(ARGS) {                                                                       \
    LDS float tk[8 * n], tq[8 * n];                                                                                       \
    delta_serial<n>((delta){q, k, v, g, beta, state, o, starts, slots, sequences, tokens, nk, nv, dk, dv, tiled, scale}, tk, tq);            \
  }
SERIAL(16)
SERIAL(32)
SERIAL(64)
SERIAL(128)
SERIAL(256)

#define CHUNK(n)                                                                                                          \
  KERNEL(128) gated_delta_net_f32_chunk##n(ARGS) {                                                                        \
    LDS delta_lds<n> m;                                                                                                   \
    delta_chunk<n>((delta){q, k, v, g, beta, state, o, starts, slots, sequences, tokens, nk, nv, dk, dv, tiled, scale}, m);                  \
  }
CHUNK(32)
CHUNK(64)
CHUNK(128)
