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
//   delta_net_core_f32_chunk_keys<n>   k, q, T = 1/(1+A) and B. Grid (nk, ⌊tokens/32⌋ + sequences), blocks of 256. LDS 47,104 bytes
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
// them; k, q, T and B, none of whose elements is much above 1, by 2^12. T is solved for in float. Sums of g are in two floats.
//
// Reference: the expansion. Launched by delta_net_core.go.
#include "delta_net_core.h"
#include "mma.h"

enum { chunk_tokens = 32, tile_halves = 256, pair_halves = 2 * tile_halves };
#define CHUNK_SCALE 4096.0f // of what is about 1 at most

// Products have one operand of which each wave has its own, S, X or U with 16 values v, and one that all waves of a key head share,
// k, q, T or B. Accumulators are those of the transposed product on NVIDIA, so that on all targets but gfx11 they become the wave's
// operand of the next product without any exchange. Element e of one is at own_x(e) + lane_x() of what the shared operand has, and at
// own_v(e) + lane_v(), of which a lane has own_vs.
#if GPU_NVIDIA
typedef FragA FragOwn;
typedef FragB FragShared;
enum { own_vs = 2 };
DEV int own_index(int e) { return e >> 1 & 1; }
DEV int own_x(int e) { return (e & 1) + 8 * (e >> 2); }
DEV int own_v(int e) { return 8 * (e >> 1 & 1); }
DEV int lane_x() { return 2 * (lane() & 3); }
DEV int lane_v() { return lane() >> 2; }
DEV Acc mma_own(Acc c, FragShared s, FragOwn o) { return mma(c, o, s); }
DEV float own_max(float m) { return lanes_max<4>(m); }
#else
typedef FragB FragOwn;
typedef FragA FragShared;
enum { own_vs = 1 };
DEV int own_index(int) { return 0; }
#if defined(__GFX12__)
DEV int own_x(int e) { return e; }
DEV int lane_x() { return 8 * (lane() >> 4); }
#else
DEV int own_x(int e) { return 2 * e; }
DEV int lane_x() { return lane() >> 4; }
#endif
DEV int own_v(int) { return 0; }
DEV int lane_v() { return lane() & 15; }
DEV Acc mma_own(Acc c, FragShared s, FragOwn o) { return mma(c, s, o); }
DEV float own_max(float m) { return __builtin_fmaxf(m, shfl_xor<16>(m)); }
#endif

