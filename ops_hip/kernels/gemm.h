// Matrix products with dequantized weights, shared by mul_mat and mul_mat_experts.
#pragma once
#include "panels.h"

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

// mma_tile computes y[dst[t]][o] = inverse[src[t]]·Σ_i x[src[t]][i]·w[o][i] for a tile of tokens, of which the first `count` are
// there, and the rows o of w from o0 on. src and dst are LDS arrays; a negative dst marks a place without a token. k is a multiple of
// 32; rows of x start less than 2^31 elements behind it. Weights are rounded to the type of x, products accumulate in float in the
// order of k.
//
// low is 0, or the rows of x after which those follow that hold what rounding took from each. Then so much is split from the weights
// as well, and x·w, low x·w and x·low w are added: 22 bits of each factor count with halves, 16 with bfloat16. Only tile_some takes
// low: small steps alone ask for it.
//
// A tile_end says what becomes of the products p and where they go.
//
// Both operands go through LDS in windows of 32 elements along k, one in use while the next is written. Weights of a part are
// loaded when those before are in LDS. x comes through registers a window ahead, on NVIDIA by copies two ahead. One barrier a
// window. LDS: see tile_lds.

// tile_end is y[t][o] = p[t][o], or add[t][o] + p[t][o] if add is not null. Gated, it is y[t][o] = act(p[t][o])·q[t][o], where q
// are the products with the rows of up: w and up then share the tile, half of the rows of each, 16 by 16.
struct tile_end {
  float* y;
  const float* add;
  const u8* up;
  int gate;
};

// tile_shape is how the waves of a block cover a tile: token_waves by row_waves of them, each with token_tiles by row_tiles of 16 by
// 16. SOME says that those without tokens are left out, SPLIT that low may be asked for. Of several GROUPS of THREADS threads each has
// a part of k and LDS of its own, and their sums are added in the end.
template <int TOKENS, int ROWS, int THREADS, int TOKEN_WAVES, bool SOME, bool SPLIT, int GROUPS = 1> struct tile_shape {
  enum {
    tokens = TOKENS,
    rows = ROWS,
    threads = THREADS,
    groups = GROUPS,
    token_waves = TOKEN_WAVES,
    row_waves = threads / 32 / token_waves,
    token_tiles = tokens / 16 / token_waves,
    row_tiles = rows / 16 / row_waves,
    chunks = 4 * tokens / threads, // of eight elements of x in a window, for a thread
    halves = 2 * rows / threads,   // of windows of weights, for a thread
    some = SOME,
    split = SPLIT,
    x_buffers = GPU_COPIES ? 3 : 2,
  };
  // thread and the wave are those of a group.
  DEV int group() { return groups == 1 ? 0 : uniform(wave()) / (threads / 32); }
  DEV int thread() { return groups == 1 ? tid() : tid() % threads; }
  DEV int group_wave() { return groups == 1 ? wave() : wave() % (threads / 32); }
};

// tile_whole is for many tokens, tile_some for up to 128, and tile_small for so few that larger ones would not fill the device; where
// it does not either, tile_pair has twice as many waves.
#if GPU_NVIDIA
typedef tile_shape<128, 128, 128, 2, false, false> tile_whole;
#else
typedef tile_shape<128, 128, 256, 4, false, false> tile_whole;
#endif
typedef tile_shape<128, 128, 256, 2, true, true> tile_some;
typedef tile_shape<64, 64, 128, 2, true, false> tile_small;
typedef tile_shape<64, 64, 128, 2, true, false, 2> tile_pair;

template <class T, class S> struct tile_lds {
  T x[S::x_buffers][S::tokens * lds_row], w[2][S::rows * lds_row];
  int src[S::tokens], dst[S::tokens];
};

// few is up to four fragments. Of an array of them the compiler would make one wide vector, and pick it apart again.
template <class F> struct few {
  F a, b, c, d;
  DEV_METHOD F get(int i) const { return i == 0 ? a : i == 1 ? b : i == 2 ? c : d; }
  DEV_METHOD void set(int i, F f) { (i == 0 ? a : i == 1 ? b : i == 2 ? c : d) = f; }
};

