// Weights of few tokens: tiles of rows of activations, which come through LDS, 128 elements at a time, and rows of weights of which a
// wave has few_row_tiles times 16 for itself. Each weight is dequantized once, by one lane (see tiles.h for the order of elements).
#pragma once
#include "scaled_units.h"
#include "tiles.h"

enum { few_waves = 4, few_row_tiles = 2, few_unit = 128 };

// few_product is what a block multiplies: `count` rows of x with rows of w, or of w and up, n of each, of so many bytes. Lane t has
// the pair of the t-th token, its row of x, and the inverse of that row's scale. low is how many elements behind a row of x that with
// what rounding took from it lies.
//
// A group is the rows that a block multiplies at once; o0 is the wave's first row of the first group, and `groups` how many it
// multiplies one after the other.
struct few_product {
  const half* x;
  int count, k, pair, row;
  float inverse;
  i64 low;
  const u8 *w, *up;
  int n, bytes, o0, groups;

  // x_at is where the thread's 16 bytes of a unit are in row t, from its first on. chunk_at is the same in unit u for weights of type
  // Q: its first bytes take the place of those past the end of the row, which are multiplied with nothing.
  DEV_METHOD u32 x_at(int t) const { return 2 * ((u32)shfl(row, t) * (u32)k + 8 * (tid() & 15)); }
  template <class Q> DEV_METHOD u32 chunk_at(u32 x_at, int u) const {
    const int c = tid() & 15;
    return Q::block % few_unit && few_unit * u + 8 * c >= k ? x_at - 16 * c : x_at;
  }
  DEV_METHOD int units() const { return (k + few_unit - 1) / few_unit; }

  // first is the first row that tile r of group g is for. The tile starts at `from`, before that where 16 are not left, and row_at is
  // where its row is behind w_at.
  DEV_METHOD int first(int g, int r) const { return o0 + few_waves * (up ? 16 : 16 * few_row_tiles) * g + (up ? 0 : 16 * r); }
  DEV_METHOD int from(int g, int r) const {
    const int o = first(g, r), last = n > 16 ? n - 16 : 0;
    return o < last ? o : last;
  }
  DEV_METHOD const u8* w_at(int g, int r) const { return (r && up ? up : w) + from(g, r) * (i64)bytes; }
  DEV_METHOD u32 row_at(int row) const { return (u32)((row < n ? row : n - 1) * bytes); }
};

#if GPU_NVIDIA
typedef own_place few_place;
#else
// A lane dequantizes two octets of a row.
struct few_place : place<2, words_all, false> {
  DEV int octet() { return lane() >> 4 << 1; }
  DEV int half() { return octet() / 2; }
  DEV int scale_half() { return half(); }
};
#endif

// few_loads<Q> loads what a lane wants of weights, at offsets from w, which is the same for the wave, that set makes of that of its row.
// With ends, what it loads of parts past the end of the row is not to be multiplied.
template <class Q> struct few_loads {
  typedef tiles<Q, few_place> T;
  enum { places = 1, blocks = false, ends = false };
  DEV void set(u32 (&at)[places], u32 row) { at[0] = row; }
  DEV void head(typename T::head& h, const u8* w, const u32 (&at)[places], int k, int from) { T::load_head(h, w + at[0], k, from, 0); }
  DEV void part(typename T::part& d, const u8* w, const u32 (&at)[places], int k, int from, int p) {
    T::load_part(d, w + at[0], k, from, p);
  }
};

#if GPU_NVIDIA

// The sums of a tile of 16 rows of weights and 8 tokens.
enum { few_token_tile = 8 };

