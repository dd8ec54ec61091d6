// How the lanes of a wave share rows of weights in integer dot products: lanes<Q>.
#pragma once
#include "quants.h"

DEV u32x4 load128(const u8* p) { return *(const u32x4*)p; }

// run is 16 weights: scale·q - min.
struct run {
  u32x4 q;
  float scale, min;
};

// add_fifth adds the fifth bits to two runs, see fifth in quant_nibbles.h.
DEV void add_fifth(run (&r)[2], u32 high) {
  UNROLL for (int j = 0; j < 2; j++)
    UNROLL for (int v = 0; v < 4; v++) r[j].q[v] |= fifth(high, j, v);
}

// lanes<Q>
//
//   first()            the element at which the lane starts
//   step               elements that the wave takes at a time
//   runs, apart        runs of 16 that the lane takes of them, and the distance between them in elements
//   is_signed          whether the weights are signed bytes
//   mins               how many runs, from the first on, have a minimum that the sum of 32 activations is charged to
//   own_mins           whether each run has a minimum for its own 16 activations
//   one_scale          whether the runs are halves of 32 elements that share a scale
//   load(w, at, k, r)  the runs of row w at element at + first(), with `at` a multiple of the block: what is the same for
//                      all lanes is added to the address of the row, which is a scalar then
//   two_steps          whether there are raw, fetch and open: load in two steps, of which the first only reads
//   cursor             where the lane reads, with next() for the next step; start(w, at, k) makes one, and read(c, row, r) fetches
//                      from so many bytes behind it
template <class Q> struct lanes;

// Two lanes a block.
template <> struct lanes<q8_0> {
  enum { step = 512, runs = 1, apart = 0, is_signed = 1, mins = 0, own_mins = 0, one_scale = 0, two_steps = 1 };
  DEV int first() { return 16 * lane(); }
  struct raw {
    u32x4 q;
    half d;
  };
  DEV void fetch(const u8* w, int at, int k, raw& r) {
    r.q = load128(weight_row<q8_0>::codes(w + at, first()));
    r.d = weight_row<q8_0>::step(w + at / 32 * 2, k, lane() / 2);
  }
  struct cursor {
    const u8 *q, *d;
    DEV_METHOD void next() { q += step, d += step / 16; }
  };
  DEV cursor start(const u8* w, int at, int k) { return {w + at + first(), w + k + at / 16 + 2 * (lane() / 2)}; }
  DEV void read(const cursor& c, i64 row, raw& r) { r.q = load128(c.q + row), r.d = *(const half*)(c.d + row); }
  DEV void open(const raw& w, run (&r)[runs]) { r[0].q = w.q, r[0].scale = (float)w.d; }
  DEV void load(const u8* w, int at, int k, run (&r)[runs]) {
    raw x;
    fetch(w, at, k, x);
    open(x, r);
  }
};

// Eight lanes a super-block; lane 2g+h takes elements 16h to 16h+15 of sub-blocks 2g and 2g+1. The mins of both
// sub-blocks are the even lane's.
template <> struct lanes<q4_k> {
  enum { step = 1024, runs = 2, apart = 32, is_signed = 0, mins = 2, own_mins = 0, one_scale = 0, two_steps = 1 };
  DEV int first() { return 64 * (lane() / 2) + 16 * (lane() % 2); }
  struct raw {
    u32x4 q;
    u32x2 scales;
  };
  DEV void fetch(const u8* w, int at, int k, raw& r) {
    r.q = load128(w + at / 2 + 16 * lane());
    r.scales = weight_row<q4_k>::scale_words(w + at / 256 * 20, k, lane() / 8, lane() / 2 % 4);
  }
  struct cursor {
    const u8 *q, *scales;
    DEV_METHOD void next() { q += step / 2, scales += step / 256 * 20; }
  };
  DEV cursor start(const u8* w, int at, int k) { return {w + at / 2 + 16 * lane(), w + k / 2 + (at / 256 + lane() / 8) * 20}; }
  DEV void read(const cursor& c, i64 row, raw& r) {
    const u8* p = c.scales + row;
    r.q = load128(c.q + row);
    r.scales = (u32x2){load32(p + 4 * (lane() / 2 % 4)), load32(p + 16)};
  }
  DEV void open(const raw& w, run (&r)[runs]) {
    float scale[2], min[2];
    weight_row<q4_k>::scales_of(w.scales, scale, min);
    UNROLL for (int j = 0; j < 2; j++) r[j] = {w.q >> 4 * j & 0x0f0f0f0f, scale[j], lane() % 2 ? 0 : min[j]};
  }
  DEV void load(const u8* w, int at, int k, run (&r)[runs]) {
    raw x;
    fetch(w, at, k, x);
    open(x, r);
  }
};