// tile_sums are a wave's, of which the first token is m0 and the first row n0.
template <class S> struct tile_sums {
  Acc acc[S::token_tiles][S::row_tiles];
  DEV int m0() { return S::group_wave() / S::row_waves * (16 * S::token_tiles); }
  DEV int n0() { return S::group_wave() % S::row_waves * (16 * S::row_tiles); }

  // add adds 16 products to each, of the windows x and w from kk on; `used` tiles of tokens have some.
  template <class T> DEV_METHOD void add(const T* x, const T* w, int kk, int used) {
    if constexpr (S::some) {
      few<decltype(fragment_b(w, 0, 0))> b;
      UNROLL for (int j = 0; j < S::row_tiles; j++) b.set(j, fragment_b(w, n0() + 16 * j, kk));
      used = opaque(used);
      UNROLL for (int t = 0; t < S::token_tiles; t++) {
        if (t >= used) break;
        auto a = fragment_a(x, m0() + 16 * t, kk);
        UNROLL for (int j = 0; j < S::row_tiles; j++) acc[t][j] = mma(acc[t][j], a, b.get(j));
      }
    } else {
      few<decltype(fragment_a(x, 0, 0))> a;
      UNROLL for (int t = 0; t < S::token_tiles; t++) a.set(t, fragment_a(x, m0() + 16 * t, kk));
      UNROLL for (int j = 0; j < S::row_tiles; j++) {
        auto b = fragment_b(w, n0() + 16 * j, kk);
        UNROLL for (int t = 0; t < S::token_tiles; t++) acc[t][j] = mma(acc[t][j], a.get(t), b);
      }
    }
  }

  // join adds the sums of two groups, of which each ends every other tile of tokens.
  DEV bool ends(int t) { return S::groups == 1 || t % 2 == S::group(); }
  template <class T> DEV_METHOD void join(tile_lds<T, S> (&lds)[S::groups]) {
    static_assert(S::groups == 2 && S::token_tiles % 2 == 0, "");
    enum { floats = S::token_tiles / 2 * S::row_tiles * 8 };
    static_assert(sizeof(lds[0].x) >= 4 * floats * S::threads, "");
    float* to = (float*)lds[1 - S::group()].x + S::thread();
    const float* from = (const float*)lds[S::group()].x + S::thread();
    UNROLL for (int t = 0; t < S::token_tiles; t++)
      UNROLL for (int j = 0; j < S::row_tiles; j++)
        UNROLL for (int e = 0; e < 8; e++)
          if (!ends(t)) to[S::threads * ((t / 2 * S::row_tiles + j) * 8 + e)] = acc[t][j][e];
    barrier();
    UNROLL for (int t = 0; t < S::token_tiles; t++)
      UNROLL for (int j = 0; j < S::row_tiles; j++)
        UNROLL for (int e = 0; e < 8; e++)
          if (ends(t)) acc[t][j][e] += from[S::threads * ((t / 2 * S::row_tiles + j) * 8 + e)];
  }
};