// few_ring brings units of TOKENS rows of x to LDS, and of weights of type Q where those are staged, some ahead of where they are
// used, one group after the other. PARTS is 2 where the rests of x come too.
//
// A unit has rows of 256 bytes for tokens, and then staged<Q>::bytes for each wave and tile of rows.
template <class Q, int TOKENS, int PARTS> struct few_ring {
  typedef staged<Q> S;
  enum { x_part = 256 * TOKENS, w_bytes = few_row_tiles * S::bytes, copies = TOKENS / few_token_tile };
  enum { slot_bytes = PARTS * x_part + few_waves * w_bytes, most = 49152 / slot_bytes, slots = most < 4 ? most : 4 };
  enum { bytes = slots * slot_bytes };

  const few_product& f;
  u32 base, slot, x_at[copies], row_at[2];
  const u8* w[few_row_tiles];
  u32 x_to, x_lane;
  int unit, group; // to be copied next

  // swizzled is what the number of a chunk of 16 bytes of token row r is xored with, beside its bit 3.
  DEV u32 swizzled(u32 r) { return r & 1 ? 5 : 0; }

  DEV_METHOD few_ring(const few_product& f, u8* lds) : f(f), base(lds_address(lds)), slot(slots - 1), unit(0), group(0) {
    const u32 row = (u32)tid() >> 4, c = tid() & 15;
    UNROLL for (int t = 0; t < copies; t++) x_at[t] = f.x_at((int)row + few_token_tile * t);
    x_to = 256 * row + 16 * (c ^ (c >> 3) ^ swizzled(row));
    x_lane = 256 * ((u32)lane() >> 2) + 16 * swizzled((u32)lane() >> 2);
    UNROLL for (int i = 0; i < 2; i++) row_at[i] = f.row_at(tile_row(i));
    UNROLL for (int r = 0; r < few_row_tiles; r++) w[r] = f.w_at(0, r);
    UNROLL for (int n = 0; n < slots - 1; n++) copy(n);
  }
  DEV_METHOD u32 slot_at(u32 s) const { return base + slot_bytes * s; }
  DEV_METHOD u32 weights_of(u32 s, int r) const { return slot_at(s) + PARTS * x_part + w_bytes * wave() + S::bytes * r; }
  DEV_METHOD void copy(u32 to) {
    if (group < f.groups) {
      UNROLL for (int p = 0; p < PARTS; p++)
        UNROLL for (int t = 0; t < copies; t++)
          copy16(slot_at(to) + x_to + x_part * p + 256 * few_token_tile * t,
                 (const u8*)(f.x + p * f.low + few_unit * unit) + f.template chunk_at<Q>(x_at[t], unit));
      if constexpr (S::bytes)
        UNROLL for (int r = 0; r < few_row_tiles; r++)
          UNROLL for (int i = 0; i < 2; i++) S::copy(weights_of(to, r), tile_row(i), w[r] + row_at[i], f.k, unit);
      if (++unit == f.units()) {
        unit = 0, group++;
        UNROLL for (int r = 0; r < few_row_tiles; r++) w[r] = f.w_at(group, r);
      }
    }
    copies_end();
  }
  // next waits for the next unit, and asks for one more in place of the last one.
  DEV_METHOD void next() {
    copies_done<slots - 2>();
    barrier();
    copy(slot);
    slot = slot + 1 < slots ? slot + 1 : 0;
  }
  // x returns a chunk of 16 bytes of the unit, of the lane's row of token tile t: that of number `of_lane` xor `known`.
  DEV_METHOD u32x4 x(u32 of_lane, u32 known, int t, int part) const {
    const u32 c = of_lane ^ (of_lane >> 3) ^ known ^ (known >> 3);
    return lds128((slot_at(slot) + x_lane ^ 16 * c) + x_part * part + 256 * few_token_tile * t);
  }
  DEV_METHOD void end() const {
    copies_done<0>();
    barrier();
  }
};

// add_scaled adds to sums the products of x with the rows of group g, whose units are next in the ring. Where PARTS is 2, those with
// the rests of x and of the weights too. b is what the first block has beside, and becomes that of the next group's.
template <class Q> struct few_heads {
  typename scaled_units<Q>::block of[few_row_tiles][2];
  const u8* w[few_row_tiles];

  DEV_METHOD void begin(const few_product& f, int g) {
    UNROLL for (int r = 0; r < few_row_tiles; r++) w[r] = f.w_at(g, r);
  }
  DEV_METHOD void load(const u32 (&row_at)[2], int k, u32 n) {
    UNROLL for (int r = 0; r < few_row_tiles; r++)
      UNROLL for (int i = 0; i < 2; i++) scaled_units<Q>::load(of[r][i], w[r] + row_at[i], k, n);
  }
};
template <class Q, int NT, int PARTS, class Ring>
DEV void add_scaled(tile_sum (&sums)[NT][few_row_tiles], const few_product& f, Ring& ring, int g, few_heads<Q>& next) {
  typedef scaled_units<Q> U;
  typedef typename U::block block;
  const u32 blocks = (u32)f.k / 256, chunk = U::chunk();
  NO_UNROLL for (u32 n = 0; n < blocks; n++) {
    block head[few_row_tiles][2];
    UNROLL for (int r = 0; r < few_row_tiles; r++)
      UNROLL for (int i = 0; i < 2; i++) head[r][i] = next.of[r][i];
    if (n + 1 == blocks) next.begin(f, g + 1);
    next.load(ring.row_at, f.k, n + 1 < blocks ? n + 1 : 0);
    scaled_sums<Q, NT, few_row_tiles, PARTS> acc;
    UNROLL for (int u = 0; u < 2; u++) {
      ring.next();
      typename U::unit w[few_row_tiles][2];
      UNROLL for (int r = 0; r < few_row_tiles; r++)
        UNROLL for (int i = 0; i < 2; i++) U::set(w[r][i], head[r][i], ring.weights_of(ring.slot, r), 8 * i + ((u32)lane() >> 2), u);
      UNROLL for (int i = 0; i < 2; i++)
        acc.add(w, u, i, [&](int j, int t, int p) { return ring.x(chunk, (i ? U::run_chunk : 0) ^ j, t, p); });
    }
    acc.end(sums, head);
  }
}

