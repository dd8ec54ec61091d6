// Integer dot products of weights and 24-bit activations, for few tokens: decoding. x is codes int8 [3, m, k] and ds float
// [m, k/32][2] as mul_mat_x_q24 writes them; w of Q8_0, Q4_K or Q6_K. A wave makes two rows of w, which share the loads of x,
// with up to M tokens, for which each weight is unpacked once.
//
// Numerics: sums of 16 or 32 products with each byte of x are exact integers. The three are put together, scaled and added
// in float per lane, then in a tree over the lanes. The codes of x are within 2^-24 of the largest of 32 elements, so
// that the result is as good as one of float products and sums: relative errors of about 1e-7 of Σ|x·w|. Codes of 16
// bits are not: 2^-16 of the largest of 32 normal numbers is 3e-5 of their standard deviation, enough to choose other
// experts. Four products take three instructions, against eight in float.
#pragma once
#include "lanes.h"

// x24 is the activations of a step.
struct x24 {
  const i8* codes;
  const float* ds;
  int m, k;

  // load returns 16 codes of a plane, of token t from element at + i on, a multiple of 16.
  DEV u32x4 load(const x24& x, int plane, int t, int at, u32 i) { return load128_whole(x.codes + (i64)(plane * x.m + t) * x.k + at + i); }

  // scale returns the step of the codes and the sum of the block of 32 that holds element at + i, `at` a multiple of 32.
  DEV f32x2 scale(const x24& x, int t, int at, u32 i) { return *(const f32x2*)(x.ds + (i64)t * (x.k / 16) + at / 16 + 2 * (i / 32)); }

  // token returns x such that its token 0 is token t.
  DEV x24 token(const x24& x, int t) { return {x.codes + (i64)t * x.k, x.ds + (i64)t * (x.k / 16), x.m, x.k}; }
};

// sums are those of products of weights with the codes of each plane.
struct sums {
  int h, l, e;
  DEV_METHOD void add(u32x4 w, u32x4 xh, u32x4 xl, u32x4 xe, bool is_signed) {
    UNROLL for (int j = 0; j < 4; j++) {
      h = is_signed ? dot4(w[j], xh[j], h) : dot4_us(w[j], xh[j], h);
      l = is_signed ? dot4(w[j], xl[j], l) : dot4_us(w[j], xl[j], l);
      e = is_signed ? dot4(w[j], xe[j], e) : dot4_us(w[j], xe[j], e);
    }
  }
  DEV_METHOD float all() const { return __builtin_fmaf(256, (float)((h << 8) + l), (float)e); }
};

// add_products adds to acc[a] the products of the lane's runs of row a with token t of x, from element at + first() on.
template <class L, int A> DEV void add_products(const x24& x, int t, int at, const run (&r)[A][L::runs], float (&acc)[A]) {
  sums s[A];
  UNROLL for (int j = 0; j < L::runs; j++) {
    const u32 i = L::first() + j * L::apart;
    u32x4 h = x24::load(x, 0, t, at, i), l = x24::load(x, 1, t, at, i), e = x24::load(x, 2, t, at, i);
    f32x2 scale = x24::scale(x, t, at, i);
    float own = 0;
    if (L::own_mins) {
      sums ones = {};
      ones.add(0x01010101, h, l, e, false);
      own = scale[0] * ones.all();
    }
    UNROLL for (int a = 0; a < A; a++) {
      if (j == 0 || !L::one_scale) s[a] = sums{};
      s[a].add(r[a][j].q, h, l, e, L::is_signed);
      if (j == L::runs - 1 || !L::one_scale) acc[a] += r[a][j].scale * (scale[0] * s[a].all());
      if (j < L::mins) acc[a] -= r[a][j].min * scale[1];
      if (L::own_mins) acc[a] -= r[a][j].min * own;
    }
    if (L::own_mins && j % 2) fixed(); // all runs at once take too many registers
  }
}

// dot_ahead adds to acc the products of the lane's part of two rows with the one token of x, of k elements, a multiple of
// L::step. Left to itself the NVIDIA compiler reads scales where they are used, and waits for the memory each time.
template <class L> DEV void dot_ahead(const x24& x, const u8* row0, const u8* row1, float (&acc)[2]) {
  enum { ahead = weights_ahead };
  typename L::raw w[ahead][2];
  UNROLL for (int d = 0; d < ahead; d++)
    if (d * L::step < x.k) L::fetch(row0, d * L::step, x.k, w[d][0]), L::fetch(row1, d * L::step, x.k, w[d][1]);
  await_launches();
  for (int from = 0; from < x.k; from += ahead * L::step)
    UNROLL for (int d = 0; d < ahead; d++) {
      const int at = from + d * L::step, next = at + ahead * L::step;
      if (at >= x.k) break;
      run r[2][L::runs];
      L::open(w[d][0], r[0]);
      L::open(w[d][1], r[1]);
      if (next < x.k) L::fetch(row0, next, x.k, w[d][0]), L::fetch(row1, next, x.k, w[d][1]);
      add_products<L>(x, 0, at, r, acc);
    }
}

// dot_rows writes acc[i][t] = Σ_j x[t][j]·row_i[j], in all lanes, for tokens t < m, and for M = 1. It awaits the launches before;
// its callers do it themselves before they read more than weights.
template <class Q, int M> DEV void dot_rows(const x24& x, const u8* row0, const u8* row1, float (&acc)[2][M]) {
  typedef lanes<Q> L;
  float sum[M][2] = {};
  if constexpr (weights_ahead && M == 1 && L::two_steps)
    if (x.k % L::step == 0) {
      dot_ahead<L>(x, row0, row1, sum[0]);
      acc[0][0] = wave_sum(sum[0][0]), acc[1][0] = wave_sum(sum[0][1]);
      return;
    }
  await_launches();
  for (int from = 0; from < x.k; from += L::step) {
    const int at = opaque(from); // addresses are sums of a scalar and what a lane adds each time, else they would be vectors
    run r[2][L::runs];
    if (at + L::first() < x.k) {
      L::load(row0, at, x.k, r[0]);
      L::load(row1, at, x.k, r[1]);
      UNROLL for (int t = 0; t < M; t++)
        if (M == 1 || t < x.m) add_products<L>(x, t, at, r, sum[t]);
    }
  }
  UNROLL for (int t = 0; t < M; t++) acc[0][t] = wave_sum(sum[t][0]), acc[1][t] = wave_sum(sum[t][1]);
}

// dot_pair is dot_rows for rows o and o+1 of the n of w, and tells the first lane's put(t, o, y) of the results.
template <class Q, int M, class Put> DEV void dot_pair(const x24& x, const u8* w, int o, int n, Put put) {
  if (o >= n) return await_launches();
  const u8* row0 = w + o * weight_row<Q>::bytes(x.k);
  const u8* row1 = o + 1 < n ? row0 + weight_row<Q>::bytes(x.k) : row0;
  float acc[2][M];
  dot_rows<Q, M>(x, row0, row1, acc);
  allow_launches();
  UNROLL for (int t = 0; t < M; t++)
    if ((M == 1 || t < x.m) && lane() == 0) {
      put(t, o, acc[0][t]);
      if (o + 1 < n) put(t, o + 1, acc[1][t]);
    }
}
