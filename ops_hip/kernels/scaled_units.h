// Products of weights of types whose steps are integers times one of a block of 256, as Q4_K and Q6_K, with few tokens on matrix
// instructions: a weight is its step times its code, and the sums of a block are scaled once.
#pragma once
#include "tiles.h"

DEV half2 splat(half v) { return (half2){v, v}; }

// q6_scales returns the signed bytes 0 and 1 of word, and q6_codes the codes j·8 to j·8+7 of run i of a strip of Q6_K as halves,
// 64 more than they are without sign: low and high are its bytes with those, and its high bits.
DEV half2 q6_scales(u32 word) { return bits<half2>(byte_pair(word ^ 0x8080, 0)) - splat(1024 + 128); }
DEV void q6_codes(half2 (&h)[4], octet low, octet high, int i, int j) {
  UNROLL for (int e = 0; e < 4; e++) {
    const u32 l = (i ? low[e / 2] : low[e / 2] << 4) & 0xf0f0f0f0;
    h[e] = bits<half2>(byte_pairs(l, ((high[e / 2] ^ 0xaaaaaaaa) >> (4 * j + 2 * i) & 0x03030303) | 0x54545454, e % 2));
  }
}

#if GPU_NVIDIA

// scaled_units<Q> multiplies units of weights of types whose steps are integers times one of a block of 256, times the codes, which are
// integers as well: the products of both are nearly always exact as halves.
//
// Of a unit of 128, a half of a block, a lane has 16 elements each of two runs, which lie next to each other in x as in the codes.
template <class Q> struct scaled_units {
  enum { known = false };
};

// scaled_fragments are those of 16 rows by 32 elements, of which a lane has eight of each of two rows, a and b.
struct scaled_pair {
  FragA of[2];
};
DEV scaled_pair scaled_fragments(const half2 (&a)[4], const half2 (&b)[4]) {
  scaled_pair f;
  UNROLL for (int j = 0; j < 2; j++)
    f.of[j] = {(u32x4){bits<u32>(a[2 * j]), bits<u32>(b[2 * j]), bits<u32>(a[2 * j + 1]), bits<u32>(b[2 * j + 1])}};
  return f;
}

// Lane t of the four of a row has half t mod 2 of each of the windows of part t/2 of the unit.
template <> struct scaled_units<q4_k> {
  enum { known = true, min = true };
  struct block { // of a row
    u32 scales, d;
  };
  DEV void load(block& b, const u8* w, int k, u32 n) {
    const u8* p = w + (u32)k / 2 + 20 * n;
    b.scales = load32(p + 4 * tile_octet()), b.d = load32(p + 16);
  }
  struct unit {
    half2 scale, off; // of both runs
    u32x4 codes;
  };
  DEV half2 bytes(u32 word, int i) { return bits<half2>(byte_pair(word, i)) - splat(1024); }
  DEV void set(unit& x, const block& b, u32 lds, u32 row, int u) {
    const u32 word = (u32)shfl((int)b.scales, (lane() & ~3) | (2 * u + tile_octet() / 2));
    x.scale = bytes(word, 0);
    x.off = x.scale * (half2){-1024, -64};
    x.codes = lds128(lds + chunk_of(row, tile_octet()));
  }
  DEV u32 chunk() { return 8 * ((u32)tile_octet() / 2) + 2 * ((u32)tile_octet() % 2); } // of run 0; that of run 1 is this xor run_chunk
  enum { run_chunk = 4 };
  // codes writes eight codes of run i, the j-th, as halves: 1024 more than they are in run 0, and 64 in run 1.
  DEV void codes(half2 (&h)[4], const unit& x, int i, int j) {
    UNROLL for (int e = 0; e < 4; e++) {
      const u32 q = x.codes[2 * j + e / 2] & (i ? 0xf0f0f0f0 : 0x0f0f0f0f);
      h[e] = bits<half2>(prmt(q, i ? 0x54545454 : 0x64646464, e % 2 ? 0x4342 : 0x4140));
    }
  }
  DEV float step(const block& b) { return (float)bits<half2>(b.d)[0]; }
  DEV float min_step(const block& b) { return (float)bits<half2>(b.d)[1]; }
  // window is that of the block that run i of unit u is of, and mins those of the lane's: windows 2t and 2t+1.
  DEV int window(int u, int i) { return 4 * u + 2 * (tile_octet() / 2) + i; }
  DEV half2 mins(const block& b) { return bytes(b.scales, 1); }
};

// Lane t of the four of a row has strip t of the unit.
template <> struct scaled_units<q6_k> {
  enum { known = true, min = false };
  struct block {
    u32 scales, d; // two bytes for each unit
  };
  DEV void load(block& b, const u8* w, int k, u32 n) {
    const u8* p = w + (u32)k / 4 * 3 + 18 * n;
    b.scales = load16(p + 2 * tile_octet()) | load16(p + 8 + 2 * tile_octet()) << 16;
    b.d = load16(p + 16);
  }
  struct unit {
    half2 scale, off;
    u32x4 low;
    octet high;
  };
  DEV void set(unit& x, const block& b, u32 lds, u32 row, int u) {
    x.scale = q6_scales(b.scales >> 16 * u);
    x.off = x.scale * splat(-96);
    x.low = lds128(lds + chunk_of(row, tile_octet()));
    x.high = lds64(lds + staged<q6_k>::high + 32 * row + 8 * tile_octet());
  }
  DEV u32 chunk() { return 2 * (u32)tile_octet(); }
  enum { run_chunk = 8 };
  DEV void codes(half2 (&h)[4], const unit& x, int i, int j) { q6_codes(h, j ? x.low.zw : x.low.xy, x.high, i, j); }
  DEV float step(const block& b) { return (float)bits<half>((u16)b.d); }
};

