// What the matrix kernels of attention have in fragments: products of tiles of 16 queries with 16 keys, and of their weights with
// 16 dims of values. What a lane has of the scores is, rounded, what it must have of the weights, so that those never go
// through LDS:
//
//            scores, rows by columns    weights are    a lane's queries      so
//   AMD      keys by queries            B              one, lane mod 16      values are A: transposed, and so are the sums
//   NVIDIA   queries by keys            A              g and g+8             values are B
//
// but on gfx11, where both halves of a wave want all keys, they exchange what they have.
#pragma once
#include "attention.h"
#include "mma.h"

#if GPU_NVIDIA

typedef FragA query_frag, weight_frag;
typedef FragB key_frag, value_frag;
enum { lane_queries = 2, lane_dims = 2 }; // dims: neighbours in the sums
DEV int query_of(int i) { return (lane() >> 2) + 8 * i; }
DEV int query_index(int e) { return e >> 1 & 1; } // which of a lane's queries element e of scores is of
DEV int key_of(int e) { return acc_col(e); }
DEV float max_of_query(float x) { return lanes_max<4>(x); }
DEV Acc score_mma(Acc s, query_frag q, key_frag k) { return mma(s, q, k); }
DEV Acc value_mma(Acc o, weight_frag p, value_frag v) { return mma(o, p, v); }
DEV weight_frag weights_of(half2 (&p)[4]) {
  return {(u32x4){bits<u32>(p[0]), bits<u32>(p[1]), bits<u32>(p[2]), bits<u32>(p[3])}};
}

// query_tile has D dims of 16 queries. rows are those of the lane's queries; lds, of the wave alone, takes what finds no room in
// registers.
template <int D> struct query_tile {
  enum { kept = D > 128 ? 10 : D / 16, room = (D / 16 - kept) * 32 * 8 + 8 };
  query_frag part[kept];
  const u32x4* rest;
  DEV_METHOD void load(const float* const (&rows)[lane_queries], half* lds) {
    rest = (u32x4*)lds + lane();
    UNROLL for (int d = 0; d < D / 16; d++) {
      query_frag x;
      UNROLL for (int i = 0; i < 4; i++) {
        f32x2 y = *(const f32x2*)(rows[i & 1] + 16 * d + 8 * (i >> 1) + 2 * (lane() & 3));
        x.word[i] = bits<u32>(halves(y[0], y[1]));
      }
      if (d < kept)
        part[d] = x;
      else
        ((u32x4*)lds)[32 * (d - kept) + lane()] = x.word;
    }
  }
  DEV_METHOD query_frag get(int d) const {
    if (d < kept) return part[d];
    return {rest[32 * (d - kept)]};
  }
};

// load_keys and load_values read a tile that starts `at` halves behind p. Rows of keys and of values in LDS: a row is a key.
template <int STRIDE> DEV key_frag load_keys(const half* p, int at) {
  return {ldmatrix(lds_address(p) + 2 * (((lane() >> 1 & 8) + (lane() & 7)) * STRIDE + (lane() & 8)), 2 * at)};
}
template <int STRIDE> DEV value_frag load_values(const half* p, int at) {
  return {ldmatrix_transposed(lds_address(p) + 2 * ((lane() & 15) * STRIDE + (lane() >> 1 & 8)), 2 * at)};
}

// weight_sums adds up what the weights were rounded to.
struct weight_sums {
  AccHalf acc;
  DEV_METHOD void add(weight_frag p, const half2 (&)[4]) { acc = mma(acc, p, (u32x2){0x3c003c00, 0x3c003c00}); }
  DEV_METHOD void scale(int i, float by) { acc[2 * i] *= by, acc[2 * i + 1] *= by; }
  DEV_METHOD float total(int i) const { return acc[2 * i]; }
};

// dims_of returns dims of query i that the lane has of 16 in sums: part j, lane_dims of them from first_dim(j) on.
enum { lane_parts = 2 };
DEV int first_dim(int j) { return 8 * j + 2 * (lane() & 3); }
typedef f32x2 lane_part;
DEV lane_part dims_of(const Acc& o, int i, int j) { return (lane_part){o[4 * j + 2 * i], o[4 * j + 2 * i + 1]}; }

#else

typedef FragB query_frag, weight_frag;
typedef FragA key_frag, value_frag;
enum { lane_queries = 1, lane_dims = 8 };
typedef f32x8 lane_part __attribute__((aligned(16)));
DEV int query_of(int) { return lane() & 15; }
DEV int query_index(int) { return 0; }
DEV int key_of(int e) { return acc_row(e); }
DEV float max_of_query(float x) { return __builtin_fmaxf(x, shfl_xor<16>(x)); }
DEV Acc score_mma(Acc s, query_frag q, key_frag k) { return mma(s, k, q); }
DEV Acc value_mma(Acc o, weight_frag p, value_frag v) { return mma(o, v, p); }