template <class Q> struct few_weights : few_loads<Q> {};
DEV int few_sum_row(int e) { return sum_row(e); }
DEV int few_sum_token(int e) { return sum_token(e); }

// few_most is how many tokens a block takes at most.
template <class Q> DEV constexpr int few_most() { return scaled_units<Q>::known ? 32 : 16; }

template <class Q, int NT, class Ring>
DEV void few_window(tile_sum (&sums)[NT][few_row_tiles], const typename own_tiles<Q>::head (&head)[few_row_tiles][tile_lane_rows],
                    const typename own_tiles<Q>::part (&d)[few_row_tiles][tile_lane_rows], int p, int i, const Ring& ring) {
  half8 x[NT][tile_octets];
  UNROLL for (int t = 0; t < NT; t++)
    x[t][0] = bits<half8>(ring.x((u32)tile_octet(), (u32)own_tiles<Q>::start(p, i) % few_unit / 8, t, 0));
  add_window<Q>(sums, head, d, p, i, x);
}

#else

// The sums of a tile of 16 tokens and 16 rows of weights, which are the columns: each lane has one of them.
enum { few_token_tile = 16 };
template <class Q> DEV constexpr int few_most() { return 16; }
DEV int few_sum_row(int e) { return acc_col(e); }
DEV int few_sum_token(int e) { return acc_row(e); }

// Where lanes multiply all octets of a row, they exchange them by way of LDS.
template <class Q, int TOKENS, int> struct few_ring {
  enum { x_row = few_unit + 8, w_row = 40, x_halves = TOKENS * x_row };
#if defined(__GFX12__)
  enum { w_halves = 0 };
#else
  enum { w_halves = 16 * w_row };
#endif
  enum { bytes = 2 * (2 * x_halves + few_waves * few_row_tiles * w_halves) };

  const few_product& f;
  half *lds, *own;
  u32 x_at[2];
  half8 chunk[2];
  int u;

  DEV_METHOD few_ring(const few_product& f, u8* to) : f(f), lds((half*)to), own(lds + 2 * x_halves), u(0) {
    own += uniform(wave()) * few_row_tiles * w_halves;
    UNROLL for (int i = 0; i < 2; i++) x_at[i] = f.x_at((tid() >> 4) + 8 * i);
    load(0);
  }
  DEV_METHOD void load(int n) {
    UNROLL for (int i = 0; i < 2; i++) {
      in_loop(x_at[i]);
      chunk[i] = *(const half8*)((const u8*)(f.x + few_unit * n) + f.template chunk_at<Q>(x_at[i], n));
    }
  }
  DEV_METHOD half* unit() const { return lds + (u & 1 ? 0 : x_halves); } // the one in use: u is behind it
  DEV_METHOD void next() {
    u++;
    UNROLL for (int i = 0; i < 2; i++) *(half8*)(unit() + ((tid() >> 4) + 8 * i) * x_row + 8 * (tid() & 15)) = chunk[i];
    barrier();
    load(u < f.units() ? u : 0);
  }
  // fragment is 16 of the elements of a window that starts at element `start` of the unit.
  DEV_METHOD FragA x(int start, int s) const {
    const half* p = unit() + (lane() & 15) * x_row + start;
#if defined(__GFX12__)
    return *(const half8*)(p + 8 * (few_place::octet() + s));
#else
    return load_a(p - (lane() & 15) * x_row + 16 * s, x_row);
#endif
  }
  DEV_METHOD void end() const { barrier(); }
};

// few_weights<Q> says how a lane dequantizes its octets of window i of part p. With blocks, weights are multiplied with step(head)
// still.
template <class Q> struct few_weights : few_loads<Q> {
  typedef tiles<Q, few_place> T;
  DEV float step(const typename T::head&) { return 1; }
  DEV void window(half8 (&w)[2], const typename T::head& head, const typename T::part& d, int p, int i) {
    UNROLL for (int j = 0; j < 2; j++) w[j] = octet_halves(T::codes(d, i, j), T::scale(head, d, p, i, 0));
  }
};

