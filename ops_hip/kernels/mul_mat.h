// y[t][o] = Σ_i x[t][i]·w[o][i]: x float [m, k], w [n, k] of weight type Q, y float [m, n]; all but the third for each of up to
// four weights (outputs.h). The files mul_mat_*.hip instantiate these kernels for each type of a group, the last not for wide
// ones, the first two not for those with kernels in mul_mat_dot.hip, the first not for those in mul_mat_grid.hip. Reference: ops_ref/mul_mat.go. Launched by mul_mat.go.
//
//   mul_mat_<q>_vec1   m = 1. Grid Σ⌈n/4⌉, blocks of 128, a wave for a row of w. Lanes take groups of 8 elements,
//                      32 apart; float sums per lane in order of k, then a tree over the lanes. No LDS.
//   mul_mat_<q>_vec8   The same for m of 1 to 8, each weight dequantized once.
//   mul_mat_<q>_tile   Any m. Grid (⌈n/64⌉, ⌈m/64⌉), blocks of 256, a thread for 4x4 results; float, in order of k.
//                      LDS 17,408 bytes.
//   mul_mat_<q>_mma    k a multiple of 32, x as halves (BF16: bfloat16) with inverse scales and, with
//                      low = m, their rest (see mul_mat_x.hip). Grid (⌈m/128⌉, Σ⌈n/128⌉), since blocks next to each other
//                      should share weights; blocks of 256. Numerics and LDS: see mma_tile in gemm.h. Weights
//                      must be within ±65504. Of a single weight, y = add + x·wᵀ where add [m, n] is not null. With gate, a gate
//                      of math.h, w1 are the rows of up, y is gated, and the grid is (⌈m/128⌉, ⌈n/64⌉).
//   mul_mat_<q>_mma128 The same without low, faster where most tiles have 128 tokens, for the types of lanes.h and those of 16
//                      bits; blocks of 128 on NVIDIA.
//   mul_mat_<q>_mma64  The same in tiles of 64 by 64, where those of 128 are fewer than fill the device, for the types with
//                      TYPE_DOT in types.def: grid (⌈m/64⌉, Σ⌈n/64⌉), gated (⌈m/64⌉, ⌈n/32⌉), blocks of 128.
//   mul_mat_<q>_mma64k The same with blocks of 256, whose halves multiply one half each of k, for still fewer tiles.
//
// Of F32 and F64 there are mul_mat_<q>_tile32 and _tile16 too, as _tile but with tiles of 32 by 32 and, grid (⌈n/32⌉, ⌈m/16⌉), of 16
// tokens by 32 rows, for few of them. LDS 18,432 and 25,344 bytes. _tile32 sums in order of k as _tile does; _tile16 in that order eighths
// of every 128 elements, one behind the other, and then the eight sums.
#pragma once
#include "gemm.h"
#include "outputs.h"

template <class Q, int M> DEV void mul_mat_vec(const float* RESTRICT x, const output& w, int m, int k) {
  int o = w.block * 4 + wave();
  if (o >= w.n) return;
  float acc[M] = {};
  vec_row<Q, M>(w.w + o * weight_row<Q>::bytes(k), x, k, m, k, acc);
  UNROLL for (int t = 0; t < M; t++) {
    float s = wave_sum(acc[t]);
    if ((M == 1 || t < m) && lane() == 0) w.y[(i64)t * w.n + o] = s;
  }
}

template <class Q>
DEV void mul_mat_tile(const float* RESTRICT x, const u8* RESTRICT w, float* RESTRICT y, int m, int n, int k, float (*tw)[68], float (*tx)[68]) {
  const int o0 = block_x() * 64, m0 = block_y() * 64, r = tid() / 4, c = tid() % 4, a = tid() % 16 * 4, b = tid() / 16 * 4;
  f32x4 acc[4] = {};
  for (int k0 = 0; k0 < k; k0 += 32) {
    group v = {}, u = {};
    u32 g = k0 / 8 + c;
    if ((int)(8 * g) < k) {
      if (o0 + r < n) weight_row<Q>::get(w + (o0 + r) * weight_row<Q>::bytes(k), g, k, v);
      if (m0 + r < m) get_floats<Q::element>(x + (i64)(m0 + r) * k, g, k, u);
    }
    UNROLL for (int j = 0; j < 8; j++) tw[8 * c + j][r] = v[j], tx[8 * c + j][r] = u[j];
    barrier();
    UNROLL for (int i = 0; i < 32; i++) {
      f32x4 p = *(const f32x4*)&tw[i][a], q = *(const f32x4*)&tx[i][b];
      UNROLL for (int j = 0; j < 4; j++) acc[j] += p * q[j];
    }
    barrier();
  }
  UNROLL for (int j = 0; j < 4; j++)
    UNROLL for (int i = 0; i < 4; i++)
      if (m0 + b + j < m && o0 + a + i < n) y[(i64)(m0 + b + j) * n + o0 + a + i] = acc[j][i];
}

