// Products of 22 bits with matrix instructions, of which one operand is made of accumulators: those of delta_net_chunk.hip.
//
// Each wave has an operand of its own, of 16 values v: S, X or U. The other, k, q, T or B, it shares with waves of the same
// head. Accumulators are those of the transposed product on NVIDIA, so that on all targets but gfx11 they become the wave's
// operand of the next product without any exchange. Element e of one is at own_x(e) + lane_x() of what the shared operand
// has, and at own_v(e) + lane_v(), of which a lane has own_vs.
#pragma once
#include "halves.h"
#include "mma.h"

enum { tile_halves = 256, pair_halves = 2 * tile_halves };

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

// Shared operands are in memory as lanes load them: lane l has elements (shared_row(e), shared_k(e)) of a tile at 8l + e. On
// gfx11, where both halves of a wave need all of an operand and have every second row of an accumulator, those along k that
// one half has come before those of the other. In rows that become such operands, column c is at column_at(c), and that of a
// lane's element e at shared_at(e).
#if GPU_NVIDIA
DEV int shared_row(int e) { return (lane() >> 2) + 8 * (e >> 2); }
DEV int shared_k(int e) { return 2 * (lane() & 3) + (e & 1) + 8 * (e >> 1 & 1); }
DEV int shared_at(int e) { return shared_k(e); }
DEV FragShared load_shared(const half* tile) { return {*(const u32x4*)(tile + 8 * lane())}; }
#else
DEV int shared_row(int) { return lane() & 15; }
DEV int shared_at(int e) { return 8 * (lane() >> 4) + e; }
#if defined(__GFX12__)
DEV int shared_k(int e) { return shared_at(e); }
DEV FragShared load_shared(const half* tile) { return *(const half8*)(tile + 8 * lane()); }
#else
DEV int shared_k(int e) { return 2 * e + (lane() >> 4); }
DEV FragShared load_shared(const half* tile) {
  tile += 8 * (lane() & 15);
  half8 lo = *(const half8*)tile, hi = *(const half8*)(tile + 128);
  return __builtin_shufflevector(lo, hi, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
#endif
#endif

#if GPU_AMD && defined(__GFX11__)
DEV int column_at(int c) { return (c & ~15) + 8 * (c & 1) + (c >> 1 & 7); }
DEV void put_four(half* row, int c, half4 v) {
  *(half2*)(row + column_at(c)) = v.xz;
  *(half2*)(row + column_at(c + 1)) = v.yw;
}
#else
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
DEV void put_pair(half* pair, Acc v, float by) {
  u32x4 high, low;
  float scale[8];
  UNROLL for (int e = 0; e < 8; e++) scale[e] = by;
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

DEV shared_pair load_pair(const half* pair) { return {load_shared(pair), load_shared(pair + tile_halves)}; }

// here keeps the compiler from moving what makes two accumulators down, or what follows up.
DEV void here(Acc (&c)[2]) {
#if GPU_AMD
  __asm__ volatile("" : "+v"(c[0]), "+v"(c[1]));
#endif
  fixed();
}

// pairs_ahead are two pairs of operands of those in LDS. add multiplies with them, and asks for the next two as soon as registers
// are free.
struct pairs_ahead {
  const half* first;
  FragShared high[2], low[2];

  DEV_METHOD explicit pairs_ahead(const half* p) : first(p) { load(low, 0, tile_halves), load(high, 0, 0); }
  DEV_METHOD void load(FragShared (&to)[2], int n, int at) {
    UNROLL for (int i = 0; i < 2; i++) to[i] = load_shared(first + (2 * n + i) * pair_halves + at);
  }
  DEV_METHOD void add(Acc (&c)[2], const own_pair& o, int next, bool more) {
    UNROLL for (int i = 0; i < 2; i++) c[i] = mma_own(c[i], low[i], o.high);
    here(c);
    if (more) load(low, next, tile_halves);
    UNROLL for (int i = 0; i < 2; i++) c[i] = mma_own(c[i], high[i], o.low);
    UNROLL for (int i = 0; i < 2; i++) c[i] = mma_own(c[i], high[i], o.high);
    here(c);
    if (more) load(high, next, 0);
  }
};

// own_scales are the powers of two that a lane's rows are multiplied by, and their inverses, for elements of `least` at least.
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
