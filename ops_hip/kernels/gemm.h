// Matrix products with dequantized weights, shared by mul_mat and mul_mat_experts.
#pragma once
#include "halves.h"
#include "math.h"
#include "mma.h"
#include "quants.h"

// operand<Q> is the type that matrix kernels multiply weights of type Q in.
template <class Q> struct operand_of {
  typedef half type;
};
template <> struct operand_of<bf16> {
  typedef bhalf type;
};
template <class Q> using operand = typename operand_of<Q>::type;

// half_row converts a row of k floats to halves, all threads of a block of 256 together, scaled by half_scale. Thread 0 stores
// the inverse of the scale. Where low is not null, what rounding took goes there. Rows of up to 20,480 floats, a multiple of 4,
// are read once: all of a thread's before it uses any, since that time is what a decoded token waits for. part: LDS of 8.
enum { half_row_vectors = 20 };
DEV float half_row_scale(float m, float* inverse, float* part) {
  m = wave_max(m);
  if (lane() == 0) part[wave()] = m;
  barrier();
  UNROLL for (int i = 0; i < 8; i++) m = __builtin_fmaxf(m, part[i]);
  float unscale, scale = half_scale(m, unscale);
  if (tid() == 0) *inverse = unscale;
  return scale;
}
DEV void half_row(const float* x, half* y, half* low, float* inverse, int k, float* part) {
  float m = 0;
  if (k % 4 == 0 && k <= 1024 * half_row_vectors) {
    const int vectors = k / 4;
    f32x4 v[half_row_vectors];
    UNROLL for (int j = 0; j < half_row_vectors; j++) {
      if (256 * j >= vectors) continue; // the same for all threads
      const int i = tid() + 256 * j;
      v[j] = ((const f32x4*)x)[i < vectors ? i : vectors - 1];
    }
    UNROLL for (int j = 0; j < half_row_vectors; j++) {
      if (256 * j >= vectors) continue;
      UNROLL for (int e = 0; e < 4; e++) m = __builtin_fmaxf(m, __builtin_fabsf(v[j][e]));
    }
    const float scale = half_row_scale(m, inverse, part);
    UNROLL for (int j = 0; j < half_row_vectors; j++) {
      const int i = tid() + 256 * j;
      if (i < vectors) half4_at(y + 4 * i, low ? low + 4 * i : 0, v[j] * scale);
    }
    return;
  }
  for (int i = tid(); i < k; i += 256) m = __builtin_fmaxf(m, __builtin_fabsf(x[i]));
  const float scale = half_row_scale(m, inverse, part);
  for (int i = tid(); i < k; i += 256) {
    float v = x[i] * scale;
    y[i] = (half)v;
    if (low) low[i] = (half)rest(v, (float)y[i]);
  }
}

// vec_row adds to acc[t] the products of the lanes' groups of weight row w with row t of x, t < min(m, M), for
// M ≥ 1 rows that lie `stride` floats apart. Sums are per lane, in order of k.
template <class Q, int M>
DEV void vec_row(const u8* RESTRICT w, const float* RESTRICT x, int stride, int m, int k, float (&acc)[M]) {
  for (u32 g = lane(); (int)(8 * g) < k; g += 32) {
    group a;
    weight_row<Q>::get(w, g, k, a);
    UNROLL for (int t = 0; t < M; t++) {
      if (M > 1 && t >= m) break;
      group b;
      get_floats<Q::element>(x + (i64)t * stride, g, k, b);
      acc[t] = dot8(a, b, acc[t]);
    }
  }
}

// mma_tile computes y[dst[t]][o] = inverse[src[t]]·Σ_i x[src[t]][i]·w[o][i] for a tile of TM tokens and 128 rows o of w
// from o0 on, with a block of 128. src and dst are LDS arrays of TM; a negative dst marks a place without a token. k is
// a multiple of 32. Weights are rounded to the type of x, products accumulate in float in the order of k.
//
// low is 0, or the rows of x after which those follow that hold what rounding took from each. Then so much is split
// from the weights as well, and each step along k adds x·w, low x·w and x·low w: 22 bits of each factor count with
// halves, 16 with bfloat16.
//
// A tile_end says what becomes of the products p and where they go.
//
// Four waves cover the tile: with TM = 64 each 32 tokens by 64 rows, with TM = 32 each all tokens by 32 rows. Both
// operands go through LDS in steps of 32 along k, in rows of 40 halves so that the 16 rows of a fragment start in
// different banks. LDS: (TM + 128)·80 bytes.
enum { tile_rows = 128, tile_pitch = 40 };