// Shared operands are in memory as lanes load them: lane l has elements (shared_row(e), shared_k(e)) of a tile at 8l + e. On gfx11,
// where both halves of a wave need all of an operand and have every second row of an accumulator, those along k that one half has
// come before those of the other. In LDS, column c of a row is at column_at(c), and that of a lane's element e at shared_at(e).
#if GPU_NVIDIA
DEV int shared_row(int e) { return (lane() >> 2) + 8 * (e >> 2); }
DEV int shared_k(int e) { return 2 * (lane() & 3) + (e & 1) + 8 * (e >> 1 & 1); }
DEV int shared_at(int e) { return shared_k(e); }
DEV FragShared load_shared(const half* tile, u32 at) { return {*(const u32x4*)((const u8*)tile + at)}; }
#else
DEV int shared_row(int) { return lane() & 15; }
DEV int shared_at(int e) { return 8 * (lane() >> 4) + e; }
#if defined(__GFX12__)
DEV int shared_k(int e) { return shared_at(e); }
DEV FragShared load_shared(const half* tile, u32 at) { return *(const half8*)((const u8*)tile + at); }
#else
DEV int shared_k(int e) { return 2 * e + (lane() >> 4); }
DEV FragShared load_shared(const half* tile, u32 at) {
  half8 lo = *(const half8*)((const u8*)tile + at), hi = *(const half8*)((const u8*)(tile + 128) + at);
  return __builtin_shufflevector(lo, hi, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
#endif
#endif

// lane_shared is at which byte of a tile a lane loads.
#if GPU_AMD && defined(__GFX11__)
DEV u32 lane_shared() { return 16 * (lane() & 15); }
DEV int column_at(int c) { return (c & ~15) + 8 * (c & 1) + (c >> 1 & 7); }
DEV void put_four(half* row, int c, half4 v) {
  *(half2*)(row + column_at(c)) = v.xz;
  *(half2*)(row + column_at(c + 1)) = v.yw;
}
#else
DEV u32 lane_shared() { return 16 * lane(); }
DEV int column_at(int c) { return c; }
DEV void put_four(half* row, int c, half4 v) { *(half4*)(row + c) = v; }
#endif

// apart keeps the compiler from adding what is the same for all lanes to what is not, where addresses have room for both.
#if GPU_AMD
DEV int apart(int x) { return opaque(x); }
DEV u32 lane_apart(u32 x) {
  __asm__ volatile("" : "+v"(x));
  return x;
}
#else
DEV int apart(int x) { return x; }
DEV u32 lane_apart(u32 x) { return x; }
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

// whole keeps the compiler from making a half anew instead of taking it from the pair.
DEV half2 whole(half2 x) {
#if GPU_AMD
  u32 y = bits<u32>(x);
  __asm__("" : "+v"(y));
  x = bits<half2>(y);
#endif
  return x;
}

// split8 splits eight floats, scaled.
DEV void split8(Acc v, const float (&scale)[8], u32x4& high, u32x4& low) {
  UNROLL for (int j = 0; j < 8; j += 2) {
    const float a = scale[j], b = scale[j + 1];
    const half2 h = whole(halves(__builtin_fmaf(v[j], a, 0.0f), __builtin_fmaf(v[j + 1], b, 0.0f)));
    high[j / 2] = bits<u32>(h);
    low[j / 2] = bits<u32>(halves(__builtin_fmaf(v[j], a, -(float)h[0]), __builtin_fmaf(v[j + 1], b, -(float)h[1])));
  }
}

// put_pair stores the lane's part of a tile of a shared operand, scaled, and of its rests behind it.
DEV void put_pair(half* pair, Acc v) {
  u32x4 high, low;
  float scale[8];
  UNROLL for (int e = 0; e < 8; e++) scale[e] = CHUNK_SCALE;
  split8(v, scale, high, low);
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
  u32 y[8];
  UNROLL for (int j = 0; j < 4; j++) {
    y[j] = (u32)shfl((int)w[j], lane() & 15);
    y[4 + j] = (u32)shfl((int)w[j], lane() & 15 | 16);
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

DEV shared_pair load_pair(const half* pair, u32 at) { return {load_shared(pair, at), load_shared(pair + tile_halves, at)}; }

// pairs_ahead are two pairs of operands in use, and the two that follow on their way.
struct pairs_ahead {
  const half* first;
  u32 at;
  shared_pair now[2], next[2];

  DEV_METHOD pairs_ahead(const half* p, u32 lane_at) : first(p), at(lane_at) { load(0, true), now[0] = next[0], now[1] = next[1]; }
  DEV_METHOD void load(int step, bool more) {
    if (!more) return;
    at = lane_apart(at);
    const half* p = first + apart(2 * step * pair_halves);
    next[0] = load_pair(p, at), next[1] = load_pair(p + pair_halves, at);
  }
  DEV_METHOD void step() {
    now[0] = next[0], now[1] = next[1];
    fixed();
  }
};

// own_scales are the powers of two that a lane's rows are multiplied by, and their inverses. None is for less than `least`.
struct own_scales {
  float scale[own_vs], unscale[own_vs];
};

template <int TILES> DEV own_scales scales_of(const Acc (&x)[TILES], const float (&least)[own_vs]) {
  float m[own_vs] = {};
  UNROLL for (int i = 0; i < TILES; i++)
    UNROLL for (int e = 0; e < 8; e++) m[own_index(e)] = __builtin_fmaxf(m[own_index(e)], __builtin_fabsf(x[i][e]));
  own_scales s;
  UNROLL for (int i = 0; i < own_vs; i++) s.scale[i] = half_scale(__builtin_fmaxf(own_max(m[i]), least[i]), s.unscale[i]);
  return s;
}

// split makes a wave's operand of an accumulator, element e of which is multiplied by factor[e] before all else.
DEV own_pair split(Acc x, const own_scales& s, const float (&factor)[8]) {
  float scale[8];
  UNROLL for (int e = 0; e < 8; e++) scale[e] = s.scale[own_index(e)] * factor[e];
  u32x4 high, low;
  split8(x, scale, high, low);
  return {own_words(high), own_words(low)};
}
DEV own_pair split(Acc x, const own_scales& s) {
  const float ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  return split(x, s, ones);
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
  f32x2 g[8][chunk_tokens]; // sums
  float beta[8][chunk_tokens];
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
    half4 high, low;
    half4_at((half*)&high, (half*)&low, v * CHUNK_SCALE);
    if (has) put_four(m.parts[0][at], 4 * l, high), put_four(m.parts[1][at], 4 * l, low);
  }
}

// chunk_export stores what all value heads share, of which each wave has every eighth tile.
template <int N> DEV void chunk_export(chunk_key<N>& to, const chunk_lds<N>& m) {
  for (int i = wave(); i < 4 * (N / 16); i += 8)
    UNROLL for (int p = 0; p < 2; p++) {
      u32x4 w;
      UNROLL for (int j = 0; j < 4; j++)
        w[j] = *(const u32*)&m.parts[p][16 * (i % 4) + shared_row(2 * j)][16 * (i / 4) + shared_at(2 * j)];
      *(u32x4*)(to.kq[i / 4][i % 4] + tile_halves * p + 8 * lane()) = w;
    }
  for (int i = wave(); i < 2 * (N / 16); i += 8)
    UNROLL for (int p = 0; p < 2; p++) {
      half8 v;
      UNROLL for (int e = 0; e < 8; e++) v[e] = m.parts[p][16 * (i % 2) + shared_k(e)][column_at(16 * (i / 2) + shared_row(e))];
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

// A sum of logarithms is in two floats, high and low: differences of sums count, where one float would not have much of them left
// behind tokens that forget. sum_of adds, and difference returns a - b.
DEV f32x2 sum_of(f32x2 a, f32x2 b) {
  const float s = pin(a[0] + b[0]), t = pin(s - a[0]), rest = (a[0] - pin(s - t)) + (b[0] - t);
  return (f32x2){s, a[1] + b[1] + rest};
}
DEV float difference(f32x2 a, f32x2 b) { return (a[0] - b[0]) + (a[1] - b[1]); }

// chunk_gates puts G and beta of the wave's value head into LDS, and returns those of the lane's token.
template <int N> DEV void chunk_gates(const delta& a, int h, int t0, int last, chunk_lds<N>& m, f32x2& sum, float& beta) {
  const int t = t0 + lane();
  float g;
  delta_gates<DELTA_CORE>(a, t < last ? t : last - 1, h, g, beta);
  if (t >= last) g = 0, beta = 0;
  sum = (f32x2){g, 0};
  UNROLL for (int d = 1; d < 32; d *= 2) {
    const f32x2 before = {shfl(sum[0], lane() - d & 31), shfl(sum[1], lane() - d & 31)};
    if (lane() >= d) sum = sum_of(sum, before);
  }
  m.g[wave()][lane()] = sum, m.beta[wave()][lane()] = beta;
  wave_fence();
}

// chunk_solve stores T and the vectors: lane j of a wave has column j.
template <int N> DEV void chunk_solve(const delta& a, int h, int t0, int last, chunk_value& to, chunk_lds<N>& m) {
  f32x2 sum;
  float beta, t[chunk_tokens];
  chunk_gates(a, h, t0, last, m, sum, beta);
  const f32x2* g = m.g[wave()];
  const float *betas = m.beta[wave()], decay = exp_f(sum[0] + sum[1]);
  const int at = token_slot(lane());
  to.beta[at] = beta, to.from[at] = beta * decay, to.decay[at] = decay, to.tail[at] = exp_f(difference(g[chunk_tokens - 1], sum));
  if (lane() == chunk_tokens - 1) to.total[0] = decay;
  float(*columns)[36] = m.columns[wave() % 4];
  UNROLL for (int i = 0; i < chunk_tokens; i += 4) {
    f32x4 v;
    UNROLL for (int e = 0; e < 4; e++) {
      const bool below = lane() < i + e;
      v[e] = below ? betas[i + e] * exp_f(below ? difference(g[i + e], sum) : 0) * m.products[0][i + e][lane()] : 0;
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
    UNROLL for (int e = 0; e < 8; e++) v[e] = columns[chunk_tile_col(i, e)][chunk_tile_row(i, e)];
    put_pair(to.t[i], v);
  }
}

// chunk_reads stores B.
template <int N> DEV void chunk_reads(const delta& a, int h, int t0, int last, chunk_value& to, chunk_lds<N>& m) {
  f32x2 sum;
  float beta;
  chunk_gates(a, h, t0, last, m, sum, beta);
  const f32x2* g = m.g[wave()];
  UNROLL for (int i = 0; i < 3; i++) {
    Acc v;
    UNROLL for (int e = 0; e < 8; e++) {
      const int row = chunk_tile_row(i, e), col = chunk_tile_col(i, e);
      v[e] = col <= row ? exp_f(col <= row ? difference(g[row], g[col]) : 0) * m.products[1][row][col] : 0;
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

// token_rows are the rows of 32 tokens from t0 on of a matrix, `pitch` elements apart, at columns of the wave. A lane has the
// elements of two accumulators. Rows from `last` on do not exist.
template <class T> struct token_rows {
  T* p; // of row t0, the same for all lanes
  int pitch, t0, last;

  DEV_METHOD bool whole() const { return t0 + chunk_tokens <= last; }
  DEV_METHOD u32 lane_at() const { return 4 * (u32)(lane_x() * pitch + lane_v()); }
  DEV_METHOD T& element(int i, int e, int rows, u32& at) const {
    at = lane_apart(at);
    return *(T*)((u8*)(p + (i64)(16 * i + own_x(e)) * rows + own_v(e)) + at);
  }
  DEV_METHOD void load(Acc (&v)[2]) const {
    if (whole()) {
      const int rows = apart(pitch);
      u32 at = lane_at();
      UNROLL for (int i = 0; i < 2; i++)
        UNROLL for (int e = 0; e < 8; e++) v[i][e] = element(i, e, rows, at);
      return;
    }
    UNROLL for (int i = 0; i < 2; i++)
      UNROLL for (int e = 0; e < 8; e++) {
        const int t = t0 + 16 * i + own_x(e) + lane_x();
        v[i][e] = p[(i64)((t < last ? t : last - 1) - t0) * pitch + own_v(e) + lane_v()];
      }
  }
  DEV_METHOD void store(const Acc (&v)[2]) const {
    const int rows = apart(pitch); // or products with it would be kept for all chunks
    u32 at = lane_at();
    if (whole()) {
      UNROLL for (int i = 0; i < 2; i++)
        UNROLL for (int e = 0; e < 8; e++) element(i, e, rows, at) = v[i][e];
      return;
    }
    UNROLL for (int i = 0; i < 2; i++)
      UNROLL for (int e = 0; e < 8; e++)
        if (t0 + 16 * i + own_x(e) + lane_x() < last) element(i, e, rows, at) = v[i][e];
  }
};

// mma_lower returns the product of a matrix of three tiles of a chunk_value with the wave's.
DEV void mma_lower(Acc (&y)[2], const half* tiles, u32 at, const own_pair (&x)[2]) {
  at = lane_apart(at);
  const shared_pair first[2] = {load_pair(tiles, at), load_pair(tiles + pair_halves, at)}, last[1] = {load_pair(tiles + 2 * pair_halves, at)};
  Acc more[1] = {};
  y[0] = 0, y[1] = 0;
  mma_pairs(y, first, x[0]);
  mma_pairs(more, last, x[1]);
  UNROLL for (int e = 0; e < 8; e++) y[1][e] += more[0][e];
}

// chunk_scan takes 16 rows of S of a head through the chunks of a sequence. What it holds is S over `step`, a power of two for
// each row, such that products with U are added as they come.
template <int N> DEV void chunk_scan(const delta& a, const chunk_key<N>* keys, const chunk_value* values) {
  const int slices = (a.dv + 63) / 64, h = block_x() / slices, b = block_y(), first = a.starts[b], last = a.starts[b + 1];
  const int v0 = block_x() % slices * 64 + 16 * uniform(wave());
  if (v0 >= a.dv || first == last || a.kept && keeps(a.slots, a.kept, b, last - first)) return;
  int c = 0;
  for (int i = 0; i < b; i++) c += chunk_count(a.starts[i + 1] - a.starts[i]);
  const chunk_key<N>* kc = keys + (i64)c * a.nk + delta_key_head(a, h);
  const chunk_value* vc = values + (i64)c * a.nv + h;
  float* state = a.state + (((i64)a.slots[b * (1 + a.kept)] * a.nv + h) * a.dv + v0) * N + lane_v() * N + lane_x();
  Acc s[N / 16];
  float step[own_vs];
  UNROLL for (int i = 0; i < own_vs; i++) step[i] = 1;
  UNROLL for (int i = 0; i < N / 16; i++)
    UNROLL for (int e = 0; e < 8; e++) s[i][e] = state[own_v(e) * N + 16 * i + own_x(e)];
  NO_UNROLL for (int t0 = first; t0 < last; t0 += chunk_tokens, kc += a.nk, vc += a.nv) {
    const u32 at = lane_apart(lane_shared());
    const float none[own_vs] = {};
    Acc v[2];
    token_rows<const float>{a.v + (i64)t0 * a.v_pitch + h * a.dv + v0, a.v_pitch, t0, last}.load(v);
    Acc p[2][2] = {}; // S·k and S·q
    const own_scales of_s = scales_of(s, none);
    pairs_ahead kq(kc->kq[0][0], at);
    UNROLL for (int k = 0; k < N / 16; k++) {
      const own_pair x = split(s[k], of_s);
      UNROLL for (int i = 0; i < 2; i++) {
        kq.load(2 * k + i + 1, 2 * k + i + 1 < N / 8);
        mma_pairs(p[i], kq.now, x);
        kq.step();
      }
    }
    // What the units of p, and then of U and o, are.
    float p_step[own_vs], u_step[own_vs], o_step[own_vs];
    UNROLL for (int i = 0; i < own_vs; i++) p_step[i] = of_s.unscale[i] * (1 / CHUNK_SCALE) * step[i];
    Acc u[2], o[2];
    { // U = T·X
      UNROLL for (int i = 0; i < 2; i++) {
        float beta[8], from[8];
        token_values(vc->beta, i, beta), token_values(vc->from, i, from);
        UNROLL for (int e = 0; e < 8; e++) v[i][e] = beta[e] * v[i][e] - from[e] * (p_step[own_index(e)] * p[0][i][e]);
      }
      const own_scales of_x = scales_of(v, none);
      const own_pair x[2] = {split(v[0], of_x), split(v[1], of_x)};
      fixed();
      mma_lower(u, vc->t[0], at, x);
      UNROLL for (int i = 0; i < own_vs; i++) u_step[i] = of_x.unscale[i] * (1 / CHUNK_SCALE);
    }
    fixed();
    float least[own_vs]; // such that S does not overflow where U is nothing beside it
    UNROLL for (int i = 0; i < own_vs; i++) least[i] = 0x1p-14f * of_s.unscale[i] * (step[i] / u_step[i]);
    const own_scales of_u = scales_of(u, least);
    { // o
      const own_pair x[2] = {split(u[0], of_u), split(u[1], of_u)};
      fixed();
      mma_lower(o, vc->b[0], at, x);
      UNROLL for (int i = 0; i < own_vs; i++) {
        o_step[i] = a.scale * (1 / CHUNK_SCALE) * (of_u.unscale[i] * u_step[i]);
        p_step[i] *= a.scale;
      }
      UNROLL for (int i = 0; i < 2; i++) {
        float decay[8];
        token_values(vc->decay, i, decay);
        UNROLL for (int e = 0; e < 8; e++) o[i][e] = o_step[own_index(e)] * o[i][e] + decay[e] * (p_step[own_index(e)] * p[1][i][e]);
      }
      token_rows<float>{a.o + ((i64)t0 * a.nv + h) * a.dv + v0, a.nv * a.dv, t0, last}.store(o);
    }
    fixed();
    { // S
      own_pair x[2];
      UNROLL for (int i = 0; i < 2; i++) {
        float tail[8];
        token_values(vc->tail, i, tail);
        x[i] = split(u[i], of_u, tail);
      }
      float factor[own_vs];
      UNROLL for (int i = 0; i < own_vs; i++) {
        const float next = of_u.unscale[i] * u_step[i] * (1 / CHUNK_SCALE);
        factor[i] = step[i] / next * vc->total[0];
        step[i] = next;
      }
      pairs_ahead w(kc->transposed[0][0][0], at);
      UNROLL for (int k = 0; k < N / 16; k += 2) {
        Acc d[2] = {s[k], s[k + 1]};
        UNROLL for (int i = 0; i < 2; i++)
          UNROLL for (int e = 0; e < 8; e++) d[i][e] *= factor[own_index(e)];
        UNROLL for (int i = 0; i < 2; i++) {
          w.load(k + i + 1, k + i + 1 < N / 16);
          mma_pairs(d, w.now, x[i]);
          w.step();
        }
        s[k] = d[0], s[k + 1] = d[1];
      }
    }
  }
  UNROLL for (int i = 0; i < N / 16; i++)
    UNROLL for (int e = 0; e < 8; e++) state[own_v(e) * N + 16 * i + own_x(e)] = step[own_index(e)] * s[i][e];
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