// Rows of keys in LDS: a row is a key. Of values: a row is a dim, and eight rows are followed by a gap of eight halves.
#if defined(__GFX12__)
template <int STRIDE> DEV key_frag load_keys(const half* p, int at) { return load_a(p + at, STRIDE); }
#else
// As load_a, in words: of halves the compiler makes copies, one by one.
DEV key_frag two_vectors(const u32x4* p, int distance) {
  u32x4 low = p[0], high = p[distance];
  return bits<key_frag>(__builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7));
}
template <int STRIDE> DEV key_frag load_keys(const half* p, int at) {
  return two_vectors((const u32x4*)(p + (lane() & 15) * STRIDE + at), 1);
}
#endif
template <int STRIDE> DEV value_frag load_values(const half* p, int at) { return load_keys<STRIDE>(p + (lane() & 8), at); }

// settled keeps the compiler from rounding where a fragment is used, until when it would have floats.
DEV query_frag settled(query_frag x) {
  typedef u32 words __attribute__((ext_vector_type(sizeof(query_frag) / 4)));
  words y = bits<words>(x);
  UNROLL for (int i = 0; i < (int)sizeof(query_frag) / 4; i++) y[i] = bits<u32>(pin(bits<float>(y[i])));
  return bits<query_frag>(y);
}

#if defined(__GFX12__)
DEV weight_frag weights_of(half2 (&p)[4]) {
  return bits<weight_frag>((u32x4){bits<u32>(p[0]), bits<u32>(p[1]), bits<u32>(p[2]), bits<u32>(p[3])});
}
template <int D> struct query_tile {
  enum { room = 8 };
  query_frag part[D / 16];
  DEV_METHOD void load(const float* const (&rows)[lane_queries], half*) {
    UNROLL for (int d = 0; d < D / 16; d++) {
      group y;
      get_floats<false>(rows[0], 2 * d + (lane() >> 4), D, y);
      UNROLL for (int j = 0; j < 8; j++) part[d][j] = (half)y[j];
      part[d] = settled(part[d]);
    }
  }
  DEV_METHOD query_frag get(int d) const { return part[d]; }
};
DEV int first_dim(int) { return lane() >> 1 & 8; }
DEV lane_part dims_of(const Acc& o, int, int) { return o; }
#else
// A lane has every second key: those of the other half of the wave are between them.
DEV weight_frag weights_of(half2 (&p)[4]) {
  const u32 low = lane() & 16 ? 0x01000504 : 0x05040100, high = lane() & 16 ? 0x03020706 : 0x07060302;
  u32x8 y;
  UNROLL for (int i = 0; i < 4; i++) {
    u32 own = bits<u32>(p[i]), other = (u32)shfl_xor<16>((int)own);
    y[2 * i] = __builtin_amdgcn_perm(other, own, low), y[2 * i + 1] = __builtin_amdgcn_perm(other, own, high);
  }
  return bits<weight_frag>(y);
}

// Both halves of a wave want all of a fragment. Where registers are few, each has every second, and gives it to the other each time;
// the last are in LDS.
template <int D> struct query_tile {
  enum { shared = D > 128, parts = D / (shared ? 32 : 16), kept = shared ? 6 : parts, room = (parts - kept) * 512 + 8 };
  query_frag part[kept];
  const u32x4* rest;
  DEV_METHOD void load(const float* const (&rows)[lane_queries], half* lds) {
    UNROLL for (int d = 0; d < parts; d++) {
      query_frag x;
      UNROLL for (int i = 0; i < 2; i++) {
        group y;
        get_floats<false>(rows[0], 2 * (shared ? 2 * d + (lane() >> 4) : d) + i, D, y);
        UNROLL for (int j = 0; j < 8; j++) x[8 * i + j] = (half)y[j];
      }
      x = settled(x);
      if (d < kept) {
        part[d] = x;
        continue;
      }
      u32x8 y = bits<u32x8>(x);
      u32x4* to = (u32x4*)lds + 64 * (d - kept) + lane();
      to[0] = y.lo, to[32] = y.hi;
    }
    rest = (u32x4*)lds + (lane() & 15);
    wave_fence();
  }
  DEV_METHOD query_frag get(int d) const {
    if constexpr (!shared) return part[d];
    if (d >= 2 * kept) return two_vectors(rest + 32 * (d - 2 * kept) - 16 * (d & 1), 32);
    u32x8 y = bits<u32x8>(part[d / 2]);
    UNROLL for (int i = 0; i < 8; i++) y[i] = (u32)shfl((int)y[i], (lane() & 15) + 16 * (d & 1));
    return bits<query_frag>(y);
  }
};
DEV int first_dim(int) { return lane() >> 1 & 8; }
// A lane has every second dim: it gives four of them for four.
DEV lane_part dims_of(const Acc& o, int, int) {
  lane_part y;
  const bool up = lane() & 16;
  UNROLL for (int k = 0; k < 4; k++) {
    float own = up ? o[k + 4] : o[k], other = shfl_xor<16>(up ? o[k] : o[k + 4]);
    y[2 * k] = up ? other : own, y[2 * k + 1] = up ? own : other;
  }
  return y;
}
#endif
enum { lane_parts = 1 };

struct weight_sums {
  float sum;
  DEV_METHOD void add(const weight_frag&, const half2 (&p)[4]) {
    UNROLL for (int i = 0; i < 4; i++) sum = __builtin_amdgcn_fdot2(p[i], (half2){1, 1}, sum, false);
  }
  DEV_METHOD void scale(int, float by) { sum *= by; }
  DEV_METHOD float total(int) const { return sum + shfl_xor<16>(sum); }
};

#endif
