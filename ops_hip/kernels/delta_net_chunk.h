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
DEV void put_four(half* row, int c, const half2 (&v)[2]) {
  *(half2*)(row + column_at(c)) = v[0];
  *(half2*)(row + column_at(c + 1)) = v[1];
}
enum { four_step = 2 };
#else
DEV int column_at(int c) { return c; }
DEV void put_four(half* row, int c, const half2 (&v)[2]) { *(half4*)(row + c) = __builtin_shufflevector(v[0], v[1], 0, 1, 2, 3); }
enum { four_step = 1 };
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

// split_four splits four neighbours, scaled, into two pairs of neighbours, or of every second, for put_four.
DEV void split_four(f32x4 v, float s, half2 (&high)[2], half2 (&low)[2]) {
  UNROLL for (int i = 0; i < 2; i++) {
    const float a = v[i * (3 - four_step)], b = v[i * (3 - four_step) + four_step];
    high[i] = whole(halves(__builtin_fmaf(a, s, 0.0f), __builtin_fmaf(b, s, 0.0f)));
    low[i] = halves(__builtin_fmaf(a, s, -(float)high[i][0]), __builtin_fmaf(b, s, -(float)high[i][1]));
  }
}

// halves_below returns two floats as halves whose rests halves hold, by one instruction where there is one.
#if GPU_AMD
DEV half2 halves_below(float a, float b) { return bits<half2>(__builtin_amdgcn_cvt_pkrtz(a, b)); }
// opaque_one is 1, by which products with halves are one instruction with what follows them.
DEV float opaque_one() {
  float x = 1;
  __asm__("" : "+s"(x));
  return x;
}
#else
DEV half2 halves_below(float a, float b) { return halves(a, b); }
DEV float opaque_one() { return 1; }
#endif

// twice is a float, on AMD in two registers: instructions for neighbouring elements issue together if they share no register.
struct twice {
  float of[2];

  DEV_METHOD explicit twice(float x) : of{x, x} {
#if GPU_AMD
    __asm__("" : "+v"(of[1]));
#endif
  }
  DEV_METHOD float at(int e) const { return of[e & 1]; }
};

// times_power returns x·2^n.
#if GPU_AMD
DEV float times_power(float x, int n) { return __builtin_amdgcn_ldexpf(x, n); }
#else
DEV float times_power(float x, int n) { return x * bits<float>((u32)(n < -127 ? 0 : n > 128 ? 255 : n + 127) << 23); }
#endif

// in_lane returns x in lane i, and 0 in all others.
#if GPU_AMD
DEV float in_lane(int i, float x) { return __builtin_amdgcn_inverse_ballot_w32(1u << i) ? x : 0; }
#else
DEV float in_lane(int i, float x) { return i == lane() ? x : 0; }
#endif

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

// own_max finds the largest magnitudes of a lane's rows.
template <int TILES> DEV void own_max(const Acc (&x)[TILES], float (&most)[own_vs]) {
  UNROLL for (int i = 0; i < own_vs; i++) most[i] = 0;
  UNROLL for (int i = 0; i < TILES; i++)
    UNROLL for (int e = 0; e < 8; e++) most[own_index(e)] = __builtin_fmaxf(most[own_index(e)], __builtin_fabsf(x[i][e]));
  UNROLL for (int i = 0; i < own_vs; i++) most[i] = own_max(most[i]);
}

// own_scales are the powers of two that a lane's rows are multiplied by whose largest magnitudes are `most`, or `least` if that is
// more, and their inverses.
struct own_scales {
  float scale[own_vs], unscale[own_vs];

  DEV_METHOD own_scales(const float (&most)[own_vs], float least) {
    UNROLL for (int i = 0; i < own_vs; i++) scale[i] = half_scale(__builtin_fmaxf(most[i], least), unscale[i]);
  }
};

// own_factors are what a lane's rows are multiplied by.
struct own_factors {
  twice x;

  DEV_METHOD explicit own_factors(const float (&from)[own_vs]) : x(from[0]) {
    if (own_vs > 1) x.of[1] = from[own_vs - 1];
  }
  DEV_METHOD float at(int e) const { return x.at(own_vs > 1 ? own_index(e) : e); }
};

// split makes a wave's operand of an accumulator, element e of which is multiplied by factor[e] before all else.
DEV own_pair split(Acc x, const own_scales& s, const float (&factor)[8]) {
  float scale[8];
  const own_factors own(s.scale);
  UNROLL for (int e = 0; e < 8; e++) scale[e] = own.at(e) * factor[e];
  u32x4 high, low;
  split8(x, scale, high, low);
  return {own_words(high), own_words(low)};
}
DEV own_pair split(Acc x, const own_scales& s) {
  float scale[8];
  UNROLL for (int e = 0; e < 8; e++) scale[e] = s.scale[own_index(e)];
  u32x4 high, low;
  split8(x, scale, high, low);
  return {own_words(high), own_words(low)};
}

// split makes a wave's operand of an accumulator that halves hold.
DEV own_pair split(Acc x) {
  u32x4 high, low;
  const float one = opaque_one();
  UNROLL for (int j = 0; j < 8; j += 2) {
    const half2 h = halves_below(x[j], x[j + 1]);
    high[j / 2] = bits<u32>(h);
    low[j / 2] = bits<u32>(halves(__builtin_fmaf(x[j], one, -(float)h[0]), __builtin_fmaf(x[j + 1], one, -(float)h[1])));
  }
  return {own_words(high), own_words(low)};
}

// mma_pairs adds products of N pairs with one of the wave's to N accumulators.
template <int N> DEV void mma_pairs(Acc (&c)[N], const shared_pair (&s)[N], const own_pair& o) {
  UNROLL for (int i = 0; i < N; i++) c[i] = mma_own(c[i], s[i].low, o.high);
  UNROLL for (int i = 0; i < N; i++) c[i] = mma_own(c[i], s[i].high, o.low);
  UNROLL for (int i = 0; i < N; i++) c[i] = mma_own(c[i], s[i].high, o.high);
}