// tile_operands is what a thread brings to LDS.
template <class Q, class S> struct tile_operands {
  typedef operand<Q> T;
  enum { windows = panel<Q>::windows };
  const T* x;            // the same for all threads
  u32 x_at[S::chunks];   // in bytes, as the offsets that follow
  const u8* w;           // the same for a wave
  u32 w_at[S::halves];
  int k, count;
  int first, last; // of k's parts the group's are those from first on, before last; it may have none
  typename panel<Q>::raw raw[S::halves];

  // deal gives the group its share of the parts, which is one of as many as parts().
  DEV_METHOD int parts() const { return (k / (32 * windows) + S::groups - 1) / S::groups; }
  DEV_METHOD void deal() {
    const int all = k / (32 * windows), end = parts() * (S::group() + 1);
    first = end - parts(), last = end < all ? end : all;
  }
  DEV_METHOD bool has_part(int n) const { return S::groups == 1 || first + n < last; }
  DEV_METHOD int clamped(int n) const {
    if (S::groups == 1) return n < parts() ? n : parts() - 1;
    return first + n < last ? first + n : last - 1;
  }
  DEV_METHOD void load_weights(int n) {
    UNROLL for (int i = 0; i < S::halves; i++) panel<Q>::load(raw[i], w + w_at[i], k, clamped(n));
  }
  template <bool REST> DEV_METHOD void put_weights(T* to, int i) const {
    UNROLL for (int h = 0; h < S::halves; h++)
      UNROLL for (int j = 0; j < 2; j++) {
        const int r = S::thread() / 2 + S::threads / 2 * h;
        *(operand8<Q>*)(to + lds_at(r, 2 * (tid() & 1) + j)) = panel<Q>::template octet<REST>(raw[h], i, j);
      }
  }

  // row_of is the row of the thread's c-th chunk of a window of x; has_chunk reports whether any thread's has a token (asked anew, since
  // answers that are kept cost registers).
  DEV int row_of(int c) { return S::thread() / 4 + S::threads / 4 * c; }
  DEV_METHOD bool has_chunk(int c) const { return !S::some || S::threads / 4 * c < opaque(count); }
  // chunk_at is where the c-th chunk of a window is.
  DEV_METHOD const operand8<Q>* chunk_at(int n, int i, int c) {
    in_loop(x_at[c]);
    return (const operand8<Q>*)((const u8*)(x + panel<Q>::start(clamped(n + i / windows), i % windows)) + x_at[c]);
  }
#if GPU_COPIES
  DEV_METHOD void copy_x(T* to, int n, int i) {
    UNROLL for (int c = 0; c < S::chunks; c++)
      if (has_chunk(c)) copy16(lds_address(to + lds_at(row_of(c), tid() & 3)), chunk_at(n, i, c));
    copies_end();
  }
#else
  operand8<Q> chunk[S::chunks];
  DEV_METHOD void load_x(int n, int i) {
    UNROLL for (int c = 0; c < S::chunks; c++)
      if (has_chunk(c)) chunk[c] = *chunk_at(n, i, c);
  }
  DEV_METHOD void put_x(T* to) const {
    UNROLL for (int c = 0; c < S::chunks; c++)
      if (has_chunk(c)) *(operand8<Q>*)(to + lds_at(row_of(c), tid() & 3)) = chunk[c];
  }
#endif

  // bring writes window `next` of the part in registers to LDS, where it follows window i of part n, and asks for what comes after.
  template <bool REST> DEV_METHOD void bring(tile_lds<T, S>& m, int buffer, int n, int i, int next) {
#if !GPU_COPIES
    put_x(m.x[buffer]);
#endif
    put_weights<REST>(m.w[buffer], next);
    if (next == windows - 1) load_weights(n + 1 + (i + 1) / windows);
#if !GPU_COPIES
    load_x(n, i + 2);
#endif
  }
};

// mma_pass adds the products of x with the weights, or with what rounding takes from them.
template <bool REST, class Q, class S>
DEV void mma_pass(tile_sums<S>& sums, tile_operands<Q, S>& in, tile_lds<operand<Q>, S>& m) {
  constexpr int W = panel<Q>::windows;
  const int parts = in.parts(), mine = uniform((in.count - sums.m0() + 15) / 16);
  in.load_weights(0);
#if GPU_COPIES
  int slot = 0; // of x in use
  in.copy_x(m.x[0], 0, 0);
  in.copy_x(m.x[1], 0, 1);
#else
  in.load_x(0, 0);
  in.put_x(m.x[0]);
#endif
  in.template put_weights<REST>(m.w[0], 0);
  if (W == 1) in.load_weights(1);
#if GPU_COPIES
  copies_done<1>();
#else
  in.load_x(0, 1);
#endif
  barrier();
  NO_UNROLL for (int n = 0; n < parts; n++)
    UNROLL for (int i = 0; i < W; i++) {
      const int b = W % 2 ? n & 1 : i & 1, next = (i + 1) % W;
      const int used = in.has_part(n) ? mine : 0;
#if GPU_COPIES
      in.copy_x(m.x[slot == 0 ? 2 : slot - 1], n, i + 2);
      sums.add(m.x[slot], m.w[b], 0, used);
      in.template bring<REST>(m, b ^ 1, n, i, next); // while matrix instructions are on their way
      sums.add(m.x[slot], m.w[b], 16, used);
      slot = slot == 2 ? 0 : slot + 1;
      copies_done<1>();
#else
      in.template bring<REST>(m, b ^ 1, n, i, next);
      UNROLL for (int kk = 0; kk < 32; kk += 16) sums.add(m.x[b], m.w[b], kk, used);
#endif
      barrier();
    }
#if GPU_COPIES
  copies_done<0>(); // before others use that LDS
  barrier();
#endif
}