// scaled_sums are a wave's of a block of R tiles of 16 rows and NT of tokens. Where PARTS is 2, the rests of x and of the weights are
// multiplied too.
template <class Q, int NT, int R, int PARTS> struct scaled_sums {
  typedef scaled_units<Q> U;
  tile_sum acc[NT][R], window_sums[NT];

  // add adds the products of run i of unit u of the block, run by run from the first on. x(j, t, p) returns eight elements of each
  // token of tile t, the j-th of the run, as they are for p = 0, and what rounding took from them for p = 1.
  template <class X> DEV_METHOD void add(const typename U::unit (&w)[R][2], int u, int i, X x) {
    UNROLL for (int j = 0; j < 2; j++) {
      const bool first = u == 0 && i == 0 && j == 0;
      u32x4 xs[NT][PARTS];
      UNROLL for (int t = 0; t < NT; t++)
        UNROLL for (int p = 0; p < PARTS; p++) xs[t][p] = x(j, t, p);
      if constexpr (U::min) {
        // Column c of the sums is that of window c: what is multiplied is 1 in its column alone. Row g has those of words 0 and 2 of
        // token g, row g+8 the others.
        const u32 one = (lane() >> 2) == U::window(u, i) ? 0x3c003c00 : 0;
        UNROLL for (int t = 0; t < NT; t++)
          UNROLL for (int p = 0; p < PARTS; p++)
            window_sums[t] = first && p == 0 ? mma(FragA{xs[t][p]}, (u32x2){one, one})
                                             : mma(window_sums[t], FragA{xs[t][p]}, (u32x2){one, one});
      }
      UNROLL for (int r = 0; r < R; r++) {
        half2 y[2][4], rest[2][4];
        UNROLL for (int i2 = 0; i2 < 2; i2++) {
          const half2 s = splat(w[r][i2].scale[i]), o = splat(w[r][i2].off[i]);
          U::codes(y[i2], w[r][i2], i, j);
          UNROLL for (int e = 0; e < 4; e++) {
            const half2 v = __builtin_elementwise_fma(y[i2][e], s, o);
            if (PARTS > 1 && !U::min) rest[i2][e] = __builtin_elementwise_fma(y[i2][e] - splat(96), s, -v);
            y[i2][e] = v;
          }
        }
        const scaled_pair whole = scaled_fragments(y[0], y[1]);
        UNROLL for (int t = 0; t < NT; t++) {
          UNROLL for (int p = 0; p < PARTS; p++)
            UNROLL for (int h = 0; h < 2; h++)
              acc[t][r] = first && p == 0 && h == 0 ? mma(whole.of[0], xs[t][p].xy)
                                                    : mma(acc[t][r], whole.of[h], h ? xs[t][p].zw : xs[t][p].xy);
          if constexpr (PARTS > 1 && !U::min) {
            const scaled_pair rests = scaled_fragments(rest[0], rest[1]);
            UNROLL for (int h = 0; h < 2; h++) acc[t][r] = mma(acc[t][r], rests.of[h], h ? xs[t][0].zw : xs[t][0].xy);
          }
        }
      }
    }
  }

  // end adds them, scaled, to sums.
  DEV_METHOD void end(tile_sum (&sums)[NT][R], const typename U::block (&head)[R][2]) const {
    UNROLL for (int t = 0; t < NT; t++) {
      // The sums of windows 2t and 2t+1 and their rests, as large as halves can be, are multiplied with what is to be taken from
      // the codes of those.
      u32x2 all;
      if constexpr (U::min) {
        const tile_sum s = window_sums[t];
        const float a = (s[0] + s[2]) * 0x1p-6f, b = (s[1] + s[3]) * 0x1p-6f;
        const half2 whole = halves(a, b);
        all = (u32x2){bits<u32>(whole), bits<u32>(halves(a - (float)whole[0], b - (float)whole[1]))};
      }
      UNROLL for (int r = 0; r < R; r++) {
        tile_sum off;
        if constexpr (U::min) {
          const u32 a = bits<u32>(U::mins(head[r][0])), b = bits<u32>(U::mins(head[r][1]));
          off = mma(FragA{(u32x4){a, b, a, b}}, all);
        }
        UNROLL for (int e = 0; e < 4; e++) {
          const typename U::block& b = head[r][e / 2];
          if constexpr (U::min) sums[t][r][e] = __builtin_fmaf(-0x1p6f * U::min_step(b), off[e], sums[t][r][e]);
          sums[t][r][e] = __builtin_fmaf(U::step(b), acc[t][r][e], sums[t][r][e]);
        }
      }
    }
  }
};
#endif