// What lies past the end of a row of Q8_0 is not multiplied, so that its step need not be 0.
template <> struct few_loads<q8_0> {
  typedef tiles<q8_0, few_place> T;
  enum { places = 2, blocks = false, ends = true };
  DEV void set(u32 (&at)[places], u32 row) { at[0] = row, at[1] = row + 16 * few_place::half(); }
  DEV void head(T::head&, const u8*, const u32 (&)[places], int, int) {}
  DEV void part(T::part& d, const u8* w, const u32 (&at)[places], int k, int from, int p) {
    const u32x4 codes = *(const u32x4*)(w + 32 * p + (at[1] + (u32)from));
    d.codes.octets[0] = codes.xy, d.codes.octets[1] = codes.zw;
    d.step = half_at(w + 2 * p + (at[0] + ((u32)k + (u32)from / 16)));
  }
};

template <> struct few_weights<q8_0> : few_loads<q8_0> {
  DEV float step(const T::head&) { return 1; }
  DEV void window(half8 (&w)[2], const T::head&, const T::part& d, int p, int i) {
    const float c = -(1024 + 128) * d.step; // see octet_halves
    UNROLL for (int j = 0; j < 2; j++) {
      const half8 h = code_halves(T::codes(d, i, j));
      UNROLL for (int e = 0; e < 8; e += 2) {
        const half2 v = halves(__builtin_fmaf((float)h[e], d.step, c), __builtin_fmaf((float)h[e + 1], d.step, c));
        w[j][e] = v[0], w[j][e + 1] = v[1];
      }
    }
  }
};

template <> struct few_loads<q4_k> {
  typedef tiles<q4_k, few_place> T;
  enum { places = 2, blocks = false, ends = false };
  DEV void set(u32 (&at)[places], u32 row) { at[0] = row, at[1] = row + 16 * few_place::half(); }
  DEV void head(T::head& h, const u8* w, const u32 (&at)[places], int k, int from) {
    const u8* p = w + ((u32)k / 2 + (u32)from / 256 * 20);
    h.scales.load<4>(p + at[0], 0);
    h.d = bits<half2>(load32(p + 16 + at[0]));
  }
  DEV void part(T::part& d, const u8* w, const u32 (&at)[places], int, int from, int p) {
    const u32x4 codes = *(const u32x4*)(w + ((u32)from / 2 + 32 * p) + at[1]);
    d.codes.octets[0] = codes.xy, d.codes.octets[1] = codes.zw;
  }
};

// Products of scales, which are integers, with codes take few instructions: see codes_q6.
template <> struct few_weights<q6_k> {
  typedef tiles<q6_k, few_place> T;
  enum { places = 3, blocks = true, ends = false };
  DEV void set(u32 (&at)[places], u32 row) {
    at[0] = row, at[1] = row + 16 * few_place::half(), at[2] = row + 8 * few_place::half();
  }
  DEV void head(T::head& h, const u8* w, const u32 (&at)[places], int k, int from) {
    const u8* p = w + ((u32)k / 4 * 3 + (u32)from / 256 * 18);
    h.scales.load<2>(p + at[0], 0);
    h.d = half_at(p + 16 + at[0]);
  }
  DEV void part(T::part& d, const u8* w, const u32 (&at)[places], int k, int from, int p) {
    const u32x4 low = *(const u32x4*)(w + ((u32)from / 2 + 32 * p) + at[1]);
    d.low.octets[0] = low.xy, d.low.octets[1] = low.zw;
    d.high[0] = octet_8(w + ((u32)k / 2 + (u32)from / 4 + 16 * p) + at[2]);
  }
  DEV float step(const T::head& head) { return head.d; }
  DEV void window(half8 (&w)[2], const T::head& head, const T::part& d, int p, int i) {
    const half2 scales = q6_scales(head.scales.of(p) >> 16 * few_place::half()), offs = scales * splat(-96);
    UNROLL for (int j = 0; j < 2; j++) {
      half2 h[4];
      q6_codes(h, d.low.octets[j], d.high[0], i, j);
      UNROLL for (int e = 0; e < 4; e++) {
        h[e] = __builtin_elementwise_fma(h[e], splat(scales[i]), splat(offs[i]));
        w[j][2 * e] = h[e][0], w[j][2 * e + 1] = h[e][1];
      }
    }
  }
};

