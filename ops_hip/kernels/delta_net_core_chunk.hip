// A DeltaNet layer behind its convolution, 32 tokens at a time, with matrix instructions. Operands are those of
// delta_net_core.hip; x [tokens, channels] is the result of causal_conv_silu_f32_*. dk is n; dv is a multiple of 16 up to 128.
//
// With G_i the sum of g up to token i of a chunk and S the state before it (section 3 of the paper that delta_net.h names):
//
//   (1 + A)·U = X    A_ij = beta_i·e^(G_i-G_j)·k_i·k_j, j < i    X_i = beta_i·(v_i - e^G_i·S·k_i)
//   o_i = scale·(e^G_i·S·q_i + Σ_j B_ij·U_j)                     B_ij = e^(G_i-G_j)·q_i·k_j, j ≤ i
//   S'  = e^G_n·S + Σ_j e^(G_n-G_j)·U_j⊗k_j
//
// What does not depend on S is made for all chunks at once. Three launches, whose chunks are those of sequence 0, then those of
// sequence 1, and so on:
//
//   delta_net_core_f32_chunk_keys<n>   k, q, T = 1/(1+A) and B. Grid (nk, ⌊tokens/32⌋ + sequences), blocks of 256. LDS 46,080 bytes
//                                      for n = 128.
//   delta_net_core_f32_chunk<n>        S from chunk to chunk, and o. Grid (nv·⌈dv/64⌉, sequences), blocks of 128. No LDS. A wave
//                                      has 16 rows of S of a head, which no other wave needs.
//   delta_net_core_f32_chunk_end       The gated norm of o, and of zeros for padding. Grid ⌈tokens·nv/8⌉, blocks of 256. No LDS.
//
// Sequences that keep states, if kept is above 0, are left alone. Tokens past the end of a sequence count as zeros, which change
// nothing. No exponent is positive.
//
// Numerics: factors of products are split into a half and the half of what it lacks, 22 bits, and the product of the two rests
// is left out; sums are in float. Rows of S, X and U are scaled by powers of two, each by its largest element, so that halves hold
// them; k, q, T and B, none of whose elements is much above 1, by 2^12. T is solved for in float.
//
// Reference: the expansion. Launched by delta_net_core.go.
#include "delta_net_core.h"
#include "mma.h"

enum { chunk_tokens = 32, tile_halves = 256, pair_halves = 2 * tile_halves };
#define CHUNK_SCALE 4096.0f // of what is about 1 at most

// Products have one operand of which each wave has its own, S, X or U with 16 values v, and one that all waves of a key head share,
// k, q, T or B. Accumulators are those of the transposed product on NVIDIA, so that on all targets but gfx11 they become the wave's
// operand of the next product without any exchange. Element e of one is at own_x(e) of what the shared operand has, and at
// own_v(e), of which a lane has own_vs.
#if GPU_NVIDIA
typedef FragA FragOwn;
typedef FragB FragShared;
enum { own_vs = 2 };
DEV int own_index(int e) { return e >> 1 & 1; }
DEV int own_x(int e) { return acc_col(e); }
DEV int own_v(int e) { return acc_row(e); }
DEV Acc mma_own(Acc c, FragShared s, FragOwn o) { return mma(c, o, s); }
DEV float own_max(float m) { return lanes_max<4>(m); }
#else
typedef FragB FragOwn;
typedef FragA FragShared;
enum { own_vs = 1 };
DEV int own_index(int) { return 0; }
DEV int own_x(int e) { return acc_row(e); }
DEV int own_v(int) { return acc_col(0); }
DEV Acc mma_own(Acc c, FragShared s, FragOwn o) { return mma(c, s, o); }
DEV float own_max(float m) { return __builtin_fmaxf(m, shfl_xor<16>(m)); }
#endif

