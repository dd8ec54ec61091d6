// Attention of few tokens a sequence over many keys, as decoding has it: time is that of reading keys and values.
//
// A block has up to C columns, each a token and a query head of one KV head, and a share of the keys: all columns use a
// key or value that was read once. Its 8 waves go through the share in runs of keys, each run by one wave:
//
//   - keys: a lane has 16 dims of a key (32 of Q8_0, a block, whose scale is applied to the sum), and asks for its part of
//     all keys of the run before it uses any. It adds up its part of each product; sums over lanes are built so that in
//     the end lane i has key i of the run (fold).
//   - softmax online (attention.h), a column's scores at once. m follows the largest score only when that is far above it.
//   - values: a lane has 8 or 16 dims of all columns, and the weights of a key come from LDS.
//
// Runs never cross pages, so that the place of a run is the same for all lanes. Keys before and behind what any column sees
// have no weight, and their values, which might not be numbers, are replaced by ones that some column sees.
//
// Keys of a sequence are shared out evenly among as many of the blocks that there are as have enough to do;
// their number is all that the grid says, and other blocks end at once. Where there is more than one, each leaves m, l
// and its weighted sum, and the last to finish merges them in order: blocks count themselves in tickets, which start as 0
// and are 0 in the end. So results do not depend on who is last.
#pragma once
#include "attention.h"
#include "cached_rows.h"
#include "q24.h"

struct decode_args {
  float *stats, *sums; // [tiles, KV heads, splits, C][2], [tiles, KV heads, splits, C, D]
  u32* tickets;        // [tiles, KV heads]
  int group, tile;     // query heads of a KV head; tokens of a tile
  int splits, shift;   // log2 of the page size
  i8* codes; // null, or where the result goes as 24-bit codes too
  float* ds;
};

#define DECODE_PARAMS                                                                                                     \
  float *RESTRICT stats, float *RESTRICT sums, u32 *RESTRICT tickets, int group, int tile, int splits, int shift,         \
      i8 *RESTRICT codes, float *RESTRICT ds
#define DECODE_ARGS (decode_args){stats, sums, tickets, group, tile, splits, shift, codes, ds}

#define DECODE_WAVES 8
#define DECODE_SPLITS 64 // most of them
#define DECODE_PART 256  // fewest keys of a block, where there are several: queries and what they leave cost too
#define DECODE_SLACK 8.f // scores may exceed m by this many powers of two until it follows
#define UNSEEN -1e30f    // a score below all others, finite so that e^(UNSEEN-UNSEEN) is 1 before the first key

// dims_of_key is how many dims of a key a lane has: those of a scale, so that it is applied to a sum.
template <class T> struct dims_of_key { enum { n = 16 }; };
template <> struct dims_of_key<q8_0> { enum { n = 32 }; };

// decode_shape are the sizes that follow from type, dims and columns.
template <class T, int D, int C> struct decode_shape {
  enum {
    key_dims = dims_of_key<T>::n, // of a key, that a lane has
    key_lanes = D / key_dims,
    scaled = cached<T, key_dims>::scaled,
    zero = cached<T, key_dims>::zero,
    dims = D > 256 || scaled && C <= 4 ? 16 : 8, // of a value, that a lane has
    value_lanes = D / dims,
    words = cached<T, key_dims>::words * key_lanes + cached<T, dims>::words * value_lanes, // of 32 keys and values, in a lane
    room = C * dims > 48 && D <= 256 ? 96 : 128, // registers for what is read
    run = words <= room ? 32 : words <= 2 * room ? 16 : words <= 4 * room ? 8 : 4,   // keys
    keys_each = run * key_lanes / 32,                                                // that a lane has parts of
    together = keys_each < 4 ? keys_each : 4,                                        // of them, that use q once it is loaded
    values_once = 32 / value_lanes, // that a wave reads at once
    values_each = run / values_once,
    row = C <= 2 ? 2 : C <= 4 ? 4 : 8, // floats of a key's weights in LDS
    merged = 1024 / D < C ? 1024 / D : C, // columns that are merged at a time
    passes = (C + merged - 1) / merged,
  };
};

// column is a token and one of its query heads.
struct column {
  int token, head;  // -1 for none
  int seen, position; // the token's place in the tile, -1 for none or padding, and what it sees
};

// column_of returns column c of C, which take the heads of one token after the other.
DEV column column_of(const attention_args& a, const decode_args& x, int c, int C) {
  int chunks = (x.group + C - 1) / C, t0 = block_x() / chunks * x.tile, t = 0, h = block_x() % chunks * C + c;
  for (; chunks == 1 && h >= x.group; t++) h -= x.group;
  if (t >= x.tile || h >= x.group || t0 + t >= a.tokens) return {-1, -1, -1, 0};
  return {t0 + t, block_z() * x.group + h, a.seq[t0 + t] < 0 ? -1 : t, a.pos[t0 + t]};
}

