// Integer dot products of the IQ1, IQ2 and IQ3 types, whose points lie in LDS: grid_lanes<Q>. A lane takes 32 consecutive
// elements of a row.
#pragma once
#include "mul_mat_dot.h"

// grid_lanes<Q>
//
//   points             entries of the grid
//   scales             how many the 32 elements have: 1 or 2
//   bias               whether weights are scale·(byte - bias), and not scale·byte
//   fill()             what the block does first, before a barrier
//   raw, load(w, k, s) what a lane loads of row w, for 32 elements number s
//   octet(r, j)        elements 8j to 8j+7 of them, as signed bytes
//   scale(r, h)        that of half h
//   bias_of(r)
template <class Q> struct grid_lanes;

enum { grid_threads = 128 };

// in_lds is LDS of the kernel, one array for each Q.
template <class Q, class T, int N> DEV T* in_lds() {
  LDS T v[N];
  return v;
}

// spread2 puts four digits of two bits into the bytes of a dword, spread3 four of three bits.
DEV u32 spread2(u32 c) { return (c | c << 6 | c << 12 | c << 18) & 0x03030303; }
DEV u32 spread3(u32 c) { return (c & 7) | (c & 0x38) << 5 | (c & 0x1c0) << 10 | (c & 0xe00) << 15; }

// fill_grid writes make(code) for each code of a grid.
template <class T, int N, class Make> DEV void fill_grid(T* to, const u16* codes, Make make) {
  UNROLL for (int i = 0; i < N; i += grid_threads) to[i + tid()] = make((u32)codes[i + tid()]);
}
DEV u32 levels_iq2(u32 c) { return 0x08080808 + c * 17 + (c >> 1 & 0x01010101); }
DEV u32x2 point_iq2(u32 code) { return (u32x2){levels_iq2(spread2(code & 255)), levels_iq2(spread2(code >> 8))}; }
DEV u32 point_iq3_xxs(u32 code) {
  u32 c = spread3(code);
  return 0x04040404 + (c << 3) + ((c & c >> 1 & c >> 2 & 0x01010101) << 1);
}

// negated changes the signs of the bytes where m has 255 and not 0; none is 0 or -128.
DEV u32 negated(u32 q, u32 m) { return (q ^ m) + (m & 0x01010101); }
DEV u32x2 negated(u32x2 q, u32x2 m) { return (u32x2){negated(q[0], m[0]), negated(q[1], m[1])}; }

// sign_table has, for each number, eight bytes that are 255 where its bit is set, and 0 elsewhere. With Parity, bit 7 is what
// makes the number of bits even.
template <bool Parity> struct sign_table {
  enum { size = Parity ? 128 : 256 };
  DEV u32 four(u32 bits) { return (bits * 0x00204081 & 0x01010101) * 255; }
  template <class Q> DEV void fill() {
    u32x2* to = in_lds<sign_table, u32x2, size>();
    UNROLL for (int i = 0; i < size; i += grid_threads) {
      u32 s = i + tid();
      if (Parity) s = parity_signs(s);
      to[i + tid()] = (u32x2){four(s & 15), four(s >> 4)};
    }
  }

  // at returns the entry of the number that starts at bit `from` of a word.
  DEV u32x2 at(u32 word, int from) { return in_lds<sign_table, u32x2, size>()[word >> from & (size - 1)]; }
};

template <> struct grid_lanes<iq2_xxs> {
  enum { points = 256, scales = 1, bias = 0 };
  typedef sign_table<true> signs;
  DEV u32x2* grid() { return in_lds<iq2_xxs, u32x2, points>(); }
  DEV void fill() { fill_grid<u32x2, points>(grid(), grid_iq2_xxs, point_iq2), signs::fill<iq2_xxs>(); }
  struct raw {
    u32x2 codes;
    float scale;
  };
  DEV raw load(const u8* w, int k, u32 s) {
    typedef weight_row<iq2_xxs> row;
    u32x2 c = row::codes(w, s);
    return {c, row::scale(w, k, s, c[1])};
  }
  DEV u32x2 octet(const raw& r, int j) { return negated(grid()[r.codes[0] >> 8 * j & 255], signs::at(r.codes[1], 7 * j)); }
  DEV float scale(const raw& r, int) { return r.scale; }
  DEV float bias_of(const raw&) { return 0; }
};