// tile_end is y[t][o] = p[t][o], or add[t][o] + p[t][o] if add is not null. Gated, it is y[t][o] = act(p[t][o])·q[t][o], where q
// are the products with the rows of up: w and up then share the tile, 64 rows of each, 16 by 16.
struct tile_end {
  float* y;
  const float* add;
  const u8* up;
  int gate;
};

template <class Q, int TM>
DEV void mma_tile(const operand<Q>* RESTRICT x, const float* RESTRICT inverse, const int* src, const int* dst,
                  const u8* RESTRICT w, const tile_end& end, int o0, int n, int k, int low, operand<Q>* tx, operand<Q>* tw) {
  constexpr int S = tile_pitch, WM = TM / 32, WN = 4 / WM, NB = tile_rows / 16 / WN;
  const int t = tid(), m0 = wave() / WN * 32, n0 = wave() % WN * (16 * NB);
  const i64 pitch = weight_row<Q>::bytes(k);
  Acc acc[2][NB] = {};
  const int products = low ? 3 : 1;
  const bool gated = end.gate != ungated;
  const int first = o0 + (gated ? t / 4 & 15 : t / 4), step = gated ? 16 : 32; // of the rows that the thread loads
  if (gated && t & 64) w = end.up;
  for (int k0 = 0; k0 < k; k0 += 32)
    NO_UNROLL for (int product = 0; product < products; product++) {
      const i64 from = product == 1 ? low : 0;
      UNROLL for (int i = 0; i < WM; i++) {
        int r = t / 4 + 32 * i, c = t % 4 * 8;
        half8 v = {};
        if (dst[r] >= 0) v = *(const half8*)(x + (from + src[r]) * k + k0 + c);
        *(half8*)(tx + r * S + c) = v;
      }
      if (product != 1) UNROLL_2 for (int i = 0; i < tile_rows / 32; i++) { // all at once takes too many registers
        int r = t / 4 + 32 * i, c = t % 4, o = first + step * i;
        group v = {};
        if (o < n) weight_row<Q>::get(w + o * pitch, k0 / 8 + c, k, v);
        UNROLL for (int j = 0; j < 8; j++) v[j] = product == 2 ? rest(v[j], rounded(operand<Q>(), v[j])) : v[j];
        put8(tw + r * S + 8 * c, v);
      }
      barrier();
      UNROLL for (int kk = 0; kk < 32; kk += 16) {
        auto a0 = load_a(tx + m0 * S + kk, S), a1 = load_a(tx + (m0 + 16) * S + kk, S);
        UNROLL for (int j = 0; j < NB; j++) {
          auto b = load_b(tw + (n0 + 16 * j) * S + kk, S);
          acc[0][j] = mma(acc[0][j], a0, b);
          acc[1][j] = mma(acc[1][j], a1, b);
        }
      }
      barrier();
    }
  // Two fragments of a wave at a time lie side by side in LDS, so that a loop stores 32 results of a token each time.
  constexpr int P = 33;
  float* side = (float*)tw + wave() * (16 * P);
  UNROLL for (int i = 0; i < 2; i++)
    UNROLL for (int j = 0; j < NB; j += 2) {
      UNROLL for (int e = 0; e < 8; e++) {
        float* p = side + acc_row(e) * P + acc_col(e);
        p[0] = acc[i][j][e], p[16] = acc[i][j + 1][e];
      }
      wave_fence();
      NO_UNROLL for (int r = 0; r < 16; r++) {
        int t = m0 + 16 * i + r, o = o0 + (gated ? n0 / 2 + 8 * j : n0 + 16 * j) + lane();
        if (dst[t] < 0 || o >= n) continue;
        float s = inverse[src[t]], v = side[r * P + lane()] * s;
        const i64 at = (i64)dst[t] * n + o;
        if (!gated)
          end.y[at] = end.add ? end.add[at] + v : v;
        else if (lane() < 16)
          end.y[at] = gated_f(end.gate, v, side[r * P + 16 + lane()] * s);
      }
      wave_fence();
    }
}