// As Q4_K, with a fifth bit.
template <> struct lanes<q5_k> : lanes<q4_k> {
  enum { two_steps = 0 };
  DEV void load(const u8* w, int at, int k, run (&r)[runs]) {
    lanes<q4_k>::load(w, at, k, r);
    add_fifth(r, weight_row<q5_k>::high(w + at / 8, k, lane()));
  }
};

// Eight lanes a super-block, a strip each: lane 4n+c takes elements 128n+16c to 128n+16c+15 and those 64 on.
template <> struct lanes<q6_k> {
  enum { step = 1024, runs = 2, apart = 64, is_signed = 1, mins = 0, own_mins = 0, one_scale = 0, two_steps = 1 };
  DEV int first() { return 128 * (lane() / 4) + 16 * (lane() % 4); }
  typedef weight_row<q6_k> row;
  struct raw {
    u32x4 low;
    octet high;
    u32x2 scales;
  };
  DEV void fetch(const u8* w, int at, int k, raw& r) {
    u32 b = lane() / 8, s = lane() % 8;
    r.low = load128(row::low(w + at / 2, b, s));
    r.high = row::high(w + at / 4, k, b, s);
    r.scales = row::scale_words(w + at / 256 * 18, k, b, s);
  }
  struct cursor {
    const u8 *low, *high, *scales;
    DEV_METHOD void next() { low += step / 2, high += step / 4, scales += step / 256 * 18; }
  };
  DEV cursor start(const u8* w, int at, int k) {
    return {w + at / 2 + 16 * lane(), w + k / 2 + at / 4 + 8 * lane(), w + k / 4 * 3 + (at / 256 + lane() / 8) * 18};
  }
  DEV void read(const cursor& c, i64 bytes, raw& r) {
    const u8* p = c.scales + bytes;
    r.low = load128(c.low + bytes);
    r.high = octet_8(c.high + bytes);
    r.scales = (u32x2){load16(p + 2 * (lane() % 8)), load16(p + 16)};
  }
  DEV void open(const raw& w, run (&r)[runs]) {
    float scale[2];
    row::scales_of(w.scales, scale);
    UNROLL for (int e = 0; e < 2; e++) {
      octet p = row::codes(w.low.xy, w.high, 0, e), q = row::codes(w.low.zw, w.high, 1, e);
      r[e] = {{p[0], p[1], q[0], q[1]}, scale[e], 0};
    }
  }
  DEV void load(const u8* w, int at, int k, run (&r)[runs]) {
    raw x;
    fetch(w, at, k, x);
    open(x, r);
  }
};