// Shared operands are in memory as lanes load them: lane l has elements (shared_row(e), shared_k(e)) of a tile at 8l + e.
#if GPU_NVIDIA
DEV int shared_row(int e) { return (lane() >> 2) + 8 * (e >> 2); }
DEV int shared_k(int e) { return 2 * (lane() & 3) + (e & 1) + 8 * (e >> 1 & 1); }
DEV FragShared load_shared(const half* tile) { return {*(const u32x4*)(tile + 8 * lane())}; }
#else
DEV int shared_row(int) { return lane() & 15; }
DEV int shared_k(int e) { return 8 * (lane() >> 4) + e; }
DEV FragShared load_shared(const half* tile) {
#if defined(__GFX12__)
  return *(const half8*)(tile + 8 * lane());
#else
  tile += 8 * (lane() & 15);
  half8 lo = *(const half8*)tile, hi = *(const half8*)(tile + 128);
  return __builtin_shufflevector(lo, hi, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#endif
}
#endif

// Vectors over the tokens of a chunk are stored in the order that gives a lane the elements of an accumulator next to each other:
// token_slot says where token i is.
#if GPU_NVIDIA
DEV int token_slot(int i) { return (i & 16) + 4 * (i >> 1 & 3) + (i & 1) + 2 * (i >> 3 & 1); }
DEV void token_values(const float* p, int tile, float (&v)[8]) {
  const f32x4 x = *(const f32x4*)(p + 16 * tile + 4 * (lane() & 3));
  UNROLL for (int e = 0; e < 8; e++) v[e] = x[(e & 1) + 2 * (e >> 2)];
}
#else
#if defined(__GFX12__)
DEV int token_slot(int i) { return i; }
#else
DEV int token_slot(int i) { return (i & 16) + 8 * (i & 1) + (i >> 1 & 7); }
#endif
DEV void token_values(const float* p, int tile, float (&v)[8]) {
  const f32x4* x = (const f32x4*)(p + 16 * tile + 8 * (lane() >> 4));
  UNROLL for (int e = 0; e < 8; e++) v[e] = x[e / 4][e % 4];
}
#endif

// near_halves rounds to two halves that are near: what they lack is in their rests.
DEV half2 near_halves(float a, float b) {
#if GPU_AMD
  return bits<half2>(__builtin_amdgcn_cvt_pkrtz(a, b));
#else
  return halves(a, b);
#endif
}

// split8 splits eight floats.
DEV void split8(Acc v, u32x4& high, u32x4& low) {
  UNROLL for (int j = 0; j < 4; j++) {
    const half2 h = near_halves(v[2 * j], v[2 * j + 1]);
    high[j] = bits<u32>(h);
    low[j] = bits<u32>(near_halves(v[2 * j] - (float)h[0], v[2 * j + 1] - (float)h[1]));
  }
}

// put_pair stores the lane's part of a tile of a shared operand, and of its rests behind it.
DEV void put_pair(half* pair, Acc v) {
  u32x4 high, low;
  split8(v, high, low);
  *(u32x4*)(pair + 8 * lane()) = high;
  *(u32x4*)(pair + tile_halves + 8 * lane()) = low;
}

// own_words makes a wave's operand of four words of an accumulator.
DEV FragOwn own_words(u32x4 w) {
#if GPU_NVIDIA
  return {w};
#elif defined(__GFX12__)
  return bits<half8>(w);
#else
  // A lane has every second row, the other half of the wave those in between.
  const bool upper = lane() >> 4;
  const u32 first = upper ? 0x05040100 : 0x01000504, second = upper ? 0x07060302 : 0x03020706;
  u32 y[8];
  UNROLL for (int j = 0; j < 4; j++) {
    const u32 other = (u32)shfl_xor<16>((int)w[j]);
    y[2 * j] = __builtin_amdgcn_perm(w[j], other, first);
    y[2 * j + 1] = __builtin_amdgcn_perm(w[j], other, second);
  }
  typedef u32 u32x8 __attribute__((ext_vector_type(8)));
  return bits<half16>((u32x8){y[0], y[1], y[2], y[3], y[4], y[5], y[6], y[7]});
#endif
}

struct own_pair {
  FragOwn high, low;
};
struct shared_pair {
  FragShared high, low;
};

DEV shared_pair load_pair(const half* pair) { return {load_shared(pair), load_shared(pair + tile_halves)}; }

// pairs_ahead are two pairs of operands in use, and the two that follow on their way.
struct pairs_ahead {
  shared_pair now[2], next[2];

  DEV_METHOD explicit pairs_ahead(const half* first) { now[0] = load_pair(first), now[1] = load_pair(first + pair_halves); }
  DEV_METHOD void load(const half* p, bool more) {
    if (more) next[0] = load_pair(p), next[1] = load_pair(p + pair_halves);
  }
  DEV_METHOD void step() {
    now[0] = next[0], now[1] = next[1];
    fixed();
  }
};

// own_scales are the powers of two that a lane's rows are multiplied by, and their inverses.
struct own_scales {
  float scale[own_vs], unscale[own_vs];
};

template <int TILES> DEV own_scales scales_of(const Acc (&x)[TILES]) {
  float m[own_vs] = {};
  UNROLL for (int i = 0; i < TILES; i++)
    UNROLL for (int e = 0; e < 8; e++) m[own_index(e)] = __builtin_fmaxf(m[own_index(e)], __builtin_fabsf(x[i][e]));
  own_scales s;
  UNROLL for (int i = 0; i < own_vs; i++) s.scale[i] = half_scale(own_max(m[i]), s.unscale[i]);
  return s;
}

// split makes a wave's operand of an accumulator.
DEV own_pair split(Acc x, const own_scales& s) {
  UNROLL for (int e = 0; e < 8; e++) x[e] *= s.scale[own_index(e)];
  u32x4 high, low;
  split8(x, high, low);
  return {own_words(high), own_words(low)};
}

// mma_pairs adds products of N pairs with one of the wave's to N accumulators.
template <int N> DEV void mma_pairs(Acc (&c)[N], const shared_pair (&s)[N], const own_pair& o) {
  UNROLL for (int i = 0; i < N; i++) c[i] = mma_own(c[i], s[i].low, o.high);
  UNROLL for (int i = 0; i < N; i++) c[i] = mma_own(c[i], s[i].high, o.low);
  UNROLL for (int i = 0; i < N; i++) c[i] = mma_own(c[i], s[i].high, o.high);
}

// chunk_key is what the value heads of a key head share of a chunk.
template <int N> struct chunk_key {
  half kq[N / 16][4][pair_halves];         // by columns: two tiles of tokens of k, then of q
  half transposed[N / 32][2][2][pair_halves]; // by tiles of tokens of k, whose rows are columns: two tiles of them
};

// chunk_value is what a value head has of its own: tiles (0, 0), (1, 0) and (1, 1) of matrices, and vectors.
struct chunk_value {
  half t[3][pair_halves], b[3][pair_halves];
  float beta[chunk_tokens], from[chunk_tokens], decay[chunk_tokens], tail[chunk_tokens]; // from is beta·e^G, decay e^G, tail e^(G_n-G)
  float total[4];                                                                         // e^G_n, once
};

// chunk_count returns how many chunks n tokens are.
DEV int chunk_count(int n) { return (n + chunk_tokens - 1) / chunk_tokens; }

// chunk_at finds chunk c: sequence b, from token t on. It returns false if there are not so many.
DEV bool chunk_at(const int* starts, int sequences, int c, int& b, int& t) {
  for (b = 0; b < sequences; b++) {
    const int n = chunk_count(starts[b + 1] - starts[b]);
    t = starts[b] + chunk_tokens * c;
    if (c < n) return true;
    c -= n;
  }
  return false;
}

// chunk_lds is what chunk_keys keeps in LDS. Rows are padded against bank conflicts.
template <int N> struct chunk_lds {
  union {
    half parts[2][2 * chunk_tokens][N + 8]; // k, then q, and their rests
    float columns[4][chunk_tokens][36];     // of A, then of T, of four value heads
  };
  float products[2][chunk_tokens][36]; // k·k and q·k
  float g[8][chunk_tokens], beta[8][chunk_tokens];
};

// chunk_rows brings k and q of a chunk to LDS, at unit length.
template <int N> DEV void chunk_rows(const delta& a, int key, int t0, int last, chunk_lds<N>& m) {
  const int l = lane() < N / 4 ? lane() : N / 4 - 1;
  f32x4 x[8];
  UNROLL for (int i = 0; i < 8; i++) {
    const int t = t0 + wave() + 8 * (i % 4);
    x[i] = *(const f32x4*)((i < 4 ? a.k : a.q) + (i64)(t < last ? t : last - 1) * a.qk_pitch + key * N + 4 * l);
  }
  UNROLL for (int i = 0; i < 8; i++) {
    const int row = wave() + 8 * (i % 4);
    const bool has = lane() < N / 4;
    const float s = rsqrt(wave_sum(has ? sum_squares(x[i], 0) : 0) + (i < 4 ? a.k_eps : a.q_eps));
    f32x4 v = t0 + row < last ? x[i] * s : 0;
    const int at = row + (i < 4 ? 0 : chunk_tokens);
    if (has) half4_at(&m.parts[0][at][4 * l], &m.parts[1][at][4 * l], v * CHUNK_SCALE);
  }
}

// chunk_export stores what all value heads share, of which each wave has every eighth tile.
template <int N> DEV void chunk_export(chunk_key<N>& to, const chunk_lds<N>& m) {
  for (int i = wave(); i < 4 * (N / 16); i += 8)
    UNROLL for (int p = 0; p < 2; p++) {
      u32x4 w;
      UNROLL for (int j = 0; j < 4; j++)
        w[j] = *(const u32*)&m.parts[p][16 * (i % 4) + shared_row(2 * j)][16 * (i / 4) + shared_k(2 * j)];
      *(u32x4*)(to.kq[i / 4][i % 4] + tile_halves * p + 8 * lane()) = w;
    }
  for (int i = wave(); i < 2 * (N / 16); i += 8)
    UNROLL for (int p = 0; p < 2; p++) {
      half8 v;
      UNROLL for (int e = 0; e < 8; e++) v[e] = m.parts[p][16 * (i % 2) + shared_k(e)][16 * (i / 2) + shared_row(e)];
      *(half8*)(to.transposed[i / 4][i % 2][i / 2 % 2] + tile_halves * p + 8 * lane()) = v;
    }
}

// chunk_products computes k·k and q·k where a tile has elements on or below the diagonal: a tile for each of six waves.
template <int N> DEV void chunk_products(chunk_lds<N>& m) {
  const int w = uniform(wave());
  if (w >= 6) return;
  const int row = w % 3 > 0 ? 16 : 0, col = w % 3 > 1 ? 16 : 0, first = w < 3 ? row : chunk_tokens + row;
  Acc high = {}, low = {};
  UNROLL for (int k = 0; k < N; k += 16) {
    const FragA a = load_a(&m.parts[0][first][k], N + 8), a_low = load_a(&m.parts[1][first][k], N + 8);
    const FragB b = load_b(&m.parts[0][col][k], N + 8), b_low = load_b(&m.parts[1][col][k], N + 8);
    low = mma(low, a_low, b);
    high = mma(high, a, b);
    low = mma(low, a, b_low);
  }
  UNROLL for (int e = 0; e < 8; e++)
    m.products[w / 3][row + acc_row(e)][col + acc_col(e)] = (high[e] + low[e]) * (1 / (CHUNK_SCALE * CHUNK_SCALE));
}

// chunk_tile says which elements of a chunk's matrix are in tile i of chunk_value.
DEV int chunk_tile_row(int i, int e) { return (i > 0 ? 16 : 0) + shared_row(e); }
DEV int chunk_tile_col(int i, int e) { return (i > 1 ? 16 : 0) + shared_k(e); }

// chunk_gates puts G and beta of the wave's value head into LDS, and returns those of the lane's token.
template <int N> DEV void chunk_gates(const delta& a, int h, int t0, int last, chunk_lds<N>& m, float& sum, float& beta) {
  const int t = t0 + lane();
  delta_gates<DELTA_CORE>(a, t < last ? t : last - 1, h, sum, beta);
  if (t >= last) sum = 0, beta = 0;
  UNROLL for (int d = 1; d < 32; d *= 2) {
    const float before = shfl(sum, lane() - d & 31);
    if (lane() >= d) sum += before;
  }
  m.g[wave()][lane()] = sum, m.beta[wave()][lane()] = beta;
  wave_fence();
}

// chunk_solve stores T and the vectors: lane j of a wave has column j.
template <int N> DEV void chunk_solve(const delta& a, int h, int t0, int last, chunk_value& to, chunk_lds<N>& m) {
  float sum, beta, t[chunk_tokens];
  chunk_gates(a, h, t0, last, m, sum, beta);
  const float *g = m.g[wave()], *betas = m.beta[wave()];
  const float total = g[chunk_tokens - 1], decay = exp_f(sum);
  const int at = token_slot(lane());
  to.beta[at] = beta, to.from[at] = beta * decay, to.decay[at] = decay, to.tail[at] = exp_f(total - sum);
  if (lane() == chunk_tokens - 1) to.total[0] = decay;
  float(*columns)[36] = m.columns[wave() % 4];
  UNROLL for (int i = 0; i < chunk_tokens; i += 4) {
    f32x4 v;
    UNROLL for (int e = 0; e < 4; e++) {
      const bool below = lane() < i + e;
      v[e] = below ? betas[i + e] * exp_f(below ? g[i + e] - sum : 0) * m.products[0][i + e][lane()] : 0;
    }
    *(f32x4*)&columns[lane()][i] = v;
  }
  wave_fence();
  UNROLL for (int i = 0; i < chunk_tokens; i++) t[i] = i == lane() ? 1 : 0;
  UNROLL for (int j = 0; j < chunk_tokens - 1; j++)
    UNROLL for (int i = j + 1 & ~3; i < chunk_tokens; i += 4) {
      const f32x4 v = *(const f32x4*)&columns[j][i];
      UNROLL for (int e = 0; e < 4; e++)
        if (i + e > j) t[i + e] = __builtin_fmaf(-v[e], t[j], t[i + e]);
    }
  wave_fence();
  UNROLL for (int i = 0; i < chunk_tokens; i += 4) *(f32x4*)&columns[lane()][i] = (f32x4){t[i], t[i + 1], t[i + 2], t[i + 3]};
  wave_fence();
  UNROLL for (int i = 0; i < 3; i++) {
    Acc v;
    UNROLL for (int e = 0; e < 8; e++) v[e] = CHUNK_SCALE * columns[chunk_tile_col(i, e)][chunk_tile_row(i, e)];
    put_pair(to.t[i], v);
  }
}

// chunk_reads stores B.
template <int N> DEV void chunk_reads(const delta& a, int h, int t0, int last, chunk_value& to, chunk_lds<N>& m) {
  float sum, beta;
  chunk_gates(a, h, t0, last, m, sum, beta);
  const float* g = m.g[wave()];
  UNROLL for (int i = 0; i < 3; i++) {
    Acc v;
    UNROLL for (int e = 0; e < 8; e++) {
      const int row = chunk_tile_row(i, e), col = chunk_tile_col(i, e);
      v[e] = col <= row ? exp_f(col <= row ? g[row] - g[col] : 0) * CHUNK_SCALE * m.products[1][row][col] : 0;
    }
    put_pair(to.b[i], v);
  }
}

// chunk_keys prepares a chunk of a key head. Half of the waves solve for T of a value head each, the others make B.
template <int N> DEV void chunk_keys(const delta& a, chunk_key<N>* keys, chunk_value* values, chunk_lds<N>& m) {
  const int key = block_x(), c = block_y(), group = a.nv / a.nk, w = uniform(wave());
  int b, t0;
  if (!chunk_at(a.starts, a.sequences, c, b, t0)) return;
  const int last = a.starts[b + 1];
  if (a.kept && keeps(a.slots, a.kept, b, last - a.starts[b])) return;
  chunk_rows(a, key, t0, last, m);
  barrier();
  chunk_export(keys[(i64)c * a.nk + key], m);
  chunk_products(m);
  barrier();
  for (int i = w % 4; i < group; i += 4) {
    const int h = a.tiled ? key + i * a.nk : key * group + i;
    chunk_value& to = values[(i64)c * a.nv + h];
    if (w < 4)
      chunk_solve(a, h, t0, last, to, m);
    else
      chunk_reads(a, h, t0, last, to, m);
  }
}

// chunk_scan takes 16 rows of S of a head through the chunks of a sequence.
template <int N> DEV void chunk_scan(const delta& a, const chunk_key<N>* keys, const chunk_value* values) {
  const int slices = (a.dv + 63) / 64, h = block_x() / slices, b = block_y(), first = a.starts[b], last = a.starts[b + 1];
  const int v0 = block_x() % slices * 64 + 16 * uniform(wave());
  if (v0 >= a.dv || first == last || a.kept && keeps(a.slots, a.kept, b, last - first)) return;
  int c = 0;
  for (int i = 0; i < b; i++) c += chunk_count(a.starts[i + 1] - a.starts[i]);
  const chunk_key<N>* kc = keys + (i64)c * a.nk + delta_key_head(a, h);
  const chunk_value* vc = values + (i64)c * a.nv + h;
  float* state = a.state + (((i64)a.slots[b * (1 + a.kept)] * a.nv + h) * a.dv + v0) * N;
  Acc s[N / 16];
  UNROLL for (int i = 0; i < N / 16; i++)
    UNROLL for (int e = 0; e < 8; e++) s[i][e] = state[own_v(e) * N + 16 * i + own_x(e)];
  NO_UNROLL for (int t0 = first; t0 < last; t0 += chunk_tokens, kc += a.nk, vc += a.nv) {
    Acc v[2];
    UNROLL for (int i = 0; i < 2; i++)
      UNROLL for (int e = 0; e < 8; e++) {
        const int t = t0 + 16 * i + own_x(e);
        v[i][e] = a.v[(i64)(t < last ? t : last - 1) * a.v_pitch + h * a.dv + v0 + own_v(e)];
      }
    Acc p[2][2] = {}; // S·k, S·q
    const own_scales of_s = scales_of(s);
    pairs_ahead x(kc->kq[0][0]);
    UNROLL for (int k = 0; k < N / 16; k++) {
      const own_pair o = split(s[k], of_s);
      UNROLL for (int i = 0; i < 2; i++) {
        x.load(kc->kq[0][0] + 2 * (2 * k + i + 1) * pair_halves, 2 * k + i + 1 < N / 8);
        mma_pairs(p[i], x.now, o);
        x.step();
      }
    }
    Acc u[2] = {};
    { // U = T·X
      UNROLL for (int i = 0; i < 2; i++) {
        float beta[8], from[8];
        token_values(vc->beta, i, beta), token_values(vc->from, i, from);
        UNROLL for (int e = 0; e < 8; e++)
          v[i][e] = beta[e] * v[i][e] - from[e] * (of_s.unscale[own_index(e)] * (1 / CHUNK_SCALE)) * p[0][i][e];
      }
      const own_scales of_x = scales_of(v);
      const own_pair x[2] = {split(v[0], of_x), split(v[1], of_x)};
      fixed();
      const shared_pair t[2] = {load_pair(vc->t[0]), load_pair(vc->t[1])}, end[1] = {load_pair(vc->t[2])};
      mma_pairs(u, t, x[0]);
      Acc more[1] = {u[1]};
      mma_pairs(more, end, x[1]);
      u[1] = more[0];
      UNROLL for (int i = 0; i < 2; i++)
        UNROLL for (int e = 0; e < 8; e++) u[i][e] *= of_x.unscale[own_index(e)] * (1 / CHUNK_SCALE);
    }
    fixed();
    const own_scales of_u = scales_of(u);
    { // o
      const own_pair x[2] = {split(u[0], of_u), split(u[1], of_u)};
      fixed();
      const shared_pair w[2] = {load_pair(vc->b[0]), load_pair(vc->b[1])}, end[1] = {load_pair(vc->b[2])};
      Acc o[2] = {};
      mma_pairs(o, w, x[0]);
      Acc more[1] = {o[1]};
      mma_pairs(more, end, x[1]);
      o[1] = more[0];
      UNROLL for (int i = 0; i < 2; i++) {
        float decay[8];
        token_values(vc->decay, i, decay);
        UNROLL for (int e = 0; e < 8; e++) {
          const int t = t0 + 16 * i + own_x(e);
          const float before = decay[e] * of_s.unscale[own_index(e)] * p[1][i][e];
          const float y = a.scale * (1 / CHUNK_SCALE) * __builtin_fmaf(o[i][e], of_u.unscale[own_index(e)], before);
          if (t < last) a.o[((i64)t * a.nv + h) * a.dv + v0 + own_v(e)] = y;
        }
      }
    }
    fixed();
    { // S
      UNROLL for (int i = 0; i < 2; i++) {
        float tail[8];
        token_values(vc->tail, i, tail);
        UNROLL for (int e = 0; e < 8; e++) u[i][e] *= tail[e];
      }
      const own_pair x[2] = {split(u[0], of_u), split(u[1], of_u)};
      const float total = vc->total[0];
      pairs_ahead w(kc->transposed[0][0][0]);
      UNROLL for (int k = 0; k < N / 16; k += 2) {
        Acc d[2] = {};
        UNROLL for (int i = 0; i < 2; i++) {
          w.load(kc->transposed[0][0][0] + 2 * (k + i + 1) * pair_halves, k + i + 1 < N / 16);
          mma_pairs(d, w.now, x[i]);
          w.step();
        }
        UNROLL for (int i = 0; i < 2; i++)
          UNROLL for (int e = 0; e < 8; e++)
            s[k + i][e] = __builtin_fmaf(d[i][e], of_u.unscale[own_index(e)] * (1 / CHUNK_SCALE), total * s[k + i][e]);
      }
    }
  }
  UNROLL for (int i = 0; i < N / 16; i++)
    UNROLL for (int e = 0; e < 8; e++) state[own_v(e) * N + 16 * i + own_x(e)] = s[i][e];
}

#define KERNELS(n)                                                                                                               \
  KERNEL(256) delta_net_core_f32_chunk_keys##n(                                                                                  \
      const float* RESTRICT x, const float* RESTRICT alpha, const float* RESTRICT beta, const float* RESTRICT bias,              \
      const float* RESTRICT decay, const int* RESTRICT starts, const int* RESTRICT slots, chunk_key<n>* RESTRICT keys,           \
      chunk_value* RESTRICT values, int channels, int q, int k, int sequences, int nk, int nv, int tiled, float q_eps, float k_eps, \
      int kept) {                                                                                                                \
    LDS chunk_lds<n> m;                                                                                                          \
    chunk_keys<n>(delta{x + q, x + k, 0, channels, 0, alpha, beta, bias, decay, q_eps, k_eps, 0, 0, starts, slots, sequences, 0, \
                        nk, nv, n, 0, tiled, 0, kept},                                                                           \
                  keys, values, m);                                                                                              \
  }                                                                                                                              \
  KERNEL(128) delta_net_core_f32_chunk##n(                                                                                       \
      const float* RESTRICT x, const chunk_key<n>* RESTRICT keys, const chunk_value* RESTRICT values, float* RESTRICT state,     \
      float* RESTRICT o, const int* RESTRICT starts, const int* RESTRICT slots, int channels, int v, int sequences, int nk,      \
      int nv, int dv, int tiled, float scale, int kept) {                                                                        \
    chunk_scan<n>(delta{0, 0, x + v, 0, channels, 0, 0, 0, 0, 0, 0, state, o, starts, slots, sequences, 0, nk, nv, n, dv,        \
                        tiled, scale, kept},                                                                                     \
                  keys, values);                                                                                                 \
  }
KERNELS(32)
KERNELS(64)
KERNELS(128)

KERNEL(256) delta_net_core_f32_chunk_end(const float* RESTRICT o, const float* RESTRICT w, const float* RESTRICT z, float* RESTRICT y,
                                         i8* RESTRICT codes, float* RESTRICT ds, const int* RESTRICT starts,
                                         const int* RESTRICT slots, int sequences, int tokens, int nv, int dv, float eps, int kept) {
  const int row = block_x() * 8 + uniform(wave()), t = row / nv, vectors = dv / 4, l = lane() < vectors ? lane() : vectors - 1;
  if (t >= tokens) return;
  const bool padding = t >= starts[sequences];
  if (kept && !padding) {
    int b = 0;
    while (t >= starts[b + 1]) b++;
    if (keeps(slots, kept, b, starts[b + 1] - starts[b])) return;
  }
  delta a = {};
  a.nv = nv, a.dv = dv;
  const i64 at = (i64)row * vectors + l;
  const f32x4 v = padding ? 0 : ((const f32x4*)o)[at];
  core_end(core{w, z, y, q24_out{codes, ds, (u32)(tokens * nv * dv)}, eps}, a, t, row % nv, v, ((const f32x4*)w)[l], ((const f32x4*)z)[at]);
}
