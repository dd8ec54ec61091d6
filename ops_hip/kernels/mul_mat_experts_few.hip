// Products with experts of few pairs each (mul_mat_experts.h has those of many): y[p][o] = Σ_i x[x row of p][i]·w[ids[p]][o][i], each
// weight dequantized once, by the lanes that multiply it (few_tiles.h).
//
//   mul_mat_experts_<q>_few   The operands of mul_mat_experts_<q>_mma, of which low is 0, and how many groups of rows a block takes; k a
//                             multiple of 32. For the types of dot_types.def. Tiles of up to 16 pairs, on NVIDIA 32 of Q4_K and
//                             Q6_K. Grid (most tiles, ⌈n/(128·groups)⌉), gated (most tiles, ⌈n/(64·groups)⌉), blocks of 128.
//   mul_mat_experts_<q>_few3  The same where low is rows: the rests of x, and of weights that are rounded, are multiplied as well. On
//                             NVIDIA, Q4_K and Q6_K; tiles of up to 16 pairs.
//
// LDS up to 49,152 bytes. Numerics: tokens are rounded to halves; products accumulate in float, in the order of k. Weights are rounded
// to halves, but not on NVIDIA, except that those of Q6_K lose there what they have beyond 11 bits; and must be within ±65504. A result
// does not depend on its place in a tile. Reference: ops_ref/experts.go. Launched by mul_mat_experts.go.
#include "experts.h"
#include "few_tiles.h"

// few_store writes the sums of group g.
template <int NT>
DEV void few_store(const tile_sum (&sums)[NT][few_row_tiles], const few_product& f, float* y, int g) {
  UNROLL for (int t = 0; t < NT; t++)
    UNROLL for (int e = 0; e < (int)(sizeof(tile_sum) / 4); e++) {
      const int token = few_token_tile * t + few_sum_token(e);
      const float s = shfl(f.inverse, token);
      float* to = y + (i64)shfl(f.pair, token) * f.n;
      if (token >= f.count) continue;
      UNROLL for (int r = 0; r < few_row_tiles; r++) {
        const int o = f.from(g, r) + few_sum_row(e);
        if (o < f.first(g, r) || o >= f.n) continue; // an other tile's, or none
        if (!f.up)
          to[o] = sums[t][r][e] * s;
        else if (r == 0)
          to[o] = gated_f(gate_swiglu, sums[t][0][e] * s, sums[t][1][e] * s);
      }
    }
}

template <class Q, int TOKENS, int NT, int PARTS> DEV void few_tile(const few_product& f, float* y, u8* lds) {
#if GPU_NVIDIA
  if constexpr (scaled_units<Q>::known) {
    few_ring<Q, TOKENS, PARTS> ring(f, lds);
    few_heads<Q> heads;
    heads.begin(f, 0);
    heads.load(ring.row_at, f.k, 0);
    NO_UNROLL for (int g = 0; g < f.groups; g++) {
      tile_sum sums[NT][few_row_tiles] = {};
      add_scaled<Q, NT, PARTS>(sums, f, ring, g, heads);
      few_store(sums, f, y, g);
    }
    ring.end();
    return;
  }
#endif
  NO_UNROLL for (int g = 0; g < f.groups; g++) {
    tile_sum sums[NT][few_row_tiles] = {};
    add_few<Q, TOKENS>(sums, f, g, lds);
    few_store(sums, f, y, g);
  }
}

template <class Q, int TOKENS, int PARTS>
DEV void mul_mat_experts_few(const half* x, const float* inverse, expert_weights e, const int* order, const int* tiles, float* y, int n,
                             int k, int per, int low, int groups, u8* lds) {
  if (block_x() >= tiles[0]) return;
  const int* tile = tiles + 1 + 3 * block_x();
  const i64 bytes = weight_row<Q>::bytes(k);
  e.choose(tile[0], n * bytes);
  const int rows = e.up ? 16 : 16 * few_row_tiles, all = (n + few_waves * rows - 1) / (few_waves * rows), first = block_y() * groups;
  if (first >= all) return;
  few_product f;
  f.x = x, f.count = tile[2], f.k = k, f.low = (i64)low * k;
  f.pair = order[tile[1] + (lane() < f.count ? lane() : f.count - 1)];
  f.row = f.pair / per;
  f.inverse = inverse[f.row];
  f.w = e.w, f.up = e.up, f.n = n, f.bytes = (int)bytes;
  f.o0 = rows * (few_waves * first + uniform(wave()));
  f.groups = groups < all - first ? groups : all - first;
  constexpr int most = TOKENS / few_token_tile, fewer = most > 2 ? 2 : 1;
  if (fewer < most && f.count <= fewer * few_token_tile)
    few_tile<Q, TOKENS, fewer, PARTS>(f, y, lds);
  else
    few_tile<Q, TOKENS, most, PARTS>(f, y, lds);
  allow_launches();
}

#define FEW(q, suffix, tokens, parts, KERNEL)                                                                                           \
  KERNEL(32 * few_waves) mul_mat_experts_##q##_few##suffix(const half* RESTRICT x, const float* RESTRICT inverse,                       \
                                                          const u8* RESTRICT w, const u8* RESTRICT up, const u8* RESTRICT shared,      \
                                                          const u8* RESTRICT shared_up, const int* RESTRICT order,                     \
                                                          const int* RESTRICT tiles, float* RESTRICT y, int experts, int n, int k,     \
                                                          int per, int low, int groups) {                                              \
    LDS u8 lds[few_ring<q, tokens, parts>::bytes] __attribute__((aligned(256)));                                                       \
    mul_mat_experts_few<q, tokens, parts>(x, inverse, expert_weights{w, up, shared, shared_up, experts}, order, tiles, y, n, k, per,   \
                                          low, groups, lds);                                                                           \
  }
#define TYPE_DOT(q, name, block, bytes) FEW(q, , few_most<q>(), 1, KERNEL_THREE)
#define TYPE_DOT1 TYPE_DOT
#include "dot_types.def"
#if GPU_NVIDIA
FEW(q4_k, 3, 16, 2, KERNEL_THREE)
FEW(q6_k, 3, 16, 2, KERNEL_THREE)
#endif