// mul_mat_tile32 asks for the operands of a step ahead of the one before.
template <class Q>
DEV void mul_mat_tile32(const float* RESTRICT x, const u8* RESTRICT w, float* RESTRICT y, int m, int n, int k, float (*tw)[36], float (*tx)[36]) {
  const int o0 = block_x() * 32, m0 = block_y() * 32, r = tid() / 8, c = tid() % 8, a = tid() % 16 * 2, b = tid() / 16 * 2;
  const u8* row = w + (o0 + r < n ? o0 + r : n - 1) * weight_row<Q>::bytes(k);
  const float* token = x + (i64)(m0 + r < m ? m0 + r : m - 1) * k;
  f32x2 acc[2] = {};
  group v = {}, u = {};
  for (int k0 = -64; k0 < k; k0 += 64) {
    if (k0 >= 0) {
      barrier();
      UNROLL for (int j = 0; j < 8; j++) tw[8 * c + j][r] = v[j], tx[8 * c + j][r] = u[j];
      barrier();
    }
    const u32 g = (k0 + 64) / 8 + c;
    const bool in = (int)(8 * g) < k;
    weight_row<Q>::get(row, in ? g : 0, k, v);
    get_floats<Q::element>(token, in ? g : 0, k, u);
    UNROLL for (int j = 0; j < 8; j++) v[j] = in ? v[j] : 0, u[j] = in ? u[j] : 0;
    if (k0 < 0) continue;
    UNROLL for (int i = 0; i < 64; i++) {
      f32x2 p = *(const f32x2*)&tw[i][a], q = *(const f32x2*)&tx[i][b];
      UNROLL for (int j = 0; j < 2; j++) acc[j] += p * q[j];
    }
  }
  UNROLL for (int j = 0; j < 2; j++)
    UNROLL for (int i = 0; i < 2; i++)
      if (m0 + b + j < m && o0 + a + i < n) y[(i64)(m0 + b + j) * n + o0 + a + i] = acc[j][i];
}

// mul_mat_tile16 has a step's operands in LDS, of which each wave multiplies an eighth, a lane for 4x4 results. The waves' sums are
// added in the end.
struct few_lds {
  enum { step = 128, tokens = 16, rows = 32 };
  float of[rows + tokens][step + 4];
};
template <class Q>
DEV void mul_mat_tile16(const float* RESTRICT x, const u8* RESTRICT w, float* RESTRICT y, int m, int n, int k, few_lds& lds) {
  const int o0 = block_x() * few_lds::rows, m0 = block_y() * few_lds::tokens, r = tid() / 16, c = tid() % 16;
  const int a = lane() % 8, b = lane() / 8;
  const u8* row[2];
  UNROLL for (int i = 0; i < 2; i++) row[i] = w + (o0 + r + 16 * i < n ? o0 + r + 16 * i : n - 1) * weight_row<Q>::bytes(k);
  const float* token = x + (i64)(m0 + r < m ? m0 + r : m - 1) * k;
  float acc[4][4] = {};
  group v[3] = {};
  for (int k0 = -few_lds::step; k0 < k; k0 += few_lds::step) {
    if (k0 >= 0) {
      barrier();
      UNROLL for (int i = 0; i < 3; i++)
        UNROLL for (int j = 0; j < 8; j++) lds.of[r + 16 * i][8 * c + j] = v[i][j];
      barrier();
    }
    const u32 g = (k0 + few_lds::step) / 8 + c;
    const bool in = (int)(8 * g) < k;
    UNROLL for (int i = 0; i < 2; i++) weight_row<Q>::get(row[i], in ? g : 0, k, v[i]);
    get_floats<Q::element>(token, in ? g : 0, k, v[2]);
    UNROLL for (int i = 0; i < 3; i++)
      UNROLL for (int j = 0; j < 8; j++) v[i][j] = in ? v[i][j] : 0;
    if (k0 < 0) continue;
    UNROLL for (int i = 0; i < few_lds::step / 8; i += 4) {
      const int at = few_lds::step / 8 * wave() + i;
      f32x4 p[4], q[4];
      UNROLL for (int j = 0; j < 4; j++) p[j] = *(const f32x4*)&lds.of[a + 8 * j][at];
      UNROLL for (int j = 0; j < 4; j++) q[j] = *(const f32x4*)&lds.of[few_lds::rows + b + 4 * j][at];
      UNROLL for (int t = 0; t < 4; t++)
        UNROLL for (int j = 0; j < 4; j++)
          UNROLL for (int e = 0; e < 4; e++) acc[t][j] = __builtin_fmaf(p[j][e], q[t][e], acc[t][j]);
    }
  }
  barrier();
  float* sums = lds.of[0];
  UNROLL for (int t = 0; t < 4; t++)
    UNROLL for (int j = 0; j < 4; j++) sums[few_lds::rows * few_lds::tokens * wave() + few_lds::rows * (b + 4 * t) + a + 8 * j] = acc[t][j];
  barrier();
  UNROLL for (int i = tid(); i < few_lds::rows * few_lds::tokens; i += 256) {
    const int t = m0 + i / few_lds::rows, o = o0 + i % few_lds::rows;
    float s = 0;
    UNROLL for (int part = 0; part < 8; part++) s += sums[few_lds::rows * few_lds::tokens * part + i];
    if (t < m && o < n) y[(i64)t * n + o] = s;
  }
}

