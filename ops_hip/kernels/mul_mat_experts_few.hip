// Products with experts of few pairs each (mul_mat_experts.h has those of many): y[p][o] = Σ_i x[x row of p][i]·w[ids[p]][o][i], with
// the weights of a tile dequantized once, by the lanes that multiply them (few_tiles.h).
//
//   mul_mat_experts_<q>_few   the operands of mul_mat_experts_<q>_mma, tiles of up to 16 pairs, k a multiple of 32; low is 0. For the types of
//                             dot_types.def. Grid (most tiles, ⌈n/128⌉), gated (most tiles, ⌈n/64⌉), blocks of 128.
//   mul_mat_experts_<q>_few3  on NVIDIA, Q4_K and Q6_K: low is rows, and the rests of x and of weights are multiplied as well.
//
// LDS up to 49,152 bytes. Numerics: tokens are rounded to halves; products accumulate in float, in the order of k. Weights are rounded
// to halves, on NVIDIA only those of Q6_K, by less (scaled_units in few_tiles.h). Weights must be within ±65504. A result does not depend on its place in
// a tile. Reference: ops_ref/experts.go. Launched by mul_mat_experts.go.
#include "experts.h"
#include "few_tiles.h"

// few_end says where the results of a block go: those of its first rows, o0 of n, and the scales of x.
struct few_end {
  const float* inverse;
  float* y;
  int n, o0;
  bool gated;
};

template <class Q, int TOKENS, int PARTS> DEV void few_tile(const few_product& f, const few_end& end, u8* lds) {
  constexpr int NT = (TOKENS + few_token_tile - 1) / few_token_tile;
  tile_sum sums[NT][few_row_tiles] = {};
#if GPU_NVIDIA
  if constexpr (scaled_units<Q>::known)
    add_scaled<Q, NT, PARTS>(sums, f, lds);
  else
#endif
    add_few<Q, NT>(sums, f, lds);
  allow_launches();
  UNROLL for (int t = 0; t < NT; t++)
    UNROLL for (int e = 0; e < (int)(sizeof(tile_sum) / 4); e++) {
      const int token = few_token_tile * t + few_sum_token(e), row = few_sum_row(e);
      if (token >= f.count) continue;
      const int pair = f.pair(token);
      const float s = end.inverse[pair / f.per];
      float* y = end.y + (i64)pair * end.n + (end.o0 + row);
      if (end.gated) {
        if (row < f.left[0]) *y = gated_f(gate_swiglu, sums[t][0][e] * s, sums[t][1][e] * s);
      } else {
        UNROLL for (int r = 0; r < few_row_tiles; r++)
          if (row < f.left[r]) y[16 * r] = sums[t][r][e] * s;
      }
    }
}

template <class Q, int PARTS>
DEV void mul_mat_experts_few(const half* x, const float* inverse, expert_weights e, const int* order, const int* tiles, float* y, int n,
                             int k, int per, int low, u8* lds) {
  if (block_x() >= tiles[0]) return;
  const int* tile = tiles + 1 + 3 * block_x();
  const i64 bytes = weight_row<Q>::bytes(k);
  e.choose(tile[0], n * bytes);
  const bool gated = e.up;
  const int wave_rows = gated ? 16 : 16 * few_row_tiles, o0 = (few_waves * block_y() + uniform(wave())) * wave_rows;
  few_product f = {x, order + tile[1], tile[2], per, k, (i64)low * k};
  UNROLL for (int r = 0; r < few_row_tiles; r++) {
    const int first = o0 + (gated ? 0 : 16 * r), last = first < n ? first : n - 1;
    f.w[r] = (gated && r ? e.up : e.w) + last * bytes;
    f.left[r] = n - first;
  }
  const few_end end = {inverse, y, n, o0, gated};
  if (few_token_tile < few_tokens && f.count <= few_tokens / 2)
    few_tile<Q, few_tokens / 2, PARTS>(f, end, lds);
  else
    few_tile<Q, few_tokens, PARTS>(f, end, lds);
}

#define FEW(q, suffix, parts)                                                                                                          \
  KERNEL_FOUR(32 * few_waves) mul_mat_experts_##q##_few##suffix(const half* RESTRICT x, const float* RESTRICT inverse,                  \
                                                          const u8* RESTRICT w, const u8* RESTRICT up, const u8* RESTRICT shared,      \
                                                          const u8* RESTRICT shared_up, const int* RESTRICT order,                     \
                                                          const int* RESTRICT tiles, float* RESTRICT y, int experts, int n, int k,     \
                                                          int per, int low) {                                                          \
    LDS u8 lds[few_ring<q, 2, parts>::bytes] __attribute__((aligned(256)));                                                            \
    mul_mat_experts_few<q, parts>(x, inverse, expert_weights{w, up, shared, shared_up, experts}, order, tiles, y, n, k, per, low, lds); \
  }
#define TYPE_DOT(q, name, block, bytes) FEW(q, , 1)
#define TYPE_DOT1 TYPE_DOT
#include "dot_types.def"
#if GPU_NVIDIA
FEW(q4_k, 3, 2)
FEW(q6_k, 3, 2)
#endif
