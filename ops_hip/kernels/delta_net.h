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
// With kept above 0, slots has rows of 1+kept: see kept.h.
//
// Float; a row's dot products are summed per lane over its columns in order, then over the four lanes.
#pragma once
#include "kept.h"
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
  int kept;
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

// delta_row_at returns where row `row` of S of head h is in slot a.slots[at]; rows beyond the last are that.
DEV float* delta_row_at(const delta& a, int at, int h, int row) {
  row = row < a.dv ? row : a.dv - 1;
  return a.state + (((i64)a.slots[at] * a.nv + h) * a.dv + row) * a.dk;
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

// delta_keep stores the row that token t of sequence b leaves, if that is kept beside the last.
template <int N> DEV void delta_keep(const delta_row<N>& r, const delta& a, int b, int t, int h, int row) {
  const int end = a.starts[b + 1], at = kept_at(a.slots, a.kept, b, end - 1 - t, end - a.starts[b]);
  // Which columns there are would be kept for all tokens, in more registers than there are for the widest rows.
  if (at >= 0) delta_store(r, delta_row_at(a, at, h, row), N > 128 ? opaque(a.dk) : a.dk, row < a.dv);
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

// delta_unit scales a vector of N elements to unit length, of which lane l of a wave has elements 4l to 4l+3, and puts it at
// `to`, or zeros if it is not `in`. All lanes of the wave do; those beyond the vector change nothing.
template <int N> DEV void delta_unit(float* to, f32x4 v, bool in, float eps) {
  const bool has = lane() < N / 4;
  float s = rsqrt(wave_sum(has ? sum_squares(v, 0) : 0) + eps);
  if (has) *(f32x4*)(to + 4 * lane()) = in ? v * s : 0;
}

// delta_stage copies the vector of head `head` at row t of x to `to`, padded with zeros to N, with all lanes of a wave; a
// negative t gives zeros. With DELTA_CORE, dk is N, at most 128.
template <int N, int FORM> DEV void delta_stage(float* to, const float* x, int pitch, int t, int head, int dk, float eps) {
  if (FORM == DELTA_CORE) {
    const int i = lane() < N / 4 ? lane() : N / 4 - 1;
    f32x4 v = *(const f32x4*)(x + (i64)(t < 0 ? 0 : t) * pitch + (i64)head * N + 4 * i);
    delta_unit<N>(to, v, t >= 0, eps);
    return;
  }
  for (int c = lane(); c < N; c += 32) to[c] = t >= 0 && c < dk ? x[(i64)t * pitch + (i64)head * dk + c] : 0;
}