template <class T, int D, int C> struct decode_lds {
  typedef decode_shape<T, D, C> S;
  union {
    struct {
      f32x4 q[C][S::key_dims / 4][S::key_lanes]; // vector r of lane i's dims at [r][i]
      float start[C][S::key_lanes];              // of the sum of a lane
      float p[DECODE_WAVES][S::run][S::row]; // weights of a run
    };
    f32x4 part[DECODE_WAVES][S::merged][D / 4];
  };
  column columns[C];
  float m[DECODE_WAVES][C], l[DECODE_WAVES][C];
  float factor[C][DECODE_SPLITS];
  int last;
};

// fold<M> adds a over lanes whose numbers differ in bit M where that bit is 0, b where it is 1.
template <int M> DEV float fold(float a, float b) {
  bool up = lane() & M;
  return (up ? b : a) + shfl_xor<M>(up ? a : b);
}

// decode_columns goes through this wave's runs of the keys lo..hi-1 of a sequence, for columns of tokens t..e-1 of the tile.
// All columns see the keys all_from..all_to-1.
template <class T, int D, int C>
DEV void decode_columns(const attention_args& a, const decode_args& x, decode_lds<T, D, C>& lds, int seq, int t, int e, int lo, int hi,
                        int all_from, int all_to, int part, int parts,
                        float (&m)[C], float (&l)[C], float (&acc)[C][decode_shape<T, D, C>::dims]) {
  typedef decode_shape<T, D, C> S;
  const int key_lane = lane() % S::key_lanes, value_lane = lane() % S::value_lanes;
  const u32 key_dim = S::key_dims * key_lane < a.dk ? S::key_dims * key_lane : 0;
  const u32 value_dim = S::dims * value_lane < a.dv ? S::dims * value_lane : 0;
  const u32 row = row_bytes<T>(a.dk), stride = row * a.kv_heads;
  const u32 key0 = lane() / S::key_lanes * S::keys_each * stride, value0 = lane() / S::value_lanes * stride; // bytes
  const int first = lo / S::run, runs = (hi + S::run - 1) / S::run - first;
  const int each = (u32)runs / (u32)parts, more = (u32)runs % (u32)parts; // which the first parts have
  const int begin = first + each * part + (part < more ? part : more), end = begin + each + (part < more);
  const int* pages = a.pages + (i64)seq * a.per_seq;
  float(*p)[S::row] = lds.p[wave()];
  int r = uniform(begin + wave());
  if (r >= end) return;
  int page = uniform(pages[r * S::run >> x.shift]);
  for (; r < end; r += DECODE_WAVES) {
    const int j0 = r * S::run, in_page = j0 & (1 << x.shift) - 1;
    const i64 place = (i64)page << x.shift;
    const u8* k = a.k + (place + in_page) * stride + block_z() * row;
    const u8* v = a.v + (place + in_page) * stride + block_z() * row;
    cached<T, S::key_dims> ks[S::keys_each];
    UNROLL for (int i = 0; i < S::keys_each; i++) ks[i].load(k + i * stride, key0, key_dim);
    const u32 least = lo > j0 ? (lo - j0) * stride : 0, most = ((hi - j0 < S::run ? hi - j0 : S::run) - 1) * stride;
    cached<T, S::dims> vs[S::values_each];
    UNROLL for (int i = 0; i < S::values_each; i++) {
      u32 at = value0 + i * S::values_once * stride;
      at = at < least ? least : at;
      vs[i].load(v, at > most ? most : at, value_dim);
    }
    page = uniform(pages[(r + DECODE_WAVES < end ? r + DECODE_WAVES : r) * S::run >> x.shift]);
    all_arrived();
    float s[C][S::keys_each / S::together];
    UNROLL for (int i = 0; i < S::keys_each; i += S::together) {
      float d[C][S::together];
      UNROLL for (int c = 0; c < C; c++) {
        float start = 0;
        if constexpr (S::zero) start = lds.start[c][key_lane];
        UNROLL for (int n = 0; n < S::together; n++) d[c][n] = start;
      }
      UNROLL for (int e = 0; e < S::key_dims / 4; e++) {
        float y[S::together][4];
        UNROLL for (int n = 0; n < S::together; n++)
          if constexpr (S::scaled)
            ks[i + n].raw(e, y[n]);
          else
            ks[i + n].get(e, y[n]);
        UNROLL for (int c = 0; c < C; c++) {
          f32x4 q = lds.q[c][e][key_lane];
          UNROLL for (int j = 0; j < 4; j++)
            UNROLL for (int n = 0; n < S::together; n++) d[c][n] = __builtin_fmaf(q[j], y[n][j], d[c][n]);
        }
        fixed();
      }
      if constexpr (S::scaled)
        UNROLL for (int n = 0; n < S::together; n++) {
          float y = ks[i + n].scale();
          UNROLL for (int c = 0; c < C; c++) d[c][n] *= y;
        }
      UNROLL for (int c = 0; c < C; c++) {
        float y = fold<1>(d[c][0], d[c][1]);
        if constexpr (S::together == 4) y = fold<2>(y, fold<1>(d[c][2], d[c][3]));
        s[c][i / S::together] = y;
      }
      fixed();
    }
    const int mine = lane() / S::key_lanes * S::keys_each + lane() % S::keys_each, key = j0 + mine; // of the run
    wave_fence();
    UNROLL for (int c = 0; c < C; c++) {
      float y = s[c][0];
      if constexpr (S::keys_each == 8) y = fold<4>(s[c][0], s[c][1]);
      if constexpr (S::keys_each == 16) y = fold<8>(fold<4>(s[c][0], s[c][1]), fold<4>(s[c][2], s[c][3]));
      if constexpr (S::keys_each <= 4 && S::key_lanes > 4) y += shfl_xor<4>(y);
      if constexpr (S::keys_each <= 8 && S::key_lanes > 8) y += shfl_xor<8>(y);
      if constexpr (S::keys_each <= 16 && S::key_lanes > 16) y += shfl_xor<16>(y);
      s[c][0] = y;
    }
    if (a.softcap > 0) { // rare, and long: once for all columns
      UNROLL for (int c = 0; c < C; c++) p[mine][c] = s[c][0];
      NO_UNROLL for (int c = 0; c < C; c++) {
        wave_fence();
        float y = p[mine][c];
        wave_fence();
        p[mine][c] = a.softcap * tanh_f(y / a.softcap) * LOG2E;
      }
      UNROLL for (int c = 0; c < C; c++) s[c][0] = p[mine][c];
    }
    if (j0 < all_from || j0 + S::run > all_to)
      UNROLL for (int c = 0; c < C; c++) {
        int seen = lds.columns[c].seen, last = lds.columns[c].position;
        bool sees = seen >= t && seen < e && key <= last && (a.window == 0 || key > last - a.window);
        s[c][0] = sees ? s[c][0] : -__builtin_inff();
      }
    float above = 0;
    UNROLL for (int c = 0; c < C; c++) above = __builtin_fmaxf(above, s[c][0] - m[c]);
    if (any(above > DECODE_SLACK))
      UNROLL for (int c = 0; c < C; c++) {
        float top = __builtin_fmaxf(m[c], wave_max(s[c][0])), old = exp2_approx(m[c] - top);
        m[c] = uniform(top);
        l[c] *= old;
        UNROLL for (int d = 0; d < S::dims; d++) acc[c][d] *= old;
      }
    UNROLL for (int c = 0; c < C; c++) {
      float y = exp2_approx(s[c][0] - m[c]);
      l[c] += y;
      p[mine][c] = y;
    }
    wave_fence();
    const float(*from)[S::row] = p + lane() / S::value_lanes;
    constexpr bool by_weight = S::scaled && !S::zero; // scales the weight, not the values
    float w[2][C]; // of a value, and of the next
    UNROLL for (int e = 0; e < C; e += 2) *(f32x2*)(w[0] + e) = *(const f32x2*)(from[0] + e);
    UNROLL for (int i = 0; i < S::values_each; i++) {
      float y[S::dims];
      const float* after = from[(i + 1) * S::values_once];
      if (i + 1 < S::values_each)
        UNROLL for (int e = 0; e < C; e += 2) *(f32x2*)(w[(i + 1) % 2] + e) = *(const f32x2*)(after + e);
      UNROLL for (int e = 0; e < S::dims / 4; e++)
        if constexpr (by_weight)
          vs[i].raw(e, y + 4 * e);
        else
          vs[i].get(e, y + 4 * e);
      if constexpr (by_weight)
        UNROLL for (int c = 0; c < C; c++) w[i % 2][c] *= vs[i].scale();
      UNROLL for (int c = 0; c < C; c++)
        UNROLL for (int d = 0; d < S::dims; d++) acc[c][d] = __builtin_fmaf(w[i % 2][c], y[d], acc[c][d]);
      fixed();
    }
  }
}

