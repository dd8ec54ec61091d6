// The gated delta rule of a value head h over rows starts[b] to starts[b+1]-1 of the inputs of a sequence b:
//
//   S = e^g·S;  u = beta·(v - S·k);  S += u⊗k;  o = scale·S·q
//
// state [slots, nv, dv, dk] holds S of sequence b at slots[b]. The key head of h is h%nk if tiled, else h/(nv/nk). Rows of
// S are independent; four lanes share one, lane p holding columns 16i+4p to 16i+4p+3. S stays in registers.
//
// The inputs are those of gated_delta_net (DELTA_PLAIN), or those of delta_net_core (DELTA_CORE): then q and k are scaled
// to unit length where they are read, in the order of l2_norm_f32_wave, and g = decay·softplus(alpha + bias), beta =
// sigmoid(raw).
//
// Float; a row's dot products are summed per lane over its columns in order, then over the four lanes.
#pragma once
#include "norm.h"

enum { DELTA_PLAIN, DELTA_CORE };

// delta is the arguments of the kernels. q, k and v are rows of heads, qk_pitch and v_pitch floats from token to token.
struct delta {
  const float *q, *k, *v;
  int qk_pitch, v_pitch;
  const float *g, *beta;       // [tokens, nv]; with DELTA_CORE alpha, and what beta is the sigmoid of
  const float *bias, *decay;   // [nv], with DELTA_CORE
  float q_eps, k_eps;          // with DELTA_CORE
  float *state, *o;            // o [tokens, nv, dv]
  const int *starts, *slots;
  int sequences, tokens, nk, nv, dk, dv, tiled;
  float scale;
};

DEV int delta_key_head(const delta& a, int h) { return a.tiled ? h % a.nk : h / (a.nv / a.nk); }

// delta_gates returns the logarithm of the decay of token t, and beta.
template <int FORM> DEV void delta_gates(const delta& a, int t, int h, float& g, float& beta) {
  i64 at = (i64)t * a.nv + h;
  g = a.g[at], beta = a.beta[at];
  if (FORM == DELTA_CORE) {
    g = softplus_f(g + a.bias[h]) * a.decay[h];
    beta = sigmoid_f(beta);
  }
}

// delta_row is the part of a row of S that a lane holds, with N columns padded by zeros.
template <int N> struct delta_row {
  f32x4 s[N / 16];

  DEV int column(int i) { return 16 * i + tid() % 4 * 4; }
  // part returns the lane's columns 16i+4p.. of a padded vector in LDS.
  DEV f32x4 part(const float* x, int i) { return *(const f32x4*)(x + column(i)); }
};

// delta_row_at returns where row `row` of S of head h is; rows beyond the last are that.
DEV float* delta_row_at(const delta& a, int b, int h, int row) {
  row = row < a.dv ? row : a.dv - 1;
  return a.state + (((i64)a.slots[b] * a.nv + h) * a.dv + row) * a.dk;
}

template <int N> DEV void delta_load(delta_row<N>& r, const float* state, int dk) {
  if (dk == N) {
    UNROLL for (int i = 0; i < N / 16; i++) r.s[i] = *(const f32x4*)(state + r.column(i));
    return;
  }
  UNROLL for (int i = 0; i < N / 16; i++)
    UNROLL for (int j = 0; j < 4; j++) r.s[i][j] = r.column(i) + j < dk ? state[r.column(i) + j] : 0;
}

// delta_store stores the row if it is `live`.
template <int N> DEV void delta_store(const delta_row<N>& r, float* state, int dk, bool live) {
  if (!live) return;
  if (dk == N) {
    UNROLL for (int i = 0; i < N / 16; i++) *(f32x4*)(state + r.column(i)) = r.s[i];
    return;
  }
  UNROLL for (int i = 0; i < N / 16; i++)
    UNROLL for (int j = 0; j < 4; j++)
      if (r.column(i) + j < dk) state[r.column(i) + j] = r.s[i][j];
}