template <class Q, int NT, class Ring>
DEV void few_window(tile_sum (&sums)[NT][few_row_tiles], const typename tiles<Q, few_place>::head (&head)[few_row_tiles][1],
                    const typename tiles<Q, few_place>::part (&d)[few_row_tiles][1], int p, int i, const Ring& ring) {
  typedef tiles<Q, few_place> T;
  half8 w[few_row_tiles][2];
  UNROLL for (int r = 0; r < few_row_tiles; r++) few_weights<Q>::window(w[r], head[r][0], d[r][0], p, i);
#if !defined(__GFX12__)
  UNROLL for (int r = 0; r < few_row_tiles; r++)
    UNROLL for (int j = 0; j < 2; j++)
      *(half8*)(ring.own + r * Ring::w_halves + (lane() & 15) * Ring::w_row + 8 * (few_place::octet() + j)) = w[r][j];
  wave_fence();
#endif
  UNROLL for (int s = 0; s < 2; s++) {
    const FragA x = ring.x(T::start(p, i) % few_unit, s);
    UNROLL for (int r = 0; r < few_row_tiles; r++)
#if defined(__GFX12__)
      sums[0][r] = mma(sums[0][r], x, w[r][s]);
#else
      sums[0][r] = mma(sums[0][r], x, load_b(ring.own + r * Ring::w_halves + 16 * s, Ring::w_row));
#endif
  }
#if !defined(__GFX12__)
  wave_fence(); // before lanes write the next window where others have read
#endif
}

#endif

template <bool YES> struct few_cut {
  enum { yes = YES };
};

// add_few adds to sums the products of x with the rows of group g, each of whose lanes loads its weights itself, a part ahead.
template <class Q, int TOKENS, int NT> DEV void add_few(tile_sum (&sums)[NT][few_row_tiles], const few_product& f, int g, u8* lds) {
  typedef tiles<Q, few_place> T;
  constexpr int step = 32 * T::parts * T::windows, unit_parts = few_unit / (32 * T::windows);
  typedef few_weights<Q> L;
  u32 rows[few_row_tiles][tile_lane_rows][L::places];
  UNROLL for (int r = 0; r < few_row_tiles; r++)
    UNROLL for (int i = 0; i < tile_lane_rows; i++) L::set(rows[r][i], f.row_at(tile_row(i)));
  const u8* w[few_row_tiles];
  UNROLL for (int r = 0; r < few_row_tiles; r++) w[r] = f.w_at(g, r);
  few_ring<Q, TOKENS, 1> ring(f, lds);
  typename T::part d[2][few_row_tiles][tile_lane_rows];
  auto load_part = [&](int to, int at, int p) {
    UNROLL for (int r = 0; r < few_row_tiles; r++)
      UNROLL for (int i = 0; i < tile_lane_rows; i++) L::part(d[to][r][i], w[r], rows[r][i], f.k, at, p);
  };
  load_part(0, 0, 0);
  // cut says that the row may end within the step, where L wants to know that.
  auto add_step = [&](int at, auto cut) __attribute__((always_inline)) {
    typename T::head head[few_row_tiles][tile_lane_rows];
    UNROLL for (int r = 0; r < few_row_tiles; r++)
      UNROLL for (int i = 0; i < tile_lane_rows; i++) {
        UNROLL for (int n = 0; n < L::places; n++) in_loop(rows[r][i][n]);
        L::head(head[r][i], w[r], rows[r][i], f.k, at);
      }
    tile_sum block[NT][few_row_tiles] = {}; // of weights without what blocks of 256 are multiplied with
    UNROLL for (int p = 0; p < T::parts; p++) {
      if (p % unit_parts == 0) ring.next();
      if (p + 1 == T::parts)
        load_part(0, at + step < f.k ? at + step : 0, 0);
      else if (!cut.yes || at + T::start(p + 1, 0) < f.k)
        load_part((p + 1) & 1, at, p + 1);
      if (cut.yes && at + T::start(p, 0) >= f.k) continue;
      UNROLL for (int i = 0; i < T::windows; i++) few_window<Q>(L::blocks ? block : sums, head, d[p & 1], p, i, ring);
    }
    if constexpr (L::blocks)
      UNROLL for (int r = 0; r < few_row_tiles; r++) {
        const float step = L::step(head[r][0]);
        UNROLL for (int t = 0; t < NT; t++)
          UNROLL for (int e = 0; e < (int)(sizeof(tile_sum) / 4); e++)
            sums[t][r][e] = __builtin_fmaf(step, block[t][r][e], sums[t][r][e]);
      }
  };
  int at = 0;
  NO_UNROLL for (; at + (L::ends ? step - 1 : 0) < f.k; at += step) add_step(at, few_cut<false>());
  if (L::ends && at < f.k) add_step(at, few_cut<L::ends>());
  ring.end();
}