// decode_store writes dims 4d to 4d+3 of a column, which is real if live.
DEV void decode_store(const attention_args& a, const decode_args& x, const column& to, int d, f32x4 v, bool live) {
  live = live && to.token >= 0 && 4 * d < a.dv;
  u32 row = live ? to.token * a.heads + to.head : 0, i = row * (u32)(a.dv / 4) + d;
  if (live && a.gate) {
    f32x4 g = *(const f32x4*)(a.gate + (u64)row * a.gate_stride + 4 * d);
    UNROLL for (int e = 0; e < 4; e++) v[e] *= sigmoid_f(g[e]);
  }
  if (live) ((f32x4*)a.o)[i] = v;
  if (x.codes) q24_vectors(v, i, q24_out{x.codes, x.ds, (u32)(a.tokens * a.heads * a.dv)}, live);
}

template <class T, int D, int C> DEV void attention_decode(const attention_args& a, const decode_args& x, decode_lds<T, D, C>& lds) {
  typedef decode_shape<T, D, C> S;
  const int chunks = (x.group + C - 1) / C, t0 = block_x() / chunks * x.tile, y = block_y();
  allow_launches();
  // How many blocks share the keys of the longest sequence of the tile.
  int parts = 1;
  for (int t = t0; t < t0 + x.tile && t < a.tokens; t++) {
    int n = a.pos[t] + 1;
    if (a.window > 0 && n > a.window) n = a.window;
    n = a.seq[t] < 0 ? 0 : n / DECODE_PART;
    parts = n > parts ? n : parts;
  }
  parts = parts < x.splits ? parts : x.splits;
  if (y >= parts) return;
  await_launches();
  if (tid() < C) lds.columns[tid()] = column_of(a, x, tid(), C);
  barrier();
  const float by = a.softcap > 0 ? a.scale : a.scale * LOG2E;
  NO_UNROLL for (int i = tid(); i < C * D / 4; i += 32 * DECODE_WAVES) {
    int c = i / (D / 4), d = i % (D / 4);
    column at = lds.columns[c];
    f32x4 q = 0;
    if (at.token >= 0 && 4 * d < a.dk) q = ((const f32x4*)(a.q + ((u64)at.token * a.heads + at.head) * a.dk))[d];
    lds.q[c][d % (S::key_dims / 4)][d / (S::key_dims / 4)] = q * by;
  }
  barrier();
  if constexpr (S::zero) {
    if (tid() < C * S::key_lanes) {
      int c = tid() / S::key_lanes, i = tid() % S::key_lanes;
      float sum = 0;
      UNROLL for (int e = 0; e < S::key_dims / 4; e++) {
        f32x4 q = lds.q[c][e][i];
        sum += (q[0] + q[1]) + (q[2] + q[3]);
      }
      lds.start[c][i] = -S::zero * sum;
    }
    barrier();
  }
  float m[C], l[C], acc[C][S::dims];
  UNROLL for (int c = 0; c < C; c++) {
    m[c] = UNSEEN, l[c] = 0;
    UNROLL for (int d = 0; d < S::dims; d++) acc[c][d] = 0;
  }
  for (int t = 0; t < x.tile && t0 + t < a.tokens;) {
    // Tokens t..e-1 are of one sequence.
    int seq = a.seq[t0 + t], lo = 0x7fffffff, hi = 0, e = t, all_from = 0, all_to = 0x7fffffff;
    for (; e < x.tile && t0 + e < a.tokens && a.seq[t0 + e] == seq; e++) {
      int pos = a.pos[t0 + e], first = a.window > 0 && pos - a.window + 1 > 0 ? pos - a.window + 1 : 0;
      lo = first < lo ? first : lo;
      hi = pos + 1 > hi ? pos + 1 : hi;
      all_from = first > all_from ? first : all_from;
      all_to = pos + 1 < all_to ? pos + 1 : all_to;
    }
    if (seq >= 0) {
      if (t > 0 || e < x.tile && t0 + e < a.tokens) all_to = 0;
      decode_columns<T, D, C>(a, x, lds, seq, t, e, lo, hi, all_from, all_to, y, parts, m, l, acc);
    }
    t = e;
  }
  // Lanes with other keys or values, then waves, then blocks.
  UNROLL for (int c = 0; c < C; c++) {
    l[c] = wave_sum(l[c]) * (S::run / 32.0f); // lanes have a key 32/run times
    UNROLL for (int d = 0; d < S::dims; d++) {
      if constexpr (S::value_lanes <= 8) acc[c][d] += shfl_xor<8>(acc[c][d]);
      if constexpr (S::value_lanes <= 16) acc[c][d] += shfl_xor<16>(acc[c][d]);
    }
    if (lane() == 0) lds.m[wave()][c] = m[c], lds.l[wave()][c] = l[c];
  }
  barrier();
  const i64 base = ((i64)block_x() * a.kv_heads + block_z()) * x.splits;
  if (tid() < C) {
    const int c = tid();
    const column at = lds.columns[c];
    float top = UNSEEN, sum = 0, sink = a.sinks && parts == 1 && at.seen >= 0 ? a.sinks[at.head] * LOG2E : -__builtin_inff();
    NO_UNROLL for (int w = 0; w < DECODE_WAVES; w++) top = __builtin_fmaxf(top, lds.m[w][c]);
    top = __builtin_fmaxf(top, sink);
    NO_UNROLL for (int w = 0; w < DECODE_WAVES; w++) sum += lds.l[w][c] * exp2_approx(lds.m[w][c] - top);
    if (parts > 1) ((f32x2*)x.stats)[(base + y) * C + c] = (f32x2){top, sum};
    lds.factor[c][0] = parts > 1 ? 1 : at.seen >= 0 ? 1.0f / (sum + exp2_approx(sink - top)) : 0;
    lds.factor[c][1] = top;
  }
  barrier();
  const int mc = tid() / (D / 4), md = tid() % (D / 4); // what this thread merges
  f32x4 o[S::passes];
  UNROLL for (int i = 0; i < S::passes; i++) {
    const int c0 = i * S::merged;
    if (i > 0) barrier();
    UNROLL for (int c = c0; c < c0 + S::merged && c < C; c++) {
      float f = exp2_approx(m[c] - lds.factor[c][1]) * lds.factor[c][0];
      if (lane() < S::value_lanes)
        UNROLL for (int e = 0; e < S::dims / 4; e++) {
          f32x4 v = {acc[c][4 * e], acc[c][4 * e + 1], acc[c][4 * e + 2], acc[c][4 * e + 3]};
          lds.part[wave()][c - c0][lane() * (S::dims / 4) + e] = v * f;
        }
    }
    barrier();
    o[i] = 0;
    if (mc < S::merged)
      UNROLL for (int w = 0; w < DECODE_WAVES; w++) o[i] += lds.part[w][mc][md];
  }
  if (parts > 1) {
    f32x4* sums = (f32x4*)x.sums + (base * C + mc) * (D / 4) + md;
    const f32x2* stats = (const f32x2*)x.stats + base * C;
    UNROLL for (int i = 0; i < S::passes; i++)
      if (mc < S::merged && i * S::merged + mc < C) sums[(y * C + i * S::merged) * (D / 4)] = o[i];
    device_release();
    barrier();
    u32* ticket = x.tickets + block_x() * a.kv_heads + block_z();
    if (tid() == 0) lds.last = take_ticket(ticket) == (u32)parts - 1;
    barrier();
    if (!lds.last) return;
    device_acquire();
    if (tid() == 0) *ticket = 0;
    if (wave() < C) {
      const int c = wave();
      const column at = lds.columns[c];
      float top = UNSEEN, sum = 0, sink = a.sinks && at.seen >= 0 ? a.sinks[at.head] * LOG2E : -__builtin_inff();
      NO_UNROLL for (int s = lane(); s < parts; s += 32) top = __builtin_fmaxf(top, stats[s * C + c][0]);
      top = __builtin_fmaxf(wave_max(top), sink);
      NO_UNROLL for (int s = lane(); s < parts; s += 32) {
        float f = exp2_approx(stats[s * C + c][0] - top);
        sum += stats[s * C + c][1] * f;
        lds.factor[c][s] = f;
      }
      sum = at.seen >= 0 ? 1.0f / (wave_sum(sum) + exp2_approx(sink - top)) : 0;
      NO_UNROLL for (int s = lane(); s < parts; s += 32) lds.factor[c][s] *= sum;
    }
    barrier();
    UNROLL for (int i = 0; i < S::passes; i++) {
      const int c = i * S::merged + mc;
      o[i] = 0;
      if (mc < S::merged && c < C)
        _Pragma("unroll 4") for (int s = 0; s < parts; s++) o[i] += sums[(s * C + i * S::merged) * (D / 4)] * lds.factor[c][s];
    }
  }
  UNROLL for (int i = 0; i < S::passes; i++) {
    const int c = i * S::merged + mc;
    const bool mine = mc < S::merged && c < C;
    decode_store(a, x, lds.columns[mine ? c : 0], md, o[i], mine);
  }
}