template <class Q, class S>
DEV void mul_mat_mma(const operand<Q>* RESTRICT x, const float* RESTRICT inverse, const output& w, const tile_end& end, int rows, int m,
                     int k, int low, tile_lds<operand<Q>, S> (&lds)[S::groups]) {
  const int t = S::thread(), m0 = block_x() * S::tokens;
  if (t < S::tokens) {
    lds[S::group()].src[t] = m0 + t < m ? m0 + t : m - 1;
    lds[S::group()].dst[t] = m0 + t < m ? m0 + t : -1;
  }
  barrier();
  mma_tile<Q, S>(x, inverse, w.w, end, m - m0, w.block * rows, w.n, k, low, lds);
}

#define VEC1(q) \
  KERNEL(128) mul_mat_##q##_vec1(const float* RESTRICT x, OUTPUTS, int m, int k) { mul_mat_vec<q, 1>(x, OUTPUT(4), m, k); }
#define VEC8(q) \
  KERNEL(128) mul_mat_##q##_vec8(const float* RESTRICT x, OUTPUTS, int m, int k) { mul_mat_vec<q, 8>(x, OUTPUT(4), m, k); }
#define TILE(q)                                                                                                             \
  KERNEL(256) mul_mat_##q##_tile(const float* RESTRICT x, const u8* RESTRICT w, float* RESTRICT y, int m, int n, int k) {   \
    LDS float tw[32][68], tx[32][68];                                                                                       \
    mul_mat_tile<q>(x, w, y, m, n, k, tw, tx);                                                                              \
  }
#define MMA_OF(q, name, S)                                                                                                  \
  KERNEL_TWICE(S::threads * S::groups) mul_mat_##q##name(const operand<q>* RESTRICT x, const float* RESTRICT inverse, OUTPUTS,          \
                                             const float* RESTRICT add, int m, int k, int low, int gate) {                        \
    LDS tile_lds<operand<q>, S> lds[S::groups];                                                                                     \
    int rows = gate ? S::rows / 2 : S::rows;                                                                                    \
    output o = OUTPUT_Y(rows);                                                                                              \
    mul_mat_mma<q, S>(x, inverse, o, tile_end{o.y, add, w1, gate}, rows, m, k, low, lds);                                   \
  }
#define MMA(q) MMA_OF(q, _mma, tile_some)
#define MMA128(q) MMA_OF(q, _mma128, tile_whole)
#define MMA64(q) MMA_OF(q, _mma64, tile_small) MMA_OF(q, _mma64k, tile_pair)
#define TILE32(q)                                                                                                           \
  KERNEL(256) mul_mat_##q##_tile32(const float* RESTRICT x, const u8* RESTRICT w, float* RESTRICT y, int m, int n, int k) { \
    LDS float tw[64][36], tx[64][36];                                                                                       \
    mul_mat_tile32<q>(x, w, y, m, n, k, tw, tx);                                                                            \
  }
#define TILE16(q)                                                                                                           \
  KERNEL(256) mul_mat_##q##_tile16(const float* RESTRICT x, const u8* RESTRICT w, float* RESTRICT y, int m, int n, int k) { \
    LDS few_lds lds;                                                                                                        \
    mul_mat_tile16<q>(x, w, y, m, n, k, lds);                                                                               \
  }
#define TYPE_WIDE(q, name, block, bytes) VEC1(q) VEC8(q) TILE(q) TILE32(q) TILE16(q)
#define TYPE(q, name, block, bytes) VEC1(q) VEC8(q) TILE(q) MMA(q)
#define TYPE_DOT(q, name, block, bytes) TYPE_DOT1(q, name, block, bytes) MMA64(q)
#define TYPE_DOT1(q, name, block, bytes) TILE(q) MMA(q) MMA128(q) // whose vectors are for mul_mat_dot.hip
#define TYPE_GRID(q, name, block, bytes) VEC8(q) TILE(q) MMA(q) // whose one is for mul_mat_grid.hip
#include "types.def"