template <> struct grid_lanes<iq2_xs> {
  enum { points = 512, scales = 2, bias = 0 };
  typedef sign_table<true> signs;
  DEV u32x2* grid() { return in_lds<iq2_xs, u32x2, points>(); }
  DEV void fill() { fill_grid<u32x2, points>(grid(), grid_iq2_xs, point_iq2), signs::fill<iq2_xs>(); }
  struct raw {
    u32x2 codes;
    u32 scales;
    float end;
  };
  DEV raw load(const u8* w, int k, u32 s) {
    typedef weight_row<iq2_xs> row;
    return {row::codes(w, s), row::scales(w, k, s), row::end(w, k, s)};
  }
  DEV u32x2 octet(const raw& r, int j) {
    const u32 c = r.codes[j / 2];
    return negated(grid()[c >> 16 * (j % 2) & 511], signs::at(c, 16 * (j % 2) + 9));
  }
  DEV float scale(const raw& r, int h) { return r.end * (0.5f + (float)(r.scales >> 4 * h & 15)); }
  DEV float bias_of(const raw&) { return 0; }
};

template <> struct grid_lanes<iq2_s> {
  enum { points = 1024, scales = 2, bias = 0 };
  typedef sign_table<false> signs;
  DEV u32x2* grid() { return in_lds<iq2_s, u32x2, points>(); }
  DEV void fill() { fill_grid<u32x2, points>(grid(), grid_iq2_s, point_iq2), signs::fill<iq2_s>(); }
  struct raw {
    u32x2 codes;
    u32 more;
    float end;
  };
  DEV raw load(const u8* w, int k, u32 s) {
    typedef weight_row<iq2_s> row;
    return {row::codes(w, s), row::more(w, k, s), row::end(w, k, s)};
  }
  DEV u32x2 octet(const raw& r, int j) {
    return negated(grid()[(r.codes[0] >> 8 * j & 255) | (r.more << (8 - 2 * j) & 0x300)], signs::at(r.codes[1], 8 * j));
  }
  DEV float scale(const raw& r, int h) { return r.end * (0.5f + (float)(r.more >> (8 + 4 * h) & 15)); }
  DEV float bias_of(const raw&) { return 0; }
};

template <> struct grid_lanes<iq3_xxs> {
  enum { points = 256, scales = 1, bias = 0 };
  typedef sign_table<true> signs;
  DEV u32* grid() { return in_lds<iq3_xxs, u32, points>(); }
  DEV void fill() { fill_grid<u32, points>(grid(), grid_iq3_xxs, point_iq3_xxs), signs::fill<iq3_xxs>(); }
  struct raw {
    u32x2 codes;
    u32 word;
    float scale;
  };
  DEV raw load(const u8* w, int k, u32 s) {
    typedef weight_row<iq3_xxs> row;
    u32 word = row::word(w, k, s);
    return {row::codes(w, s), word, row::scale(w, k, s, word)};
  }
  DEV u32x2 octet(const raw& r, int j) {
    const u32 c = r.codes[j / 2] >> 16 * (j % 2);
    return negated((u32x2){grid()[c & 255], grid()[c >> 8 & 255]}, signs::at(r.word, 7 * j));
  }
  DEV float scale(const raw& r, int) { return r.scale; }
  DEV float bias_of(const raw&) { return 0; }
};

// Levels 1, 3, 5... are 2c + 1, and the complement of c is the level with the other sign.
template <> struct grid_lanes<iq3_s> {
  enum { points = 512, scales = 1, bias = 1 };
  typedef sign_table<false> signs;
  DEV u32* grid() { return in_lds<iq3_s, u32, points>(); }
  DEV void fill() { fill_grid<u32, points>(grid(), grid_iq3_s, spread3), signs::fill<iq3_s>(); }
  struct raw {
    u32x2 codes;
    u32 signs, high;
    float scale;
  };
  DEV raw load(const u8* w, int k, u32 s) {
    typedef weight_row<iq3_s> row;
    return {row::codes(w, s), row::signs(w, k, s), row::high(w, k, s), 2 * row::scale(w, k, s)};
  }
  DEV u32x2 octet(const raw& r, int j) {
    const u32 c = r.codes[j / 2] >> 16 * (j % 2);
    const u32x2 m = signs::at(r.signs, 8 * j);
    return (u32x2){grid()[(c & 255) | (r.high << (8 - 2 * j) & 256)], grid()[(c >> 8 & 255) | (r.high << (7 - 2 * j) & 256)]} ^ m;
  }
  DEV float scale(const raw& r, int) { return r.scale; }
  DEV float bias_of(const raw&) { return -0.5f; }
};

// points_iq1 are nibbles: nibble 2j of an entry is four times 2 less digit j, nibble 2j+1 that of digit j+4.
struct __attribute__((aligned(16))) points_iq1_table {
  u32 v[2048];
  constexpr points_iq1_table() : v{} {
    for (int i = 0; i < 2048; i++)
      for (int j = 0; j < 8; j++) v[i] |= 4u * (2 - (grid_iq1_s[i] >> 2 * j & 3)) << (8 * (j % 4) + 4 * (j / 4));
  }
};
TABLE points_iq1_table points_iq1;
DEV void fill_iq1(u32* to) {
  UNROLL for (int i = 0; i < 2048; i += 4 * grid_threads) *(u32x4*)(to + i + 4 * tid()) = *(const u32x4*)(points_iq1.v + i + 4 * tid());
}
DEV u32x2 split_iq1(u32 p) { return (u32x2){p & 0x0f0f0f0f, p >> 4 & 0x0f0f0f0f}; }