template <class Q, class S>
DEV void mma_tile(const operand<Q>* RESTRICT x, const float* RESTRICT inverse, const u8* RESTRICT w, const tile_end& end, int count, int o0,
                  int n, int k, int low, tile_lds<operand<Q>, S> (&lds)[S::groups]) {
  tile_lds<operand<Q>, S>& m = lds[S::group()];
  const i64 pitch = weight_row<Q>::bytes(k);
  const bool gated = end.gate != ungated;
  tile_operands<Q, S> in;
  in.x = x, in.k = k, in.count = count;
  if (S::groups > 1) in.deal();
  UNROLL for (int c = 0; c < S::chunks; c++) in.x_at[c] = 2 * ((u32)m.src[in.row_of(c)] * (u32)k + 8 * (tid() & 3));
  // A wave brings 16 rows next to each other.
  const bool up = gated && uniform(wave()) & 1;
  in.w = (up ? end.up : w) + o0 * pitch;
  UNROLL for (int i = 0; i < S::halves; i++) {
    int r = S::thread() / 2 + S::threads / 2 * i;
    if (gated) r = r / 32 * 16 + r % 16;
    in.w_at[i] = (u32)((o0 + r < n ? r : n - 1 - o0) * (int)pitch);
  }
  tile_sums<S> sums = {};
  if constexpr (S::split) {
    NO_UNROLL for (int pass = 0; pass < (low ? 2 : 1); pass++) {
      mma_pass<false>(sums, in, m);
      in.x = x + (i64)low * k;
    }
    in.x = x;
    if (low) mma_pass<true>(sums, in, m);
  } else {
    mma_pass<false>(sums, in, m);
  }
  allow_launches();
  if constexpr (S::groups > 1) sums.join(lds);
  const int first = gated ? sums.n0() / 2 : sums.n0(), left = n - o0 - first;
  UNROLL for (int t = 0; t < S::token_tiles; t++) {
    if (S::some && uniform(sums.m0()) + 16 * t >= count) break;
    if (!sums.ends(t)) continue;
    UNROLL for (int e = 0; e < 8; e++) {
      const int r = sums.m0() + 16 * t + acc_row(e), to = m.dst[r], c = acc_col(e);
      if (to < 0) continue;
      const float s = inverse[m.src[r]];
      const i64 at = (i64)to * n + (o0 + first + c);
      float* y = end.y + at;
      if (gated) {
        UNROLL for (int j = 0; j < S::row_tiles; j += 2)
          if (8 * j + c < left) y[8 * j] = gated_f(end.gate, sums.acc[t][j][e] * s, sums.acc[t][j + 1][e] * s);
      } else if (end.add) {
        const float* add = end.add + at;
        UNROLL for (int j = 0; j < S::row_tiles; j++)
          if (16 * j + c < left) y[16 * j] = add[16 * j] + sums.acc[t][j][e] * s;
      } else {
        UNROLL for (int j = 0; j < S::row_tiles; j++)
          if (16 * j + c < left) y[16 * j] = sums.acc[t][j][e] * s;
      }
    }
  }
}