// delta_dot returns S·x of the lane's row, x padded in LDS.
template <int N> DEV float delta_dot(const delta_row<N>& r, const float* x) {
  f32x4 d = {};
  UNROLL for (int i = 0; i < N / 16; i++) {
    f32x4 y = delta_row<N>::part(x, i);
    UNROLL for (int j = 0; j < 4; j++) d[j] = __builtin_fmaf(r.s[i][j], y[j], d[j]);
  }
  return lanes_sum<4>((d[0] + d[1]) + (d[2] + d[3]));
}

// delta_add sets S = decay·S + u⊗x in the lane's row.
template <int N> DEV void delta_add(delta_row<N>& r, float decay, float u, const float* x) {
  UNROLL for (int i = 0; i < N / 16; i++) {
    f32x4 y = delta_row<N>::part(x, i);
    UNROLL for (int j = 0; j < 4; j++) r.s[i][j] = __builtin_fmaf(u, y[j], decay * r.s[i][j]);
  }
}

// delta_stage copies the vector of head `head` at row t of x to `to`, padded with zeros to N, with all lanes of a wave; a
// negative t gives zeros. With DELTA_CORE, dk is N, at most 128.
template <int N, int FORM> DEV void delta_stage(float* to, const float* x, int pitch, int t, int head, int dk, float eps) {
  if (FORM == DELTA_CORE) {
    const int last = dk / 4 - 1, i = lane() < last ? lane() : last;
    f32x4 v = *(const f32x4*)(x + (i64)(t < 0 ? 0 : t) * pitch + (i64)head * dk + 4 * i);
    float s = rsqrt(wave_sum(lane() <= last ? sum_squares(v, 0) : 0) + eps);
    v = t >= 0 && lane() <= last ? v * s : 0;
    if (lane() < N / 4) *(f32x4*)(to + 4 * lane()) = v;
    return;
  }
  for (int c = lane(); c < N; c += 32) to[c] = t >= 0 && c < dk ? x[(i64)t * pitch + (i64)head * dk + c] : 0;
}

// delta_padding zeroes row `row` of head h of the padding, if this block is the one after the last sequence.
DEV bool delta_padding(const delta& a, int h, int row) {
  if (block_y() < a.sequences) return false;
  for (int t = a.starts[a.sequences] + tid() % 4; t < a.tokens && row < a.dv; t += 4) a.o[((i64)t * a.nv + h) * a.dv + row] = 0;
  return true;
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
template <int N, int FORM> DEV void delta_chunk(const delta& a, delta_lds<N>& m) {
  typedef delta_lds<N> lds;
  const int slices = (a.dv + 31) / 32, h = block_x() / slices, local = tid() / 4, p = tid() % 4, row = block_x() % slices * 32 + local;
  if (delta_padding(a, h, row)) return;
  const int key = delta_key_head(a, h), b = block_y(), first = a.starts[b], last = a.starts[b + 1];
  if (first == last) return;
  float* state = delta_row_at(a, b, h, row);
  const int dk = FORM == DELTA_CORE ? N : a.dk;
  delta_row<N> r;
  delta_load(r, state, dk);
  for (int t0 = first; t0 < last; t0 += 32) {
    barrier();
    for (int i = wave(); i < 32; i += 4) {
      int t = t0 + i < last ? t0 + i : -1;
      delta_stage<N, FORM>(m.k[i], a.k, a.qk_pitch, t, key, dk, a.k_eps);
      delta_stage<N, FORM>(m.q[i], a.q, a.qk_pitch, t, key, dk, a.q_eps);
    }
    if (tid() < 32) {
      float g = 0, beta = 0;
      if (t0 + tid() < last) delta_gates<FORM>(a, t0 + tid(), h, g, beta);
      m.g[tid()] = g;
      m.beta[tid()] = beta;
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
  delta_store(r, state, dk, row < a.dv);
}