// One lane a block of 32 nibbles as in quant_nibbles.h.
template <int Signed, int Mins> struct nibble_lanes {
  enum { step = 1024, runs = 2, apart = 16, is_signed = Signed, mins = Mins, own_mins = 0, one_scale = 1, two_steps = 0 };
  DEV int first() { return 32 * lane(); }
  DEV void split(const u8* w, int at, run (&r)[runs], float scale, float min) {
    u32x4 q = load128(w + at / 2 + 16 * lane());
    UNROLL for (int j = 0; j < 2; j++) r[j] = {q >> 4 * j & 0x0f0f0f0f, scale, min};
  }
};
template <> struct lanes<q4_0> : nibble_lanes<0, 1> {
  DEV void load(const u8* w, int at, int k, run (&r)[runs]) {
    float d = weight_row<q4_0>::scale(w + at / 32 * 2, k, lane());
    split(w, at, r, d, 8 * d);
  }
};
template <> struct lanes<q4_1> : nibble_lanes<0, 1> {
  DEV void load(const u8* w, int at, int k, run (&r)[runs]) {
    half2 dm = weight_row<q4_1>::scales(w + at / 8, k, lane());
    split(w, at, r, dm[0], -(float)dm[1]);
  }
};
template <> struct lanes<q5_0> : nibble_lanes<0, 1> {
  DEV void load(const u8* w, int at, int k, run (&r)[runs]) {
    float d = weight_row<q5_0>::scale(w + at / 32 * 2, k, lane());
    split(w, at, r, d, 16 * d);
    add_fifth(r, weight_row<q5_0>::high(w + at / 8, k, lane()));
  }
};
template <> struct lanes<q5_1> : nibble_lanes<0, 1> {
  DEV void load(const u8* w, int at, int k, run (&r)[runs]) {
    half2 dm = weight_row<q5_1>::scales(w + at / 8, k, lane());
    split(w, at, r, dm[0], -(float)dm[1]);
    add_fifth(r, weight_row<q5_1>::high(w + at / 8, k, lane()));
  }
};
template <> struct lanes<iq4_nl> : nibble_lanes<1, 0> {
  DEV void load(const u8* w, int at, int k, run (&r)[runs]) {
    split(w, at, r, weight_row<iq4_nl>::scale(w + at / 32 * 2, k, lane()), 0);
    UNROLL for (int j = 0; j < 2; j++) r[j].q = iq4_values(r[j].q);
  }
};
template <> struct lanes<iq4_xs> : nibble_lanes<1, 0> {
  DEV void load(const u8* w, int at, int k, run (&r)[runs]) {
    typedef weight_row<iq4_xs> row;
    split(w, at, r, row::end(w + at / 256 * 2, k, lane() / 8) * row::scale(w + at / 32, k, lane()), 0);
    UNROLL for (int j = 0; j < 2; j++) r[j].q = iq4_values(r[j].q);
  }
};
template <> struct lanes<mxfp4> : nibble_lanes<1, 0> {
  DEV void load(const u8* w, int at, int k, run (&r)[runs]) {
    split(w, at, r, weight_row<mxfp4>::scale(w + at / 32, k, lane()), 0);
    UNROLL for (int j = 0; j < 2; j++) r[j].q = fp4_values(r[j].q);
  }
};
template <> struct lanes<nvfp4> : nibble_lanes<1, 0> {
  enum { one_scale = 0 };
  DEV void load(const u8* w, int at, int k, run (&r)[runs]) {
    split(w, at, r, 0, 0);
    u32 codes = weight_row<nvfp4>::scales(w + at / 32 * 2, k, lane());
    UNROLL for (int j = 0; j < 2; j++) r[j].q = fp4_values(r[j].q), r[j].scale = weight_row<nvfp4>::value(codes >> 8 * j);
  }
};

// Four lanes a super-block, a strip of 64 elements each.
template <int Signed, int OwnMins> struct strip_lanes {
  enum { step = 2048, runs = 4, apart = 32, is_signed = Signed, mins = 0, own_mins = OwnMins, one_scale = 0, two_steps = 0 };
  DEV int first() { return 128 * (lane() / 2) + 16 * (lane() % 2); }
};
template <> struct lanes<q2_k> : strip_lanes<0, 1> {
  DEV void load(const u8* w, int at, int k, run (&r)[runs]) {
    typedef weight_row<q2_k> row;
    u32x4 q = load128(row::codes(w + at / 4, lane()));
    u32 codes = row::scales(w + at / 16, k, lane()), scales = codes & 0x0f0f0f0f, mins = codes >> 4 & 0x0f0f0f0f;
    half2 d = row::ends(w + at / 64, k, lane() / 4);
    UNROLL for (int j = 0; j < 4; j++)
      r[j] = {q >> 2 * j & 0x03030303, (float)d[0] * (float)(scales >> 8 * j & 255), (float)d[1] * (float)(mins >> 8 * j & 255)};
  }
};
template <> struct lanes<q3_k> : strip_lanes<1, 0> {
  DEV void load(const u8* w, int at, int k, run (&r)[runs]) {
    typedef weight_row<q3_k> row;
    u32x4 q = load128(row::codes(w + at / 4, lane()));
    octet high = row::high(w + at / 8, k, lane());
    u32 scales = row::scales(w + at / 16, k, lane());
    float d = row::scale(w + at / 256 * 2, k, lane() / 4);
    UNROLL for (int j = 0; j < 4; j++) {
      UNROLL for (int v = 0; v < 4; v++) r[j].q[v] = row::values(q[v], high, j, v);
      r[j].scale = d * (float)(i8)(scales >> 8 * j), r[j].min = 0;
    }
  }
};
