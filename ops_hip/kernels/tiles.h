// Rows of weights and of activations as operands of matrix instructions that lanes load themselves. Since the order of elements
// along k is free as long as both operands have the same, a lane takes whole octets of a window of 32 elements:
//
//            rows of a tile of 16    octets of each row
//   gfx11    lane mod 16             all four
//   gfx12    lane mod 16             two, those of its half of the wave
//   NVIDIA   g and g+8, lane 4g+t    one, number t
#pragma once
#include "halves.h"
#include "math.h"
#include "mma.h"
#include "quants.h"

enum { words_all = 4, word_of_lane = 2, word_of_part = 1 };

// place says which octets of a window a lane has: how many, and from which one on. scaled says that what it scales are sums of
// lanes with all octets. words is how many words it loads of four for the parts of a step: all, one for itself and the other lanes
// of the row, or the one of the part it asks for.
template <int OCTETS, int WORDS, bool SCALED> struct place {
  enum { octets = OCTETS, words = WORDS, scaled = SCALED };
  // halves is how many halves of a window the lane has octets of, the first of which is half(); scale_halves and scale_half() are
  // the same of what it scales.
  enum { halves = octets == 4 ? 2 : 1, scale_halves = scaled ? 2 : halves };
};

#if GPU_NVIDIA
enum { tile_lane_rows = 2 };
DEV int tile_row(int i) { return (lane() >> 2) + 8 * i; }
struct own_place : place<1, word_of_lane, true> {
  DEV int octet() { return lane() & 3; }
  DEV int half() { return octet() / 2; }
  DEV int scale_half() { return 0; }
};
#else
enum { tile_lane_rows = 1 };
DEV int tile_row(int) { return lane() & 15; }
#if defined(__GFX12__)
struct own_place : place<2, words_all, false> {
  DEV int octet() { return lane() >> 4 << 1; }
#else
struct own_place : place<4, words_all, false> {
  DEV int octet() { return 0; }
#endif
  DEV int half() { return octet() / 2; }
  DEV int scale_half() { return half(); }
};
#endif
enum { tile_octets = own_place::octets };
DEV int tile_octet() { return own_place::octet(); }
DEV int tile_half() { return own_place::half(); }

// shared_place is that of two threads next to each other that bring a window of a row to LDS.
struct shared_place : place<2, word_of_part, false> {
  DEV int octet() { return 2 * (tid() & 1); }
  DEV int half() { return tid() & 1; }
  DEV int scale_half() { return half(); }
};

// code_halves returns halves 1024 + b for eight bytes b, for which no conversion is needed.
DEV half8 code_halves(octet b) {
  u32x4 y;
  UNROLL for (int j = 0; j < 4; j++) y[j] = byte_pair(b[j / 2], j % 2);
  return bits<half8>(y);
}

// octet_halves returns step·b - off for eight bytes b, rounded once.
DEV half8 octet_halves(octet b, f32x2 scale) {
  const half8 h = code_halves(b);
  const float step = scale[0], c = -1024 * step - scale[1];
  half8 y;
  UNROLL for (int j = 0; j < 8; j += 2) {
    half2 v = halves(__builtin_fmaf((float)h[j], step, c), __builtin_fmaf((float)h[j + 1], step, c));
    y[j] = v[0], y[j + 1] = v[1];
  }
  return y;
}

// octet_rests returns what that rounding takes from them, rounded.
DEV half8 octet_rests(octet b, f32x2 scale) {
  const half8 h = code_halves(b), y = octet_halves(b, scale);
  const float step = scale[0], c = -1024 * step - scale[1];
  half8 r;
  UNROLL for (int j = 0; j < 8; j++) r[j] = (half)rest(__builtin_fmaf((float)h[j], step, c), (float)y[j]);
  return r;
}

// signed_bytes turns signed bytes q into those of which 128 is to be taken, and signed_scale is (step, off) of q·step then.
DEV octet signed_bytes(octet q) { return q ^ 0x80808080; }
DEV f32x2 signed_scale(float step) { return (f32x2){step, 128 * step}; }

// tiles<Q, P> says how lanes in place P read rows of weights, a step of elements at a time, from `at` on. A step has parts, and a part windows,
// which share what is loaded of it.
//
//   parts, windows       of a step, and of a part
//   runs                 2 where the halves of a window are scaled differently, else 1
//   start(p, i)          the element of the step at which window i of part p starts
//   part, load_part(d, w, k, at, p)      what a lane loads of a part of a row
//   head, load_head(d, w, k, at, p)      what it loads of a step beside, for part p or for all
//   codes(d, i, j)       octet j of the lane's of window i: unsigned bytes b, which stand for step·b - off
//   scale(h, d, p, i, n) step and off of half n of that window, of those halves that the lane scales
template <class Q, class P> struct tiles;
template <class Q> using own_tiles = tiles<Q, own_place>;

// part_word is one word for each of four parts that lie next to each other; load<A> reads from an address that is aligned to A,
// what part p of the step wants if the place asks for one.
template <class P> struct part_word {
  u32 word[P::words == words_all ? 4 : 1];
  template <int A> DEV_METHOD void load(const u8* at, int p) {
    if constexpr (P::words == words_all) {
      if constexpr (A == 4) {
        const u32x4 all = load128_4(at);
        UNROLL for (int i = 0; i < 4; i++) word[i] = all[i];
      } else {
        UNROLL for (int i = 0; i < 4; i++) word[i] = load32_2(at + 4 * i);
      }
      return;
    }
    at += 4 * (P::words == word_of_lane ? lane() & 3 : p);
    word[0] = A == 4 ? load32(at) : load32_2(at);
  }
  DEV_METHOD u32 of(int p) const {
    if constexpr (P::words == word_of_lane) return (u32)shfl((int)word[0], (lane() & ~3) | p);
    return word[P::words == words_all ? p : 0];
  }
};

// window_bytes are a lane's of a window that has a byte an element.
template <class P> struct window_bytes {
  octet octets[P::octets];
};
template <class P> DEV void load_window(window_bytes<P>& b, const u8* p) {
  p += 8 * P::octet();
  if constexpr (P::octets == 1)
    b.octets[0] = octet_8(p);
  else
    UNROLL for (int j = 0; j < P::octets; j += 2) {
      u32x4 v = *(const u32x4*)(p + 8 * j);
      b.octets[j] = v.xy, b.octets[j + 1] = v.zw;
    }
}

// block_tiles are those of types whose blocks are windows, with all of their own.
struct block_tiles {
  enum { parts = 4, windows = 1 };
  struct head {};
  DEV int start(int p, int) { return 32 * p; }
  DEV void load_head(head&, const u8*, int, int, int) {}
};

template <class P> struct tiles<q8_0, P> : block_tiles {
  enum { runs = 1 };
  struct part {
    window_bytes<P> codes;
    float step;
  };
  DEV void load_part(part& d, const u8* w, int k, int at, int p) {
    const int from = at + 32 * p < k ? at + 32 * p : 0; // what is past the end of the row counts as 0
    load_window(d.codes, w + from);
    float step = weight_row<q8_0>::scale(w, k, from / 32);
    d.step = at + 32 * p < k ? step : 0;
  }
  DEV octet codes(const part& d, int, int j) { return signed_bytes(d.codes.octets[j]); }
  DEV f32x2 scale(const head&, const part& d, int, int, int) { return signed_scale(d.step); }
};

// The windows of a part are sub-blocks that share bytes.
template <class P> struct tiles<q4_k, P> {
  enum { parts = 4, windows = 2, runs = 1 };
  struct part {
    window_bytes<P> codes;
  };
  struct head {
    part_word<P> scales;
    half2 d;
  };
  DEV int start(int p, int i) { return 64 * p + 32 * i; }
  DEV void load_head(head& h, const u8* w, int k, int at, int n) {
    const u8* p = w + (u32)k / 2 + (u32)at / 256 * 20;
    h.scales.template load<4>(p, n);
    h.d = bits<half2>(load32(p + 16));
  }
  DEV void load_part(part& d, const u8* w, int, int at, int p) {
    load_window(d.codes, weight_row<q4_k>::codes(w, (u32)at / 256) + 32 * p);
  }
  DEV octet codes(const part& d, int i, int j) { return d.codes.octets[j] & (i ? 0xf0f0f0f0 : 0x0f0f0f0f); }
  DEV f32x2 scale_of(const head& h, int p, int i) {
    const u32 code = h.scales.of(p) >> 8 * i;
    return (f32x2){(float)h.d[0] * (float)(code & 255), (float)h.d[1] * (float)(code >> 16 & 255)};
  }
  DEV f32x2 scale(const head& h, const part&, int p, int i, int) {
    f32x2 s = scale_of(h, p, i);
    return (f32x2){i ? s[0] * 0.0625f : s[0], s[1]}; // codes are at the top of bytes in the second
  }
};

template <class P> struct tiles<q5_k, P> : tiles<q4_k, P> {
  typedef typename tiles<q4_k, P>::head head;
  struct part : tiles<q4_k, P>::part {
    u32 high[P::halves];
  };
  DEV void load_part(part& d, const u8* w, int k, int at, int p) {
    tiles<q4_k, P>::load_part(d, w, k, at, p);
    UNROLL for (int h = 0; h < P::halves; h++)
      d.high[h] = weight_row<q5_k>::high(w, k, (u32)at / 256 * 8 + 2 * p + P::half() + h);
  }
  DEV octet codes(const part& d, int i, int j) {
    return with_fifth(d.codes.octets[j] >> 4 * i & 0x0f0f0f0f, d.high[j / 2], 2 * i + (P::octet() + j) % 2);
  }
  DEV f32x2 scale(const head& h, const part&, int p, int i, int) { return tiles<q4_k, P>::scale_of(h, p, i); }
};

// The windows of part 2n+c are two runs each of strips 4n+2c and 4n+2c+1.
template <class P> struct tiles<q6_k, P> {
  enum { parts = 4, windows = 2, runs = 2 };
  typedef weight_row<q6_k> row;
  struct part {
    window_bytes<P> low;
    octet high[P::halves];
  };
  struct head {
    part_word<P> scales; // of both strips and runs
    float d;
  };
  DEV int start(int p, int i) { return 128 * (p / 2) + 32 * (p % 2) + 64 * i; }
  DEV void load_head(head& h, const u8* w, int k, int at, int n) {
    const u8* p = w + (u32)k / 4 * 3 + 18 * ((u32)at / 256);
    h.scales.template load<2>(p, n);
    h.d = half_at(p + 16) * 0.25f;
  }
  DEV void load_part(part& d, const u8* w, int k, int at, int p) {
    const u32 b = (u32)at / 256, strip = 2 * p;
    load_window(d.low, row::low(w, b, strip));
    UNROLL for (int h = 0; h < P::halves; h++) d.high[h] = row::high(w, k, b, strip + P::half() + h);
  }
  DEV octet codes(const part& d, int i, int j) {
    const octet high = d.high[j / 2] ^ 0xaaaaaaaa; // flips the signs of all codes at once
    return row::codes(d.low.octets[j], high, P::octets == 1 ? P::octet() % 2 : j % 2, i);
  }
  DEV f32x2 scale(const head& h, const part&, int p, int i, int n) {
    return signed_scale(h.d * (float)(i8)(h.scales.of(p) >> (16 * (P::scale_half() + n) + 8 * i)));
  }
};

// The windows of a part are runs of strips 2p and 2p+1.
template <class P> struct strip_tiles {
  enum { parts = 2, windows = 4, runs = 2 };
  struct part {
    window_bytes<P> codes;
    u32 scales[P::scale_halves];
  };
  DEV int start(int p, int i) { return 128 * p + 32 * i; }
  template <class Row> DEV void load_strips(part& d, const u8* w, int k, int at, int p) {
    const u32 strip = (u32)at / 64 + 2 * p;
    load_window(d.codes, Row::codes(w, strip));
    UNROLL for (int h = 0; h < P::scale_halves; h++) d.scales[h] = Row::scales(w, k, strip + P::scale_half() + h);
  }
};
template <class P> struct tiles<q2_k, P> : strip_tiles<P> {
  typedef typename strip_tiles<P>::part part;
  struct head {
    half2 d;
  };
  DEV void load_head(head& h, const u8* w, int k, int at, int) { h.d = weight_row<q2_k>::ends(w, k, (u32)at / 256); }
  DEV void load_part(part& d, const u8* w, int k, int at, int p) {
    strip_tiles<P>::template load_strips<weight_row<q2_k>>(d, w, k, at, p);
  }
  DEV octet codes(const part& d, int i, int j) { return d.codes.octets[j] >> 2 * i & 0x03030303; }
  DEV f32x2 scale(const head& h, const part& d, int, int i, int n) {
    const u32 code = d.scales[n] >> 8 * i;
    return (f32x2){(float)h.d[0] * (float)(code & 15), (float)h.d[1] * (float)(code >> 4 & 15)};
  }
};
template <class P> struct tiles<q3_k, P> : strip_tiles<P> {
  typedef weight_row<q3_k> row;
  struct part : strip_tiles<P>::part {
    octet high[P::halves];
  };
  struct head {
    float d;
  };
  DEV void load_head(head& h, const u8* w, int k, int at, int) { h.d = row::scale(w, k, (u32)at / 256); }
  DEV void load_part(part& d, const u8* w, int k, int at, int p) {
    strip_tiles<P>::template load_strips<row>(d, w, k, at, p);
    UNROLL for (int h = 0; h < P::halves; h++) d.high[h] = row::high(w, k, (u32)at / 64 + 2 * p + P::half() + h);
  }
  DEV octet codes(const part& d, int i, int j) {
    const octet low = d.codes.octets[j], high = d.high[j / 2];
    const u32 v = 2 * ((P::octet() + j) % 2);
    return signed_bytes((octet){row::values(low[0], high, i, v), row::values(low[1], high, i, v + 1)});
  }
  DEV f32x2 scale(const head& h, const part& d, int, int i, int n) {
    return signed_scale(h.d * (float)(i8)(d.scales[n] >> 8 * i));
  }
};

// The types of quant_nibbles.h. block() says what a block has beside nibbles, value() what bytes octet o of it becomes, and
// scale() step and off of half n.
struct nibble_block {
  float scale, min;
  u32 more; // high bits, or codes of scales
};
template <class Q> struct nibble_type;
template <class Q, class P> struct nibble_tiles : block_tiles {
  typedef nibble_type<Q> type;
  enum { runs = type::runs };
  struct part {
    octet codes[P::octets == 1 ? 1 : 2];
    nibble_block block;
  };
  DEV void load_part(part& d, const u8* w, int k, int at, int n) {
    const int from = at + 32 * n < k ? at + 32 * n : 0; // what is past the end of the row counts as 0
    const u8* p = w + (u32)from / 2;
    if constexpr (P::octets == 1) {
      d.codes[0] = octet_8(p + 8 * (P::octet() % 2));
    } else {
      u32x4 q = *(const u32x4*)p;
      d.codes[0] = q.xy, d.codes[1] = q.zw;
    }
    d.block = type::block(w, k, (u32)from / 32);
    if (at + 32 * n >= k) d.block.scale = d.block.min = 0;
  }
  DEV octet codes(const part& d, int, int j) {
    const int o = P::octet() + j;
    return type::value(d.codes[P::octets == 1 ? 0 : j % 2] >> 4 * (o / 2) & 0x0f0f0f0f, d.block, o);
  }
  DEV f32x2 scale(const head&, const part& d, int, int, int n) { return type::scale(d.block, P::scale_half() + n); }
};
#define NIBBLE_TILES(q, RUNS, BLOCK, VALUE, SCALE)                           \
  template <> struct nibble_type<q> {                                        \
    typedef weight_row<q> row;                                               \
    enum { runs = RUNS };                                                    \
    DEV nibble_block block(const u8* w, int k, u32 n) { return BLOCK; }      \
    DEV octet value(octet v, const nibble_block& b, int o) { return VALUE; } \
    DEV f32x2 scale(const nibble_block& b, int n) { return SCALE; }          \
  };                                                                         \
  template <class P> struct tiles<q, P> : nibble_tiles<q, P> {};
NIBBLE_TILES(q4_0, 1, (nibble_block{row::scale(w, k, n)}), v, ((f32x2){b.scale, 8 * b.scale}))
NIBBLE_TILES(q4_1, 1, (nibble_block{row::scales(w, k, n)[0], -(float)row::scales(w, k, n)[1]}), v, ((f32x2){b.scale, b.min}))
NIBBLE_TILES(q5_0, 1, (nibble_block{row::scale(w, k, n), 0, row::high(w, k, n)}), with_fifth(v, b.more, o),
             ((f32x2){b.scale, 16 * b.scale}))
NIBBLE_TILES(q5_1, 1, (nibble_block{row::scales(w, k, n)[0], -(float)row::scales(w, k, n)[1], row::high(w, k, n)}),
             with_fifth(v, b.more, o), ((f32x2){b.scale, b.min}))
NIBBLE_TILES(iq4_nl, 1, (nibble_block{row::scale(w, k, n)}), signed_bytes(iq4_values(v)), signed_scale(b.scale))
NIBBLE_TILES(iq4_xs, 1, (nibble_block{row::end(w, k, n / 8) * row::scale(w, k, n)}), signed_bytes(iq4_values(v)),
             signed_scale(b.scale))
NIBBLE_TILES(mxfp4, 1, (nibble_block{row::scale(w, k, n)}), signed_bytes(fp4_values(v)), signed_scale(b.scale))
NIBBLE_TILES(nvfp4, 2, (nibble_block{1, 0, row::scales(w, k, n)}), signed_bytes(fp4_values(v)),
             signed_scale(b.scale * row::value(b.more >> 8 * n)))

// token_tile tokens are taken at once, in sums of 16 rows of weights each, of which element e is that of row sum_row(e) and token
// sum_token(e). x[j] are octet j of the lane's of a window of token tile_row(0).
//
// add_window adds to sums[t][r] the products of tile t of the tokens with window i of part p of the rows of tile r.
#if GPU_NVIDIA

// staged<Q> says how a wave copies a unit of 128 elements of rows to LDS, two parts, ahead of where they are used: what registers
// could hold of the weights does not keep the memory busy. A row's lanes copy what they read.
//
//   bytes                                of a unit of 16 rows
//   copy(lds, row, w, k, u)              copies the lane's of unit u of a row
//   load_part(d, lds, row, p)            reads the lane's of part p from there
//   load_word(w, k, u)                   loads the lane's word of what a unit has beside, which set_head makes a head of
template <class Q> struct staged {
  enum { bytes = 0 };
};

// chunk_of returns where the 64 bytes of a row have those from 16·c on: such that rows meet in no bank.
DEV u32 chunk_of(u32 row, u32 c) { return 64 * row + 16 * (c ^ (row & 2)); }
DEV octet staged_octet(u32 lds, u32 row, int p) {
  return lds64(lds + chunk_of(row, 2 * p + tile_octet() / 2) + 8 * (tile_octet() % 2));
}
// unit_word is where a lane's word lies behind a plane whose blocks have so many bytes, d at byte 16.
DEV u32 unit_word(u32 block, int u) { return block * (u32)(u / 2) + (tile_octet() < 2 ? 8 * (u % 2) + 4 * tile_octet() : 16); }

template <> struct staged<q4_k> {
  typedef own_tiles<q4_k> T;
  enum { bytes = 1024 };
  DEV void copy(u32 lds, u32 row, const u8* w, int, int u) {
    copy16(lds + chunk_of(row, tile_octet()), w + 64 * u + 16 * tile_octet());
  }
  DEV void load_part(T::part& d, u32 lds, u32 row, int p) { d.codes.octets[0] = staged_octet(lds, row, p); }
  DEV u32 load_word(const u8* w, int k, int u) { return load32(w + (u32)k / 2 + unit_word(20, u)); }
  DEV void set_head(T::head& h, u32 word) {
    h.scales.word[0] = word;
    h.d = bits<half2>(h.scales.of(2));
  }
};
template <> struct staged<q6_k> {
  typedef own_tiles<q6_k> T;
  enum { bytes = 1536, high = 1024 };
  DEV void copy(u32 lds, u32 row, const u8* w, int k, int u) {
    copy16(lds + chunk_of(row, tile_octet()), w + 64 * u + 16 * tile_octet());
    copy8(lds + high + 32 * row + 8 * tile_octet(), w + (u32)k / 2 + 32 * u + 8 * tile_octet());
  }
  DEV void load_part(T::part& d, u32 lds, u32 row, int p) {
    d.low.octets[0] = staged_octet(lds, row, p);
    d.high[0] = lds64(lds + high + 32 * row + 8 * (2 * p + tile_half()));
  }
  DEV u32 load_word(const u8* w, int k, int u) {
    const u8* p = w + (u32)k / 4 * 3 + unit_word(18, u);
    return load16(p) | (tile_octet() < 2 ? load16(p + 2) << 16 : 0);
  }
  DEV void set_head(T::head& h, u32 word) {
    h.scales.word[0] = word;
    h.d = (float)bits<half>((u16)h.scales.of(2)) * 0.25f;
  }
};

// Codes are multiplied as they are, as halves 1024 + b, and sums of a window scaled. What is to be taken off takes the sum of the
// tokens, products with ones. So nothing is rounded but tokens and sums, and no weight is converted by itself.
enum { token_tile = 8 };
typedef AccHalf tile_sum;
DEV int sum_row(int e) { return (lane() >> 2) + 8 * (e >> 1); }
DEV int sum_token(int e) { return 2 * (lane() & 3) + (e & 1); }

template <class Q, int NT, int R>
DEV void add_window(tile_sum (&sums)[NT][R], const typename own_tiles<Q>::head (&head)[R][tile_lane_rows],
                    const typename own_tiles<Q>::part (&d)[R][tile_lane_rows], int p, int i, const half8 (&x)[NT][tile_octets]) {
  typedef own_tiles<Q> T;
  const FragA ones = {(u32x4)(0x3c003c00)};
  FragA w[R][2];
  UNROLL for (int r = 0; r < R; r++) {
    u32x4 a = bits<u32x4>(code_halves(T::codes(d[r][0], i, 0))), b = bits<u32x4>(code_halves(T::codes(d[r][1], i, 0)));
    w[r][0] = {(u32x4){a[0], b[0], a[1], b[1]}}, w[r][1] = {(u32x4){a[2], b[2], a[3], b[3]}};
  }
  UNROLL for (int h = 0; h < T::runs; h++) {
    f32x2 scale[R][2];
    UNROLL for (int r = 0; r < R; r++)
      UNROLL for (int g = 0; g < 2; g++) {
        f32x2 s = T::scale(head[r][g], d[r][g], p, i, h);
        scale[r][g] = (f32x2){s[0], __builtin_fmaf(-1024, s[0], -s[1])};
      }
    UNROLL for (int t = 0; t < NT; t++) {
      const u32x4 whole = bits<u32x4>(x[t][0]), run = T::runs == 1 || tile_half() == h ? whole : (u32x4)(0);
      const tile_sum all = mma(mma(tile_sum{}, ones, run.xy), ones, run.zw);
      UNROLL for (int r = 0; r < R; r++) {
        const tile_sum c = mma(mma(tile_sum{}, w[r][0], run.xy), w[r][1], run.zw);
        UNROLL for (int e = 0; e < 4; e++) {
          const f32x2 s = scale[r][e / 2];
          sums[t][r][e] = __builtin_fmaf(s[1], all[e], __builtin_fmaf(s[0], c[e], sums[t][r][e]));
        }
      }
    }
  }
}

#else

enum { token_tile = 16 };
typedef Acc tile_sum;
DEV int sum_row(int e) { return acc_row(e); }
DEV int sum_token(int e) { return acc_col(e); }

// window_part returns the fragment of half s of the elements.
DEV FragA window_part(const half8 (&o)[tile_octets], int s) {
#if defined(__GFX12__)
  return o[s];
#else
  return __builtin_shufflevector(o[2 * s], o[2 * s + 1], 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#endif
}

template <class Q, int NT, int R>
DEV void add_window(tile_sum (&sums)[NT][R], const typename own_tiles<Q>::head (&head)[R][tile_lane_rows],
                    const typename own_tiles<Q>::part (&d)[R][tile_lane_rows], int p, int i, const half8 (&x)[NT][tile_octets]) {
  typedef own_tiles<Q> T;
  half8 w[R][tile_octets];
  UNROLL for (int r = 0; r < R; r++)
    UNROLL for (int j = 0; j < tile_octets; j++)
      w[r][j] = octet_halves(T::codes(d[r][0], i, j), T::scale(head[r][0], d[r][0], p, i, j / 2));
  UNROLL for (int s = 0; s < 2; s++)
    UNROLL for (int t = 0; t < NT; t++)
      UNROLL for (int r = 0; r < R; r++) sums[t][r] = mma(sums[t][r], window_part(w[r], s), window_part(x[t], s));
}

#endif