template <> struct grid_lanes<iq1_s> {
  enum { points = 2048, scales = 1, bias = 1 };
  DEV u32* grid() { return in_lds<iq1_s, u32, points>(); }
  DEV void fill() { fill_iq1(grid()); }
  struct raw {
    u32 codes, high;
    float scale;
  };
  DEV raw load(const u8* w, int k, u32 s) {
    typedef weight_row<iq1_s> row;
    u32 high = row::high(w, k, s);
    return {row::codes(w, s), high, -0.25f * row::scale(w, k, s, high)};
  }
  DEV u32x2 octet(const raw& r, int j) {
    const u32 high = j < 3 ? r.high << (8 - 3 * j) : r.high >> 1;
    return split_iq1(grid()[(r.codes >> 8 * j & 255) | (high & 0x700)]);
  }
  DEV float scale(const raw& r, int) { return r.scale; }
  DEV float bias_of(const raw& r) { return 4 + 4 * weight_row<iq1_s>::delta(r.high); }
};

// The sign of delta is the low bit of each byte, so that weights are scale/4·(4.5 - q).
template <> struct grid_lanes<iq1_m> {
  enum { points = 2048, scales = 2, bias = 1 };
  DEV u32* grid() { return in_lds<iq1_m, u32, points>(); }
  DEV void fill() { fill_iq1(grid()); }
  struct raw {
    u32 codes, high, scales;
    float end;
  };
  DEV raw load(const u8* w, int k, u32 s) {
    typedef weight_row<iq1_m> row;
    return {row::codes(w, s), row::high(w, k, s), row::scales(w, k, s), -0.25f * row::end(w, k, s)};
  }
  DEV u32x2 octet(const raw& r, int j) {
    const u32 high = j < 2 ? r.high << (8 - 4 * j) : r.high >> (4 * j - 8);
    const u32 minus = (u32)((int)(r.high << (28 - 4 * j)) >> 31);
    return split_iq1(grid()[(r.codes >> 8 * j & 255) | (high & 0x700)] | (minus & 0x11111111));
  }
  DEV float scale(const raw& r, int h) { return r.end * (float)(2 * (r.scales >> 3 * h & 7) + 1); }
  DEV float bias_of(const raw&) { return 4.5f; }
};

// grid_rows writes to acc[a], in all lanes, the product of token 0 of x with the row that lies a times `pitch` behind w. Rows
// from number `rows` on are as the first.
template <class Q, int A> DEV void grid_rows(const x24& x, const u8* w, i64 pitch, int rows, float (&acc)[A]) {
  typedef grid_lanes<Q> L;
  const u8* row[A];
  UNROLL for (int a = 0; a < A; a++) row[a] = w + (a < rows ? a * pitch : 0);
  float sum[A] = {};
  for (int from = 0; from < x.k; from += 1024) {
    const int at = opaque(from);
    const u32 i = 32 * lane();
    if (at + (int)i >= x.k) continue;
    typename L::raw r[A];
    UNROLL for (int a = 0; a < A; a++) r[a] = L::load(row[a], x.k, at / 32 + lane());
    u32x4 v[2][3];
    UNROLL for (int h = 0; h < 2; h++)
      UNROLL for (int p = 0; p < 3; p++) v[h][p] = x24::load(x, p, 0, at, i + 16 * h);
    const f32x2 ds = x24::scale(x, 0, at, i);
    float own[2];
    if (L::bias && L::scales == 2) {
      sums ones = {};
      ones.add(0x01010101, v[0][0], v[0][1], v[0][2], true);
      own[0] = ds[0] * ones.all(), own[1] = ds[1] - own[0];
    }
    UNROLL for (int a = 0; a < A; a++) {
      sums s = {};
      UNROLL for (int h = 0; h < 2; h++) {
        u32x2 low = L::octet(r[a], 2 * h), high = L::octet(r[a], 2 * h + 1);
        s.add((u32x4){low[0], low[1], high[0], high[1]}, v[h][0], v[h][1], v[h][2], true);
        if (L::scales == 1 && h == 0) continue;
        float y = ds[0] * s.all();
        if (L::bias) y -= L::bias_of(r[a]) * (L::scales == 2 ? own[h] : ds[1]);
        sum[a] += L::scale(r[a], h) * y;
        s = sums{};
      }
      fixed(); // several rows at once take too many registers
    }
  }
  UNROLL for (int a = 0; a < A; a++) acc[a] = wave_sum(sum[a]);
}
