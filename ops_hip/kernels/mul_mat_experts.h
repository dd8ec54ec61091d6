// y[p][o] = Σ_i x[x row of p][i]·w[ids[p]][o][i] for pairs p = (token, choice): x float [rows, k], w [experts, n, k]
// of weight type Q, ids int [pairs], y float [pairs, n]. Row p of x serves pair p, or row p/per if the choices of a
// token share one. The files mul_mat_experts_*.hip instantiate for each type of a group, the
// second not for wide ones, the first not for those of mul_mat_experts_dot.hip and mul_mat_grid.hip:
//
//   mul_mat_experts_<q>_vec   Grid (pairs, ⌈n/4⌉), blocks of 128, a wave for a row of w. As mul_mat_<q>_vec1.
//   mul_mat_experts_<q>_mma   k a multiple of 32; x as halves (BF16: bfloat16) and, with low = rows, their
//                             rest (mul_mat_x.hip), pairs in the order and the tiles of
//                             mul_mat_experts_sort. Grid (most tiles, ⌈n/128⌉), blocks of 256; blocks
//                             beyond the number of tiles leave. Tiles are up to 128 pairs of one expert by 128 rows of w. Expert `experts`
//                             has the matrix shared [n, k]. If up, as w, is not null, y is silu(w·x)·(up·x), in tiles of 64
//                             rows of each: grid (most tiles, ⌈n/64⌉); shared_up is that of the shared expert. Numerics:
//                             and LDS: see mma_tile in gemm.h. A result does not depend on its place in a tile.
//
// Reference: ops_ref/experts.go. Launched by mul_mat_experts.go.
#pragma once
#include "experts.h"
#include "gemm.h"

template <class Q>
DEV void mul_mat_experts_vec(const float* RESTRICT x, const u8* RESTRICT w, const int* RESTRICT ids, float* RESTRICT y, int n, int k, int per) {
  int p = block_x(), o = block_y() * 4 + wave();
  if (o >= n) return;
  float acc[1] = {};
  vec_row<Q, 1>(w + ((i64)ids[p] * n + o) * weight_row<Q>::bytes(k), x + (i64)(p / per) * k, k, 1, k, acc);
  float s = wave_sum(acc[0]);
  if (lane() == 0) y[(i64)p * n + o] = s;
}

template <class Q>
DEV void mul_mat_experts_mma(const operand<Q>* RESTRICT x, const float* RESTRICT inverse, expert_weights e, const int* RESTRICT order,
                             const int* RESTRICT tiles, float* RESTRICT y, int n, int k, int per, int low, tile_lds<operand<Q>, tile_some> (&lds)[1]) {
  if (block_x() >= tiles[0]) return;
  const int* tile = tiles + 1 + 3 * block_x();
  int expert = tile[0], first = tile[1], count = tile[2], t = tid();
  if (t < tile_some::tokens) {
    lds[0].dst[t] = t < count ? order[first + t] : -1;
    lds[0].src[t] = t < count ? order[first + t] / per : 0;
  }
  barrier();
  const bool gated = e.up;
  e.choose(expert, n * weight_row<Q>::bytes(k));
  const tile_end end = {y, 0, e.up, gated ? gate_swiglu : ungated};
  mma_tile<Q, tile_some>(x, inverse, e.w, end, count, block_y() * (gated ? tile_some::rows / 2 : tile_some::rows), n, k, low, lds);
}

#define VEC(q)                                                                                                        \
  KERNEL(128) mul_mat_experts_##q##_vec(const float* RESTRICT x, const u8* RESTRICT w, const int* RESTRICT ids,       \
                                        float* RESTRICT y, int n, int k, int per) {                                   \
    mul_mat_experts_vec<q>(x, w, ids, y, n, k, per);                                                                  \
  }
#define MMA(q)                                                                                                        \
  KERNEL_TWICE(tile_some::threads) mul_mat_experts_##q##_mma(const operand<q>* RESTRICT x, const float* RESTRICT inverse,                  \
                                        const u8* RESTRICT w, const u8* RESTRICT up, const u8* RESTRICT shared,       \
                                        const u8* RESTRICT shared_up, const int* RESTRICT order,                      \
                                        const int* RESTRICT tiles, float* RESTRICT y, int experts, int n, int k,      \
                                        int per, int low) {                                                           \
    LDS tile_lds<operand<q>, tile_some> lds[1];                                                                       \
    mul_mat_experts_mma<q>(x, inverse, expert_weights{w, up, shared, shared_up, experts}, order, tiles, y, n, k, per, low, lds);  \
  }
#define TYPE_WIDE(q, name, block, bytes) VEC(q)
#define TYPE(q, name, block, bytes) VEC(q) MMA(q)
#define TYPE_DOT(q, name, block, bytes) MMA(q) // whose vectors are for mul_mat_experts_dot.hip
#define TYPE_DOT1 TYPE_DOT
#define TYPE_GRID TYPE_DOT
#include "types.def"
