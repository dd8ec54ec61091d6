// Integer dot products of weights and 24-bit activations, for few tokens: decoding. x is codes int8 [3, m, k] and ds float
// [m, k/32][2] as mul_mat_x_q24 writes them; w of Q8_0, Q4_K or Q6_K. A wave makes two rows of w, which share the loads of x,
// with up to M tokens, for which each weight is unpacked once.
//
// Numerics: sums of 16 products with each byte of x are exact integers. The three are put together, scaled and added
// in float per lane, then in a tree over the lanes. The codes of x are within 2^-24 of the largest of 32 elements, so
// that the result is as good as one of float products and sums: relative errors of about 1e-7 of Σ|x·w|. Codes of 16
// bits are not: 2^-16 of the largest of 32 normal numbers is 3e-5 of their standard deviation, enough to choose other
// experts. Four products take three instructions, against eight in float.
#pragma once
#include "quants.h"

// x24 is the activations of a step.
struct x24 {
  const i8* codes;
  const float* ds;
  int m, k;

  // dot returns the sum of 16 products of weights w, a byte each, with the codes h, l, e of three planes.
  DEV float dot(u32x4 w, u32x4 h, u32x4 l, u32x4 e, bool is_signed) {
    int sum_h = 0, sum_l = 0, sum_e = 0;
    UNROLL for (int j = 0; j < 4; j++) {
      sum_h = is_signed ? dot4(w[j], h[j], sum_h) : dot4_us(w[j], h[j], sum_h);
      sum_l = is_signed ? dot4(w[j], l[j], sum_l) : dot4_us(w[j], l[j], sum_l);
      sum_e = is_signed ? dot4(w[j], e[j], sum_e) : dot4_us(w[j], e[j], sum_e);
    }
    return __builtin_fmaf(256, (float)((sum_h << 8) + sum_l), (float)sum_e);
  }
  // load returns 16 codes of a plane, of token t from element i on, a multiple of 16.
  DEV u32x4 load(const x24& x, int plane, int t, int i) {
    return *(const u32x4*)(x.codes + ((i64)(plane * x.m + t) * x.k + i));
  }
  // scale returns the step of the codes and the sum of the block of 32 that holds element i.
  DEV f32x2 scale(const x24& x, int t, int i) { return *(const f32x2*)(x.ds + 2 * ((i64)t * (x.k / 32) + i / 32)); }
};

DEV u32x4 load128(const u8* p) { return *(const u32x4*)p; }

// run is 16 weights: scale·q - min, where the sum of 32 activations is charged to one of the two runs that they meet.
struct run {
  u32x4 q;
  float scale, min;
};

// lanes<Q> says how the lanes of a wave share a row.
//
//   first()            the element at which the lane starts
//   step               elements that the wave takes at a time
//   runs, apart        runs of 16 that the lane takes of them, and the distance between them in elements
//   is_signed, mins    of the weights: whether bytes are signed, and whether there are minimums
//   load(w, i, k, r)   the runs of row w at element i
template <class Q> struct lanes;

// Two lanes a block.
template <> struct lanes<q8_0> {
  enum { step = 512, runs = 1, apart = 0, is_signed = 1, mins = 0 };
  DEV int first() { return 16 * lane(); }
  DEV void load(const u8* w, int i, int k, run (&r)[runs]) {
    r[0].q = load128(weight_row<q8_0>::codes(w, i));
    r[0].scale = weight_row<q8_0>::scale(w, k, i / 32);
  }
};

// Eight lanes a super-block; lane 2g+h takes elements 16h to 16h+15 of sub-blocks 2g and 2g+1. The mins of both
// sub-blocks are the even lane's.
template <> struct lanes<q4_k> {
  enum { step = 1024, runs = 2, apart = 32, is_signed = 0, mins = 1 };
  DEV int first() { return 64 * (lane() / 2) + 16 * (lane() % 2); }
  DEV void load(const u8* w, int i, int k, run (&r)[runs]) {
    int b = i / 256, g = lane() / 2 % 4, h = lane() % 2;
    u32x4 q = load128(weight_row<q4_k>::codes(w, b) + 32 * g + 16 * h);
    float scale[2], min[2];
    weight_row<q4_k>::scales(w, k, b, g, scale, min);
    UNROLL for (int j = 0; j < 2; j++) r[j] = {q >> 4 * j & 0x0f0f0f0f, scale[j], h ? 0 : min[j]};
  }
};

// Eight lanes a super-block, a strip each: lane 4n+c takes elements 128n+16c to 128n+16c+15 and those 64 on.
template <> struct lanes<q6_k> {
  enum { step = 1024, runs = 2, apart = 64, is_signed = 1, mins = 0 };
  DEV int first() { return 128 * (lane() / 4) + 16 * (lane() % 4); }
  DEV void load(const u8* w, int i, int k, run (&r)[runs]) {
    typedef weight_row<q6_k> row;
    u32 b = i / 256, s = lane() % 8;
    u32x4 low = load128(row::low(w, b, s));
    octet high = row::high(w, k, b, s);
    float scale[2];
    row::scales(w, k, b, s, scale);
    UNROLL for (int e = 0; e < 2; e++) {
      octet p = row::codes(low.xy, high, 0, e), q = row::codes(low.zw, high, 1, e);
      r[e] = {{p[0], p[1], q[0], q[1]}, scale[e], 0};
    }
  }
};

// dot_rows writes acc[i][t] = Σ_j x[t][j]·row_i[j], in all lanes, for tokens t < m, and for M = 1.
template <class Q, int M> DEV void dot_rows(const x24& x, const u8* row0, const u8* row1, float (&acc)[2][M]) {
  typedef lanes<Q> L;
  UNROLL for (int t = 0; t < M; t++) acc[0][t] = acc[1][t] = 0;
  for (int i = L::first(); i < x.k; i += L::step) {
    run r[2][L::runs];
    L::load(row0, i, x.k, r[0]);
    L::load(row1, i, x.k, r[1]);
    UNROLL for (int t = 0; t < M; t++) {
      if (M > 1 && t >= x.m) break;
      UNROLL for (int j = 0; j < L::runs; j++) {
        int at = i + j * L::apart;
        u32x4 h = x24::load(x, 0, t, at), l = x24::load(x, 1, t, at), e = x24::load(x, 2, t, at);
        f32x2 s = x24::scale(x, t, at);
        UNROLL for (int a = 0; a < 2; a++) {
          acc[a][t] += r[a][j].scale * (s[0] * x24::dot(r[a][j].q, h, l, e, L::is_signed));
          if (L::mins) acc[a][t] -= r[a][j].min * s[1];
        }
      }
    }
  }
  UNROLL for (int t = 0; t < M; t++) acc[0][t] = wave_sum(acc[0][t]), acc[1][t] = wave_sum(acc[1][t]);
}

// dot_pair is dot_rows for rows o and o+1 of the n of w, and tells the first lane's put(t, o, y) of the results.
template <class Q, int M, class Put> DEV void dot_pair(const x24& x, const u8* w, int o, int n, Put put) {
  if (o >= n) return;
  const u8* row0 = w + o * weight_row<Q>::bytes(x.k);
  const u8* row1 = o + 1 < n ? row0 + weight_row<Q>::bytes(x.k) : row0;
  float acc[2][M];
  dot_rows<Q, M>(x, row0, row1, acc);
  UNROLL for (int t = 0; t < M; t++)
    if ((M == 1 || t < x.m) && lane() == 0) {
      put(t, o, acc[0][t]);
      if (o + 1 < n) put(t, o + 1, acc[1][t]);
    }
}
